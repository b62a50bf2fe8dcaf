// A dispatcher over services that answer what a test says, with a signer and an authorizer that a test decides.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker/api/dispatcher.hpp"

namespace berth::api {

struct Fake {
  ManualClock clock{*parse_time("2026-11-23T05:15:02Z")};
  SeededRandom random{7};
  std::vector<CallRecord> records;
  std::vector<std::string> authorized;  // "action resource"
  std::string deny;                     // this action is denied
  std::optional<credentials::SignatureError> bad_signature;
  std::string signed_region = "eu-west-1";
  std::string key = "AKIA1";
  int handled = 0;
  Json seen;
  Outcome<Json> answer = Json::object();

  Operation row(const char* name, const char* action, ResourcesOf resources = any_resource()) {
    return {name, action, std::move(resources), [this](const CallContext&, const Json& input) {
              ++handled;
              seen = input;
              return answer;
            }};
  }

  Registry registry{services()};
  Dispatcher dispatcher{
      {.registry = registry,
       .clock = clock,
       .random = random,
       .authenticate = [this](const http::Request& r, TimePoint) { return authenticate(r); },
       .authorize = [this](const CallContext& c, const std::string& a, const ResourceAccess& r) { return authorize(c, a, r); },
       .record = [this](const CallRecord& r) { records.push_back(r); },
       .account = "123456789012",
       .region = "eu-west-1"}};

  std::vector<Service> services() {
    const ResourcesOf cluster_and_role = [](const CallContext&, const Json& input) -> Outcome<std::vector<ResourceAccess>> {
      if (input["taskDefinition"] == "throw") throw std::runtime_error("broken");
      if (input["taskDefinition"] == "bad") return refuse("ClientException", "no such revision");
      ResourceAccess definition{.arn = "arn:definition"};
      ResourceAccess role{.arn = "arn:role", .action = "iam:PassRole"};
      return std::vector{definition, role};
    };
    const ResourcesOf nothing = [](const CallContext&, const Json&) -> Outcome<std::vector<ResourceAccess>> {
      return std::vector<ResourceAccess>{};
    };
    Operation identity = row("GetCallerIdentity", "sts:GetCallerIdentity");
    identity.needs_no_permission = true;
    return {{.model = "ecs",
             .signing_names = {"ecs"},
             .operations = {row("RunTask", "ecs:RunTask", cluster_and_role), row("ListClusters", "ecs:ListClusters", nothing)}},
            {.model = "efs",
             .signing_names = {"elasticfilesystem"},
             .operations = {row("DeleteFileSystem", "elasticfilesystem:DeleteFileSystem")}},
            {.model = "sts",
             .signing_names = {"sts"},
             .operations = {identity, row("AssumeRoleWithWebIdentity", "sts:AssumeRoleWithWebIdentity")}},
            {.model = "iam", .signing_names = {"iam"}, .operations = {row("ListRoles", "iam:ListRoles")}},
            {.model = "ec2", .signing_names = {"ec2"}, .operations = {row("CreateVpc", "ec2:CreateVpc")}}};
  }

  credentials::Signed<credentials::Authenticated> authenticate(const http::Request& request) {
    if (bad_signature) return std::unexpected(*bad_signature);
    const std::string* header = http::find_header(request.headers, "Authorization");
    if (!header)
      return std::unexpected(credentials::SignatureError{credentials::SignatureErrorCode::missing_authentication_token,
                                                         "Missing Authentication Token"});
    credentials::Authenticated who;
    who.principal.arn = "arn:aws:iam::123456789012:user/ann";
    who.principal.access_key_id = key;
    who.region = signed_region;
    // Credential=AKIA1/20261123/REGION/SERVICE/aws4_request
    const auto end = header->rfind("/aws4_request");
    const auto start = header->rfind('/', end - 1) + 1;
    who.service = header->substr(start, end - start);
    return who;
  }

  std::optional<std::string> authorize(const CallContext& context, const std::string& action, const ResourceAccess& access) {
    authorized.push_back(action + " " + access.arn);
    if (action != deny) return std::nullopt;
    return "User: " + context.caller.arn + " is not authorized to perform: " + action;
  }

  static http::Headers signed_for(const std::string& service) {
    return {{"Authorization", "AWS4-HMAC-SHA256 Credential=AKIA1/20261123/eu-west-1/" + service +
                                  "/aws4_request, SignedHeaders=host, Signature=00"}};
  }
  http::Response ecs(const std::string& operation, const std::string& body) {
    http::Request request{.method = "POST",
                          .target = "/",
                          .headers = signed_for("ecs"),
                          .body = body,
                          .peer = "127.0.0.1",
                          .listener = "front-door"};
    request.headers.emplace_back("X-Amz-Target", "AmazonEC2ContainerServiceV20141113." + operation);
    return dispatcher.handle(request);
  }
  http::Response form(const std::string& service, const std::string& body, bool sign = true) {
    http::Request request{.method = "POST", .target = "/", .headers = sign ? signed_for(service) : http::Headers{}, .body = body};
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    return dispatcher.handle(request);
  }
};

inline std::string type_of(const http::Response& response) { return Json::parse(response.body).value("__type", ""); }

}  // namespace berth::api
