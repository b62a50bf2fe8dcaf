#include "broker/base/json_depth.hpp"

#include <gtest/gtest.h>

#include <string>

namespace berth {
namespace {

TEST(JsonDepth, IsThatOfBracketsOutsideStrings) {
  EXPECT_FALSE(nests_deeper("", 0));
  EXPECT_FALSE(nests_deeper("7", 0));
  EXPECT_TRUE(nests_deeper("[]", 0));
  EXPECT_FALSE(nests_deeper(R"({"a": [1, {}], "b": [{}]})", 3));
  EXPECT_TRUE(nests_deeper(R"({"a": [1, {}]})", 2));
  EXPECT_FALSE(nests_deeper(R"(["[[[[", "\"[[[[", "\\"])", 1));
}

TEST(JsonDepth, ATextThatIsNotJsonHasOneToo) {
  EXPECT_TRUE(nests_deeper(std::string(1'000'000, '[')));
  EXPECT_FALSE(nests_deeper("]]]][[[[", 1));  // what closes more than it opened is no JSON anyway
  EXPECT_FALSE(nests_deeper("\"[[[[[\\", 1));
}

}  // namespace
}  // namespace berth
