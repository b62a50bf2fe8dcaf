#include <gtest/gtest.h>

#include "credentials/authorization.hpp"
#include "credentials/policy/policy.hpp"
#include "tests/conformance/vectors.hpp"

namespace berth::credentials {
namespace {

using Json = nlohmann::json;
const std::string kAccount = "123456789012";

PolicyPtr must_parse(const Json& document, PolicyKind kind) {
  auto policy = Policy::parse(document.dump(), kind);
  if (!policy) throw std::runtime_error(policy.error().message + " in " + document.dump());
  return *std::move(policy);
}

// The principal of a case: user `ann` or a session of role `app`, with the case's policies on it.
class World {
 public:
  explicit World(const Json& c) : identities_(kAccount) {
    if (c.contains("boundary")) {
      ManagedPolicy boundary;
      boundary.name = "boundary";
      boundary.versions.emplace(1, PolicyVersion{must_parse(c["boundary"], PolicyKind::identity), {}});
      EXPECT_TRUE(identities_.create(boundary));
    }
    const bool user = c.value("principal", "role") == "user";
    user ? add_user(c) : add_role(c);
    if (c.value("principal", "") == "service") {
      request_.principal = Principal{.kind = Principal::Kind::service, .account = kAccount, .arn = "ecs-tasks.amazonaws.com"};
    }
    if (c.value("principal", "") == "anonymous") request_.principal = Principal{.kind = Principal::Kind::anonymous};
    request_.action = c.at("action");
    request_.resource = c.value("resource", "*");
    const Json conditions = c.value("conditions", Json::object());
    for (const auto& [key, values] : conditions.items()) {
      for (const auto& value : values.is_array() ? values : Json::array({values})) request_.conditions.emplace(key, value);
    }
    for (const auto& policy : c.value("session", Json::array())) request_.principal.session_policies.push_back(policy.dump());
    if (c.contains("resource_policy")) request_.resource_policy = c["resource_policy"].dump();
    request_.open_without_resource_policy = c.value("open", false);
    request_.now = *parse_time("2026-11-23T05:15:02Z");
  }

  Decision decide() const { return authorize(identities_, request_); }
  std::string message(const Decision& decision) const { return denial_message(request_, decision); }

 private:
  template <class Owner>
  void attach(const Json& c, Owner& owner) {
    int number = 0;
    for (const auto& policy : c.value("identity", Json::array())) {
      owner.inline_policies.emplace("p" + std::to_string(number++), must_parse(policy, PolicyKind::identity));
    }
    for (const auto& arn : c.value("attached", Json::array())) owner.attached_policies.insert(arn);
    if (c.contains("boundary")) owner.permissions_boundary = "arn:aws:iam::" + kAccount + ":policy/boundary";
    owner.tags = c.value("tags", Tags{});
  }

  void add_user(const Json& c) {
    User user{.name = "ann", .id = "AIDAEXAMPLEEXAMPLEAAA"};
    attach(c, user);
    EXPECT_TRUE(identities_.create(user));
    request_.principal = Principal{.kind = Principal::Kind::user,
                                   .account = kAccount,
                                   .arn = "arn:aws:iam::" + kAccount + ":user/ann",
                                   .unique_id = user.id,
                                   .name = "ann"};
  }

  void add_role(const Json& c) {
    Role role{.name = "app", .id = "AROAEXAMPLEEXAMPLEAAA"};
    role.trust_policy = must_parse(Json::parse(R"({"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}})"),
                                   PolicyKind::trust);
    attach(c, role);
    EXPECT_TRUE(identities_.create(role));
    request_.principal = Principal{.kind = Principal::Kind::assumed_role,
                                   .account = kAccount,
                                   .arn = "arn:aws:sts::" + kAccount + ":assumed-role/app/s1",
                                   .unique_id = role.id + ":s1",
                                   .name = "app",
                                   .role_arn = "arn:aws:iam::" + kAccount + ":role/app",
                                   .session_name = "s1",
                                   .session_tags = c.value("session_tags", Tags{})};
  }

  Identities identities_;
  AccessRequest request_;
};

std::string name_of(Decision::Reason reason) {
  switch (reason) {
    case Decision::Reason::allowed: return "allowed";
    case Decision::Reason::implicitly_denied: return "implicitly_denied";
    case Decision::Reason::explicitly_denied: return "explicitly_denied";
  }
  return "";
}

TEST(PolicyCorpus, EveryCaseDecidesAsItSaysAndForTheReasonItSays) {
  const Json corpus = berth::vectors::read_vectors("policies.json");
  ASSERT_GE(corpus.at("cases").size(), 50U);
  for (const auto& c : corpus.at("cases")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const World world(c);
    const auto decision = world.decide();
    EXPECT_EQ(name_of(decision.reason), c.at("decision").get<std::string>());
    if (c.contains("because")) {
      EXPECT_EQ(decision.denying_policy_type, c.at("because").get<std::string>());
    }
    if (c.contains("message")) {
      EXPECT_EQ(world.message(decision), c.at("message").get<std::string>());
    }
    if (!c.contains("determining")) continue;
    Json determining = Json::array();
    for (const auto& statement : decision.determining)
      determining.push_back(statement.policy + " #" + std::to_string(statement.index));
    EXPECT_EQ(determining, c["determining"]);
  }
}

TEST(PolicyCorpus, WhatIsNotUnderstoodIsRefusedAndTheMessageSaysWhere) {
  const Json corpus = berth::vectors::read_vectors("policies.json");
  ASSERT_GE(corpus.at("refused").size(), 25U);
  for (const auto& c : corpus.at("refused")) {
    SCOPED_TRACE(c.at("name").get<std::string>());
    const auto kind = c.value("kind", "identity");
    const auto text = c.at("policy").is_string() ? c["policy"].get<std::string>() : c["policy"].dump();
    const auto policy = Policy::parse(text, kind == "trust"      ? PolicyKind::trust
                                            : kind == "resource" ? PolicyKind::resource
                                                                 : PolicyKind::identity);
    ASSERT_FALSE(policy);
    EXPECT_NE(policy.error().message.find(c.at("says").get<std::string>()), std::string::npos) << policy.error().message;
  }
}

}  // namespace
}  // namespace berth::credentials
