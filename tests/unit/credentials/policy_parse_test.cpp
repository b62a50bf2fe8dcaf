#include "tests/unit/credentials/world.hpp"

namespace berth::credentials {
namespace {

TEST(PolicyParse, MoreBracketsThanAStackCanHoldAreRefused) {
  for (const std::string open : {"[", "{\"a\":"}) {
    std::string document = R"({"Version":"2012-10-17","Statement":)";
    for (int i = 0; i < 20000; ++i) document += open;
    document += "1";
    for (int i = 0; i < 20000; ++i) document += open == "[" ? "]" : "}";
    document += "}";
    const auto parsed = Policy::parse(document, PolicyKind::identity);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().message, "the policy is nested more than 16 deep");
  }
}

TEST(PolicyParse, ADocumentThatIsTooLongIsRefusedUnread) {
  EXPECT_FALSE(Policy::parse(std::string(200 * 1024, ' '), PolicyKind::identity));
}

TEST(PolicyParse, TheDocumentComesBackByteForByte) {
  const std::string document =
      "{ \"Version\":\"2012-10-17\",\n \"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"*\"} }";
  EXPECT_EQ(policy(document)->document(), document);
}

TEST(PolicyParse, InvalidUtf8IsRefused) {
  EXPECT_FALSE(Policy::parse("{\"Version\":\"2012-10-17\",\"Id\":\"\xFF\",\"Statement\":[]}", PolicyKind::identity));
}

}  // namespace
}  // namespace berth::credentials
