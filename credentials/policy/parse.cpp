// From the JSON text to statements. nlohmann's exceptions stay in this file.

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "broker/base/arn.hpp"
#include "credentials/policy/policy.hpp"
#include "credentials/policy/statement.hpp"

namespace berth::credentials {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kDocumentBytesMax = 128 * 1024;  // IAM's request limit; its quotas per kind are the service's to check

template <class... Args>
std::unexpected<Error> malformed(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Code::invalid_argument, format, std::forward<Args>(args)...);
}

constexpr int kDepthMax = 16;

// nlohmann takes the last of two equal keys in silence; a policy that says two things is refused instead.
Result<Json> parse_json(std::string_view text) {
  if (text.size() > kDocumentBytesMax) return malformed("the policy is longer than {} bytes", kDocumentBytesMax);
  std::vector<std::set<std::string>> keys;
  std::string twice;
  bool too_deep = false;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    too_deep = too_deep || depth > kDepthMax;
    if (too_deep) return false;  // dropped at once: copies of a deep tree recurse
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return true;
  };
  try {
    auto json = Json::parse(text, watch);
    if (too_deep) return malformed("the policy is nested more than {} deep", kDepthMax);
    if (!twice.empty()) return malformed("This policy contains invalid Json: `{}` stands twice in one object", twice);
    return json;
  } catch (const Json::exception& error) {
    const auto* parse_error = dynamic_cast<const Json::parse_error*>(&error);
    return malformed("This policy contains invalid Json: at byte {}", parse_error ? parse_error->byte : 0);
  }
}

Result<std::string> string_of(const Json& value, std::string_view element) {
  if (!value.is_string()) return malformed("{} must be a string", element);
  return value.get<std::string>();
}

// A string, or a list of strings that is not empty.
Result<std::vector<std::string>> strings_of(const Json& value, std::string_view element) {
  if (value.is_string()) return std::vector{value.get<std::string>()};
  if (!value.is_array() || value.empty()) return malformed("{} must be a string or a list of strings", element);
  std::vector<std::string> strings;
  for (const auto& item : value) {
    if (!item.is_string()) return malformed("{} must be a string or a list of strings", element);
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

// Condition values may also be bare numbers and booleans.
Result<std::vector<std::string>> condition_values(const Json& value, std::string_view key) {
  const Json list = value.is_array() ? value : Json::array({value});
  std::vector<std::string> values;
  for (const auto& item : list) {
    if (item.is_string())
      values.push_back(item.get<std::string>());
    else if (item.is_number() || item.is_boolean())
      values.push_back(item.dump());
    else
      return malformed("the values of `{}` must be strings", key);
  }
  return values;
}

Result<Pattern> compile_action(const std::string& text) {
  const auto colon = text.find(':');
  if (text != "*") {
    const auto vendor = std::string_view(text).substr(0, colon);
    if (colon == std::string::npos)
      return malformed("`{}`: Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.", text);
    const auto of_vendor = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (vendor.empty() || !std::ranges::all_of(vendor, of_vendor)) return malformed("Vendor {} is not valid", vendor);
    const auto name = std::string_view(text).substr(colon + 1);
    const auto of_name = [&](char c) { return of_vendor(c) || c == '*' || c == '?' || c == '_'; };
    if (name.empty() || !std::ranges::all_of(name, of_name)) return malformed("`{}` is not an action", text);
  }
  return Pattern::compile(text, Wildcards::yes, Variables::no, Case::ignored);
}

Result<Pattern> compile_resource(const std::string& text, Variables variables) {
  if (text != "*") {
    const auto colons = std::ranges::count(text, ':');
    const bool short_of_parts = colons < 5 && !(colons >= 2 && text.ends_with('*'));
    if (!text.starts_with("arn:") || short_of_parts) return malformed("Resource {} must be in ARN format or \"*\".", text);
    const auto partition = std::string_view(text).substr(4, text.find(':', 4) - 4);
    if (partition.find_first_of("*?") == std::string_view::npos && !partition.starts_with("aws")) {
      return malformed("Partition \"{}\" is not valid for resource \"{}\".", partition, text);
    }
  }
  return Pattern::compile(text, Wildcards::yes, variables);
}

bool is_account(std::string_view text) {
  return text.size() == 12 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

Result<PrincipalEntry> aws_principal(const std::string& text) {
  using Kind = PrincipalEntry::Kind;
  if (text == "*") return PrincipalEntry{Kind::everyone, "", text};
  if (is_account(text)) return PrincipalEntry{Kind::account, text, text};
  const bool id = (text.starts_with("AROA") || text.starts_with("AIDA")) && text.size() >= 20 &&
                  text.find_first_of(":*?") == std::string::npos;
  if (id) return PrincipalEntry{Kind::unique_id, text, text};
  const auto arn = parse_arn(text);
  const bool known = arn && arn->partition == "aws" && is_account(arn->account) && arn->region.empty() &&
                     text.find_first_of("*?$") == std::string::npos;
  if (known && arn->service == "iam" && arn->resource == "root") return PrincipalEntry{Kind::account, arn->account, text};
  const auto starts = [&](std::string_view prefix) {
    return known && arn->resource.starts_with(prefix) && arn->resource.size() > prefix.size();
  };
  const bool iam = known && arn->service == "iam" && (starts("user/") || starts("role/"));
  const bool sts = known && arn->service == "sts" && starts("assumed-role/");
  if (!iam && !sts) return malformed("Invalid principal in policy: \"AWS\":\"{}\"", text);
  return PrincipalEntry{Kind::arn, text, text};
}

Result<PrincipalEntry> service_principal_entry(const std::string& text) {
  const bool host = text.ends_with(".amazonaws.com") && text.find_first_of("*?:/ ") == std::string::npos && text.size() > 14;
  if (!host) return malformed("Invalid principal in policy: \"SERVICE\":\"{}\"", text);
  return PrincipalEntry{PrincipalEntry::Kind::service, text, text};
}

Result<std::vector<PrincipalEntry>> parse_principals(const Json& value, std::string_view element) {
  if (value == "*") return std::vector{PrincipalEntry{PrincipalEntry::Kind::everyone, "", "*"}};
  if (!value.is_object() || value.empty()) return malformed("{} must be \"*\" or an object of AWS and Service", element);
  std::vector<PrincipalEntry> entries;
  for (const auto& [type, names] : value.items()) {
    if (type != "AWS" && type != "Service") return malformed("{}: principals of type `{}` are not supported", element, type);
    auto texts = strings_of(names, type);
    if (!texts) return fail(texts.error());
    for (const auto& text : *texts) {
      auto entry = type == "AWS" ? aws_principal(text) : service_principal_entry(text);
      if (!entry) return fail(entry.error());
      entries.push_back(*std::move(entry));
    }
  }
  return entries;
}

Result<std::vector<Condition>> parse_conditions(const Json& value, Variables variables) {
  if (!value.is_object()) return malformed("Condition must be an object");
  std::vector<Condition> conditions;
  for (const auto& [name, keys] : value.items()) {
    if (!keys.is_object() || keys.empty()) return malformed("Condition `{}` must be an object of keys and values", name);
    for (const auto& [key, given] : keys.items()) {
      auto values = condition_values(given, key);
      if (!values) return fail(values.error());
      auto condition = Condition::compile(name, key, *values, variables);
      if (!condition) return fail(condition.error().within("Condition `" + name + "`"));
      conditions.push_back(*std::move(condition));
    }
  }
  return conditions;
}

class StatementParser {
 public:
  StatementParser(const Json& json, PolicyKind kind, Variables variables) : json_(json), kind_(kind), variables_(variables) {}

  Result<Statement> parse() {
    if (!json_.is_object()) return malformed("a statement must be an object");
    for (const auto& step :
         {&StatementParser::elements, &StatementParser::sid, &StatementParser::effect, &StatementParser::actions,
          &StatementParser::resources, &StatementParser::principals, &StatementParser::conditions}) {
      if (auto done = (this->*step)(); !done) return fail(done.error());
    }
    return std::move(statement_);
  }

 private:
  Result<> elements() {
    static const std::set<std::string, std::less<>> known = {"Sid",         "Effect",    "Action",       "NotAction", "Resource",
                                                             "NotResource", "Principal", "NotPrincipal", "Condition"};
    for (const auto& [name, value] : json_.items()) {
      if (!known.contains(name)) return malformed("`{}` is not an element of a statement", name);
    }
    return {};
  }

  Result<> sid() {
    if (!json_.contains("Sid")) return {};
    auto sid = string_of(json_["Sid"], "Sid");
    if (!sid) return fail(sid.error());
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
    // Identity policies take letters and digits; resource policies of some services take spaces and more.
    if (kind_ == PolicyKind::identity && !std::ranges::all_of(*sid, fits)) {
      return malformed("Statement IDs (SID) in a single policy must be alpha numeric: `{}`", *sid);
    }
    statement_.sid = *std::move(sid);
    return {};
  }

  Result<> effect() {
    if (!json_.contains("Effect")) return malformed("Effect is missing");
    const auto& effect = json_["Effect"];
    if (effect != "Allow" && effect != "Deny") return malformed("Invalid effect: Effect must be `Allow` or `Deny`");
    statement_.effect = effect == "Allow" ? Effect::allow : Effect::deny;
    return {};
  }

  // The element's name or its Not- form's, whichever is there; not both.
  Result<const Json*> either(const std::string& name, bool& negated) {
    const bool plain = json_.contains(name);
    negated = json_.contains("Not" + name);
    if (plain && negated) return malformed("{} and Not{} can't stand in one statement", name, name);
    if (!plain && !negated) return nullptr;
    return &json_[negated ? "Not" + name : name];
  }

  Result<> actions() {
    auto value = either("Action", statement_.not_action);
    if (!value) return fail(value.error());
    if (!*value) return malformed("Policy statement must contain actions.");
    auto texts = strings_of(**value, "Action");
    if (!texts) return fail(texts.error());
    for (const auto& text : *texts) {
      auto pattern = compile_action(text);
      if (!pattern) return fail(pattern.error().within("Action"));
      statement_.actions.push_back(*std::move(pattern));
    }
    return {};
  }

  Result<> resources() {
    auto value = either("Resource", statement_.not_resource);
    if (!value) return fail(value.error());
    if (kind_ == PolicyKind::trust) return *value ? Result<>(malformed("Has prohibited field Resource")) : Result<>();
    // A file system policy may leave it out: it stands for the file system itself.
    if (!*value && kind_ == PolicyKind::resource) return {};
    if (!*value) return malformed("Policy statement must contain resources.");
    auto texts = strings_of(**value, "Resource");
    if (!texts) return fail(texts.error());
    for (const auto& text : *texts) {
      auto pattern = compile_resource(text, variables_);
      if (!pattern) return fail(pattern.error());
      statement_.resources.push_back(*std::move(pattern));
    }
    return {};
  }

  Result<> principals() {
    auto value = either("Principal", statement_.not_principal);
    if (!value) return fail(value.error());
    if (kind_ == PolicyKind::identity) {
      return *value ? Result<>(malformed("Policy document should not specify a principal.")) : Result<>();
    }
    if (!*value) return malformed("Missing required field Principal");
    if (kind_ == PolicyKind::trust && statement_.not_principal)
      return malformed("AssumeRolepolicy contained an invalid principal: NotPrincipal is not supported.");
    auto entries = parse_principals(**value, statement_.not_principal ? "NotPrincipal" : "Principal");
    if (!entries) return fail(entries.error());
    statement_.principals = *std::move(entries);
    return {};
  }

  Result<> conditions() {
    if (!json_.contains("Condition")) return {};
    auto conditions = parse_conditions(json_["Condition"], variables_);
    if (!conditions) return fail(conditions.error());
    statement_.conditions = *std::move(conditions);
    return {};
  }

  const Json& json_;
  PolicyKind kind_;
  Variables variables_;
  Statement statement_;
};

// Without a Version a policy is of 2008.
Result<Variables> variables_of_version(const Json& json) {
  if (!json.contains("Version") || json["Version"] == "2008-10-17") return Variables::no;
  if (json["Version"] == "2012-10-17") return Variables::yes;
  return malformed("The policy must contain a valid version string: `2012-10-17` or `2008-10-17`");
}

Result<std::vector<Statement>> parse_statements(const Json& json, PolicyKind kind) {
  if (!json.is_object()) return malformed("Syntax errors in policy.: the policy must be an object");
  for (const auto& [name, value] : json.items()) {
    if (name != "Version" && name != "Id" && name != "Statement") return malformed("`{}` is not an element of a policy", name);
  }
  const auto variables = variables_of_version(json);
  if (!variables) return fail(variables.error());
  if (json.contains("Id") && !json["Id"].is_string()) return malformed("Id must be a string");
  if (!json.contains("Statement")) return malformed("Syntax errors in policy.: Statement is missing");
  const auto& given = json["Statement"];
  const Json list = given.is_array() ? given : Json::array({given});
  if (list.empty()) return malformed("Syntax errors in policy.: Statement is empty");
  std::vector<Statement> statements;
  std::set<std::string> sids;
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto statement = StatementParser(list[i], kind, *variables).parse();
    if (!statement) return fail(statement.error().within(fmt::format("statement {}", i + 1)));
    if (!statement->sid.empty() && !sids.insert(statement->sid).second) {
      return malformed("Statement IDs (SID) in a single policy must be unique: `{}`", statement->sid);
    }
    statements.push_back(*std::move(statement));
  }
  return statements;
}

}  // namespace

Result<PolicyPtr> Policy::parse(std::string_view document, PolicyKind kind) {
  const auto json = parse_json(document);
  if (!json) return fail(json.error());
  auto statements = parse_statements(*json, kind);
  if (!statements) return fail(statements.error());
  return std::make_shared<const Policy>(std::string(document), kind, *std::move(statements));
}

}  // namespace berth::credentials
