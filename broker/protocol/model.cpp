#include "broker/protocol/model.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/base/check.hpp"
#include "broker/protocol/pattern.hpp"
#include "broker/protocol/shape_tables.hpp"

namespace berth::protocol {

using Json = nlohmann::json;

namespace {

constexpr const char* kCbor = "smithy-rpc-v2-cbor";

bool lists(const Json& about, std::string_view protocol) {
  const auto all = about.value("protocols", std::vector<std::string>{});
  return std::ranges::find(all, protocol) != all.end();
}

// Of a service that speaks several: Query, and the others beside it.
std::string main_protocol(const Json& about) {
  const auto name = about.at("protocol").get<std::string>();
  return name == kCbor && lists(about, "query") ? "query" : name;
}

Protocol protocol_of(const std::string& name) {
  if (name == "rest-json") return Protocol::rest_json;
  if (name == "query") return Protocol::query;
  if (name == "ec2") return Protocol::ec2;
  BERTH_CHECK(name == "json");
  return Protocol::json;
}

Type type_of(const std::string& name) {
  static const std::map<std::string, Type, std::less<>> types = {
      {"structure", Type::structure}, {"list", Type::list},           {"map", Type::map},         {"string", Type::string},
      {"integer", Type::integer},     {"long", Type::long_integer},   {"double", Type::floating}, {"float", Type::floating},
      {"boolean", Type::boolean},     {"timestamp", Type::timestamp}, {"blob", Type::blob},       {"character", Type::string},
  };
  const auto found = types.find(name);
  BERTH_CHECK(found != types.end());
  return found->second;
}

Place place_of(const std::string& name) {
  if (name == "uri") return Place::path;
  if (name == "querystring") return Place::query;
  if (name == "header") return Place::header;
  if (name == "headers") return Place::header_prefix;
  if (name == "statusCode") return Place::status_code;
  return Place::body;
}

TimeFormat time_format_of(const std::string& name) {
  if (name == "iso8601") return TimeFormat::iso8601;
  if (name == "rfc822") return TimeFormat::http_date;
  if (name == "unixTimestamp") return TimeFormat::epoch_seconds;
  return TimeFormat::by_protocol;
}

std::string text(const Json& row, const char* key) { return row.value(key, std::string{}); }

}  // namespace

class ModelReader {
 public:
  ModelReader(Model& model, const Json& table) : model_(model), table_(table) {}

  void read() {
    const Json& about = table_.at("metadata");
    model_.protocol_ = protocol_of(main_protocol(about));
    model_.speaks_cbor_ = model_.protocol_ == Protocol::query && lists(about, kCbor);
    model_.speaks_json_ = model_.protocol_ == Protocol::query && lists(about, "json");
    model_.json_version_ = about.value("jsonVersion", "1.1");
    model_.target_prefix_ = text(about, "targetPrefix");
    model_.api_version_ = text(about, "apiVersion");
    model_.xml_namespace_ = text(about, "xmlNamespace");
    model_.endpoint_prefix_ = text(about, "endpointPrefix");
    // All shapes before any member: members point at shapes.
    for (const auto& [name, row] : table_.at("shapes").items()) model_.shapes_[name].name = name;
    for (const auto& [name, row] : table_.at("shapes").items()) read_shape(model_.shapes_.at(name), row);
    for (const auto& [name, row] : table_.at("operations").items()) read_operation(name, row);
  }

 private:
  const Shape* shape_of(const Json& reference) const {
    const auto found = model_.shapes_.find(reference.at("shape").get<std::string>());
    BERTH_CHECK(found != model_.shapes_.end());
    return &found->second;
  }

  Member read_member(const std::string& name, const Json& row) const {
    return {.name = name,
            .wire_name = text(row, "locationName"),
            .query_name = text(row, "queryName"),
            .shape = shape_of(row),
            .place = place_of(text(row, "location")),
            .flattened = row.value("flattened", false),
            .time_format = time_format_of(text(row, "timestampFormat"))};
  }

  void read_shape(Shape& shape, const Json& row) {
    shape.type = type_of(row.at("type"));
    if (row.contains("members")) {
      for (const auto& [name, member] : row["members"].items()) shape.members.push_back(read_member(name, member));
      std::ranges::sort(shape.members, {}, &Member::name);
    }
    if (row.contains("member")) shape.element = read_member({}, row["member"]);
    if (row.contains("key")) shape.key = read_member("key", row["key"]);
    if (row.contains("value")) shape.value = read_member("value", row["value"]);
    if (row.contains("required")) shape.required = row["required"].get<std::vector<std::string>>();
    if (row.contains("enum")) shape.values = row["enum"].get<std::vector<std::string>>();
    if (row.contains("min")) shape.min = row["min"].get<double>();
    if (row.contains("max")) shape.max = row["max"].get<double>();
    if (row.contains("pattern")) shape.pattern = std::make_shared<Pattern>(row["pattern"].get<std::string>());
    shape.flattened = row.value("flattened", false);
    shape.document = row.value("document", false);
    shape.sensitive = row.value("sensitive", false);
    shape.payload = text(row, "payload");
    shape.time_format = time_format_of(text(row, "timestampFormat"));
    if (row.value("exception", false)) read_error(shape, row);
  }

  void read_error(Shape& shape, const Json& row) {
    shape.error = true;
    shape.server_fault = row.value("fault", false);
    if (row.contains("error")) {
      shape.error_code = text(row["error"], "code");
      shape.status = row["error"].value("httpStatusCode", 0);
    }
    model_.errors_.emplace(shape.name, &shape);
    if (!shape.error_code.empty()) model_.errors_.emplace(shape.error_code, &shape);
  }

  void read_operation(const std::string& name, const Json& row) {
    OperationModel operation{.name = name};
    operation.method = row.at("http").value("method", "POST");
    operation.uri = row.at("http").value("requestUri", "/");
    operation.status = row.at("http").value("responseCode", 200);
    if (row.contains("input")) operation.input = shape_of(row["input"]);
    if (row.contains("output")) {
      operation.output = shape_of(row["output"]);
      operation.result_wrapper = text(row["output"], "resultWrapper");
    }
    operation.unsigned_allowed = text(row, "authtype") == "none";
    model_.operations_.emplace(name, std::move(operation));
  }

  Model& model_;
  const Json& table_;
};

const Member* Shape::find(std::string_view member) const {
  const auto found = std::ranges::lower_bound(members, member, {}, [](const Member& m) -> std::string_view { return m.name; });
  return found != members.end() && found->name == member ? &*found : nullptr;
}

const Model* Model::find(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Model>, std::less<>> models;
  const std::lock_guard lock(mutex);
  if (const auto known = models.find(name); known != models.end()) return known->second.get();
  const auto text = shape_table(name);
  if (!text) return nullptr;
  const Json table = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  BERTH_CHECK(!table.is_discarded());
  auto model = std::make_unique<Model>();
  model->name_ = name;
  ModelReader(*model, table).read();
  return models.emplace(std::string(name), std::move(model)).first->second.get();
}

const OperationModel* Model::operation(std::string_view name) const {
  const auto found = operations_.find(name);
  return found == operations_.end() ? nullptr : &found->second;
}

const Shape* Model::shape(std::string_view name) const {
  const auto found = shapes_.find(name);
  return found == shapes_.end() ? nullptr : &found->second;
}

const Shape* Model::error(std::string_view code) const {
  const auto found = errors_.find(code);
  return found == errors_.end() ? nullptr : found->second;
}

}  // namespace berth::protocol
