// Model: a service's operations and shapes, read from its shape table. It drives the codecs: what a member is called on the
// wire, where it travels, which type and limits it has, which status an error gets.
//
// A model is read when it is first asked for, once, and never changes: pointers into it stay good and every thread may read.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::protocol {

enum class Protocol {
  json,       // AWS JSON 1.0 and 1.1: ECS, Logs, ECR
  rest_json,  // EFS, Access Analyzer
  query,      // form in, XML out: IAM, STS, Auto Scaling, ELBv2
  ec2,        // EC2's dialect of query
};

enum class Type { structure, list, map, string, integer, long_integer, floating, boolean, timestamp, blob };

// Where a member of a rest-json input or output travels.
enum class Place { body, path, query, header, header_prefix, status_code };

enum class TimeFormat { by_protocol, epoch_seconds, iso8601, http_date };

class Pattern;  // a compiled pattern (pattern.hpp)
struct Shape;

struct Member {
  std::string name;        // the shape's: what handlers see
  std::string wire_name;   // `locationName`; empty where the table has none
  std::string query_name;  // EC2's `queryName`; empty where the table has none
  const Shape* shape = nullptr;
  Place place = Place::body;
  bool flattened = false;
  TimeFormat time_format = TimeFormat::by_protocol;
};

struct Shape {
  std::string name;
  Type type = Type::string;
  std::vector<Member> members;        // structures, by name
  std::vector<std::string> required;  // structures
  Member element;                     // lists; `name` is empty
  Member key, value;                  // maps
  bool flattened = false;
  bool document = false;  // any JSON
  bool sensitive = false;
  std::string payload;              // the member that is the whole body
  std::optional<double> min, max;   // of length, count or value
  std::vector<std::string> values;  // an enum's
  std::shared_ptr<const Pattern> pattern;
  TimeFormat time_format = TimeFormat::by_protocol;
  // Errors:
  bool error = false;
  std::string error_code;  // on the wire, where it is not the shape's name
  int status = 0;          // 0: the table says none
  bool server_fault = false;

  const Member* find(std::string_view member) const;
};

struct OperationModel {
  std::string name;
  std::string method = "POST";
  std::string uri = "/";  // template: path with {labels}, perhaps a query
  int status = 200;
  const Shape* input = nullptr;   // nullptr: takes nothing
  const Shape* output = nullptr;  // nullptr: answers nothing
  std::string result_wrapper;
  bool unsigned_allowed = false;  // AssumeRoleWithWebIdentity: the caller has no key yet
};

class Model {
 public:
  // nullptr where there is no such table. Throws nothing: a table that can't be read is a broken build (CHECK).
  static const Model* find(std::string_view name);

  const std::string& name() const { return name_; }
  Protocol protocol() const { return protocol_; }
  const std::string& json_version() const { return json_version_; }  // "1.1"
  const std::string& target_prefix() const { return target_prefix_; }
  const std::string& api_version() const { return api_version_; }
  const std::string& xml_namespace() const { return xml_namespace_; }
  const std::string& endpoint_prefix() const { return endpoint_prefix_; }
  // Beside its main protocol, Query: Smithy's RPC v2 over CBOR (rpc_cbor.hpp), AWS JSON.
  bool speaks_cbor() const { return speaks_cbor_; }
  bool speaks_json() const { return speaks_json_; }
  const std::map<std::string, OperationModel, std::less<>>& operations() const { return operations_; }
  const OperationModel* operation(std::string_view name) const;
  const Shape* shape(std::string_view name) const;
  // By shape name ("NoSuchEntityException") or wire code ("NoSuchEntity"); nullptr where the service has no such error.
  const Shape* error(std::string_view code) const;

 private:
  friend class ModelReader;
  std::string name_;
  Protocol protocol_ = Protocol::json;
  bool speaks_cbor_ = false, speaks_json_ = false;
  std::string json_version_, target_prefix_, api_version_, xml_namespace_, endpoint_prefix_;
  std::map<std::string, OperationModel, std::less<>> operations_;
  std::map<std::string, Shape, std::less<>> shapes_;
  std::map<std::string, const Shape*, std::less<>> errors_;
};

}  // namespace berth::protocol
