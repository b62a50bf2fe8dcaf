// Signed requests through the dispatcher to real identities and policies.
#include "broker/api/credentials_gate.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "credentials/sigv4/sign.hpp"

namespace berth::api {
namespace {

using namespace credentials;

struct Gate {
  Gate() {
    const auto key = identities->administrator();
    administrator = {key.key->id, key.key->secret, ""};
  }

  // What the caller may do is what this policy says.
  void limit_administrator_to(const char* policy) {
    auto changed = std::make_shared<Identities>(*identities);
    const auto edit = [&](User& user) -> Result<> {
      auto parsed = Policy::parse(policy, PolicyKind::identity);
      EXPECT_TRUE(parsed) << parsed.error().message;
      user.inline_policies = {{"limit", *parsed}};
      return {};
    };
    EXPECT_TRUE(changed->update_user(changed->administrator().user->name, edit));
    identities = changed;
  }

  http::Request list_clusters(const SigningCredentials& with) const {
    http::Request request{
        .method = "POST",
        .target = "/",
        .headers = {{"Host", "127.0.0.1:4580"}, {"X-Amz-Target", "AmazonEC2ContainerServiceV20141113.ListClusters"}},
        .body = "{}",
        .peer = "127.0.0.1"};
    const SignedRequest to_sign{.method = request.method,
                                .path = request.path(),
                                .query = request.query(),
                                .headers = request.headers,
                                .body = request.body,
                                .body_sha256 = {}};
    for (auto& header : sign(to_sign, with, {"eu-west-1", "ecs"}, clock.now())) request.headers.push_back(std::move(header));
    return request;
  }

  std::string outcome(const http::Request& request) {
    const auto response = dispatcher.handle(request);
    return response.status == 200
               ? "ok"
               : Json::parse(response.body).value("__type", "") + ": " + Json::parse(response.body).value("message", "");
  }

  ManualClock clock{*parse_time("2026-11-23T05:15:02Z")};
  SeededRandom random{3};
  std::shared_ptr<const Identities> identities =
      std::make_shared<const Identities>(Identities::bootstrap("123456789012", random, clock.now()));
  SessionTokens tokens{SessionTokens::make_key(random)};
  SigningCredentials administrator;
  Registry registry{{{.model = "ecs",
                      .signing_names = {"ecs"},
                      .operations = {{"ListClusters", "ecs:ListClusters", any_resource(),
                                      [](const CallContext&, const Json&) -> Outcome<Json> { return Json::object(); }}}}}};
  Dispatcher dispatcher{{.registry = registry,
                         .clock = clock,
                         .random = random,
                         .authenticate = authenticate_with([this] { return identities; }, tokens),
                         .authorize = authorize_with([this] { return identities; }),
                         .record = {},
                         .account = "123456789012",
                         .region = "eu-west-1"}};
};

TEST(CredentialsGate, TheAdministratorMayCall) {
  Gate gate;
  EXPECT_EQ(gate.outcome(gate.list_clusters(gate.administrator)), "ok");
}

TEST(CredentialsGate, AWrongSecretIsRefused) {
  Gate gate;
  gate.administrator.secret = Secret("not it");
  EXPECT_TRUE(gate.outcome(gate.list_clusters(gate.administrator)).starts_with("InvalidSignatureException: "))
      << gate.outcome(gate.list_clusters(gate.administrator));
}

TEST(CredentialsGate, AChangedBodyIsRefused) {
  Gate gate;
  auto request = gate.list_clusters(gate.administrator);
  request.body = R"({"maxResults":1})";
  EXPECT_TRUE(gate.outcome(request).starts_with("InvalidSignatureException: "));
}

TEST(CredentialsGate, AnUnknownKeyIsRefused) {
  Gate gate;
  gate.administrator.access_key_id = "AKIAIOSFODNN7EXAMPLE";
  EXPECT_EQ(gate.outcome(gate.list_clusters(gate.administrator)),
            "UnrecognizedClientException: The security token included in the request is invalid.");
}

TEST(CredentialsGate, AnOldRequestIsRefused) {
  Gate gate;
  const auto request = gate.list_clusters(gate.administrator);
  gate.clock.advance(std::chrono::hours(1));
  EXPECT_TRUE(gate.outcome(request).starts_with("InvalidSignatureException: Signature expired")) << gate.outcome(request);
}

TEST(CredentialsGate, APolicyThatDoesNotAllowDeniesWithAwssSentence) {
  Gate gate;
  gate.limit_administrator_to(
      R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:RunTask","Resource":"*"}]})");
  const std::string outcome = gate.outcome(gate.list_clusters(gate.administrator));
  EXPECT_TRUE(outcome.starts_with("AccessDeniedException: User: arn:aws:iam::123456789012:user/")) << outcome;
  EXPECT_TRUE(outcome.ends_with("because no identity-based policy allows the ecs:ListClusters action")) << outcome;
}

TEST(CredentialsGate, PoliciesSeeWhetherTheTransportIsSecure) {
  Gate gate;
  gate.limit_administrator_to(R"({"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ecs:*","Resource":"*",
                                  "Condition":{"Bool":{"aws:SecureTransport":"true"}}}]})");
  auto request = gate.list_clusters(gate.administrator);
  EXPECT_TRUE(gate.outcome(request).starts_with("AccessDeniedException"));
  request.secure = true;
  EXPECT_EQ(gate.outcome(request), "ok");
}

}  // namespace
}  // namespace berth::api
