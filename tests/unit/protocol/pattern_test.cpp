#include "broker/protocol/pattern.hpp"

#include <gtest/gtest.h>

namespace berth::protocol {
namespace {

TEST(Pattern, TheWholeTextMustMatch) {
  const Pattern pattern("[\\w+=,.@-]+");
  EXPECT_TRUE(pattern.matches("role-1@x"));
  EXPECT_FALSE(pattern.matches("role 1"));
  EXPECT_FALSE(pattern.matches(""));
  EXPECT_FALSE(pattern.matches("r\xc3\xb6le"));
}

TEST(Pattern, AsciiEscapesOfJavaAreRead) {
  const Pattern path("(\\u002F)|(\\u002F[\\u0021-\\u007E]+\\u002F)");
  EXPECT_TRUE(path.matches("/"));
  EXPECT_TRUE(path.matches("/a/b/"));
  EXPECT_FALSE(path.matches("/a"));
}

TEST(Pattern, ADashBehindARangeStandsForItself) {
  const Pattern arn("^arn:aws[-a-z]*:elasticfilesystem:[0-9a-z-:]+:access-point/fsap-[0-9a-f]{8,40}$");
  EXPECT_TRUE(arn.matches("arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0"));
  EXPECT_FALSE(arn.matches("arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fs-0123456789abcdef0"));
}

TEST(Pattern, WhatCppReadsOtherwiseThanJavaRefusesNothing) {
  EXPECT_TRUE(Pattern("[\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*").matches("grün & blau"));
  EXPECT_TRUE(Pattern("[\\u0020-\\uD7FF\\uE000-\\uFFFD\\uD800\\uDC00-\\uDBFF\\uDFFF\\r\\n\\t]*").matches("grün"));
}

TEST(Pattern, CharactersBeyondAsciiAreNotCountedAsBytes) { EXPECT_TRUE(Pattern("[^x]{2}").matches("ää")); }

TEST(Pattern, APatternThatInvitesExponentialTimeAnswersAtOnce) {
  EXPECT_FALSE(Pattern("(a|aa)+b").matches(std::string(60, 'a')));  // backtracking would not come to an end
}

TEST(Pattern, ANumberThatNothingCanHoldRefusesNothing) {
  EXPECT_TRUE(Pattern("a{1,6477777777777777777777}").matches("b"));
  EXPECT_TRUE(Pattern("(a)\\6477777777777777777777").matches("b"));
  EXPECT_FALSE(Pattern("a{1,999}").matches("b"));
}

TEST(Pattern, ALongTextDoesNotExhaustTheStack) {
  EXPECT_TRUE(Pattern("[\\s\\S]+").matches(std::string(4000, 'x')));
  EXPECT_TRUE(Pattern("[\\s\\S]+").matches(std::string(4'000'000, 'x')));
}

}  // namespace
}  // namespace berth::protocol
