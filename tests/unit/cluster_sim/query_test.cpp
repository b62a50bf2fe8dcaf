#include "cluster_sim/query.hpp"

#include <gtest/gtest.h>

namespace berth::cluster_sim {
namespace {

const std::map<std::string, std::string> kAttributes{
    {"ecs.availability-zone", "us-east-1a"}, {"ecs.instance-type", "m5.large"}, {"stack", "prod"}, {"rank", "7"}, {"flag", ""}};

QuerySubject subject() {
  return {.attributes = &kAttributes,
          .agent_connected = true,
          .agent_version = "1.10.0",
          .ec2_instance = "i-0123",
          .registered = *parse_time("2018-06-18T22:28:28Z"),
          .running_tasks = 3,
          .task_groups = {"family:web", "service:api"}};
}

bool holds(std::string_view text) {
  auto query = Query::parse(text);
  EXPECT_TRUE(query) << text << ": " << query.error().message;
  return query && query->matches(subject());
}

struct Case {
  const char* text;
  bool expected;
};

TEST(Query, ComparesAsTheGuideSays) {
  for (const Case& c : {
           Case{"attribute:ecs.instance-type == m5.large", true},
           Case{"attribute:ecs.instance-type equals t2.small", false},
           Case{"attribute:ecs.instance-type != t2.small", true},
           Case{"attribute:absent != t2.small", false},
           Case{"attribute:ecs.instance-type =~ m5.*", true},
           Case{"attribute:ecs.instance-type =~ m5", false},
           Case{"attribute:ecs.instance-type matches (t2|m5)[.].*", true},
           Case{"attribute:ecs.instance-type !~ t2.*", true},
           Case{"attribute:ecs.availability-zone in [us-east-1a, us-east-1b]", true},
           Case{"attribute:ecs.availability-zone !in [us-east-1a, us-east-1b]", false},
           Case{"attribute:ecs.availability-zone not_in ['us-east-1b']", true},
           Case{"attribute:stack exists", true},
           Case{"attribute:flag exists", true},
           Case{"attribute:absent exists", false},
           Case{"attribute:absent !exists", true},
           Case{"attribute:absent not_exists", true},
           Case{"attribute:rank > 6", true},
           Case{"attribute:rank == 07", false},
           Case{"agentConnected == true", true},
           Case{"agentVersion > 1.9.9", true},
           Case{"agentVersion < 1.9", false},
           Case{"agentVersion == 1.10", true},
           Case{"ec2InstanceId == i-0123", true},
           Case{"ec2InstanceId in ['i-0123', 'i-9']", true},
           Case{"registeredAt >= 2018-06-18", true},
           Case{"registeredAt < 2018-06-18T22:28:28+00:00", false},
           Case{"registeredAt == 2018-06-18T22:28:28", true},
           Case{"runningTasksCount == 3", true},
           Case{"runningTasksCount >= 4", false},
           Case{"task:group == service:api", true},
           Case{"task:group != service:api", false},
           Case{"task:group == service:other", false},
       }) {
    EXPECT_EQ(holds(c.text), c.expected) << c.text;
  }
}

TEST(Query, CombinesWithAndBindingCloserThanOr) {
  EXPECT_TRUE(holds("attribute:stack == prod or attribute:stack == test and runningTasksCount == 99"));
  EXPECT_FALSE(holds("(attribute:stack == prod or attribute:stack == test) and runningTasksCount == 99"));
  EXPECT_TRUE(holds("not(attribute:stack == test) && !(task:group == service:none)"));
  EXPECT_TRUE(
      holds("(attribute:ecs.instance-type =~ m5.* or attribute:ecs.instance-type =~ t3.*) and attribute:stack == \"prod\""));
}

TEST(Query, RefusesWhatItCannotRead) {
  for (const char* text :
       {"", "attribute:", "attribute:x", "attribute:x ==", "attribute:x == a b", "nonsense == 1", "(attribute:x exists",
        "attribute:x in [a", "attribute:x in [a,]", "attribute:x =~ [", "attribute:x == 'a", "and", "attribute:x == a and",
        "runningTasksCount > many", "registeredAt > yesterday", "attribute:x exists)", "attribute:x === a"}) {
    const auto parsed = Query::parse(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, Code::invalid_argument);
  }
  EXPECT_FALSE(Query::parse(std::string(2001, '(')));
}

TEST(Query, APatternWithANumberThatNothingCanHoldIsRefused) {
  const auto query = Query::parse("attribute:x =~ a{1,6477777777777777777777}");
  ASSERT_FALSE(query);
  EXPECT_NE(query.error().message.find("more than five digits"), std::string::npos) << query.error().message;
}

TEST(Query, APatternThatWouldBacktrackForeverDoesNot) {
  const std::map<std::string, std::string> attributes{{"x", std::string(128, 'a') + "!"}};
  QuerySubject s = subject();
  s.attributes = &attributes;
  const auto query = Query::parse("attribute:x =~ (a+)+b");
  ASSERT_TRUE(query);
  EXPECT_FALSE(query->matches(s));
}

}  // namespace
}  // namespace berth::cluster_sim
