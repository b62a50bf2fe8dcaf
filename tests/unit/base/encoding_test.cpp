#include "broker/base/encoding.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

// RFC 4648, section 10.
TEST(Base64, AgreesWithTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(base64_encode(plain), encoded);
    EXPECT_EQ(base64_decode(encoded), plain);
  }
}

TEST(Base64, RefusesWhatIsNotWholeOrPadded) {
  for (const char* bad : {"Zg", "Zg=", "Z===", "Zm9v Zg==", "Zm=v", "Zm9*", "===="}) EXPECT_FALSE(base64_decode(bad)) << bad;
}

// Two texts for the same bytes would make two session tokens of one.
TEST(Base64, RefusesASecondFormOfTheSameBytes) {
  EXPECT_EQ(base64_decode("Zg=="), "f");
  for (const char* second : {"Zh==", "Zv==", "Zm9=", "d29ybGQW56789abcdef="}) EXPECT_FALSE(base64_decode(second)) << second;
}

TEST(Hex, RoundTripsAllBytes) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  EXPECT_EQ(hex_decode(hex_encode(bytes)), bytes);
  EXPECT_FALSE(hex_decode("0g"));
  EXPECT_FALSE(hex_decode("abc"));
}

TEST(Percent, KeepsUnreservedCharactersAndNothingElse) {
  EXPECT_EQ(percent_encode("AZaz09-._~/ +*\xc3\xa4"), "AZaz09-._~%2F%20%2B%2A%C3%A4");
  EXPECT_EQ(percent_encode("a/b c", true), "a/b%20c");
}

TEST(Percent, DecodesPlusOnlyInForms) {
  EXPECT_EQ(percent_decode("a+b%2Fc"), "a+b/c");
  EXPECT_EQ(percent_decode("a+b%2fc", true), "a b/c");
}

TEST(Percent, RefusesABrokenEscape) {
  for (const char* bad : {"%", "%1", "a%zz", "%2"}) EXPECT_FALSE(percent_decode(bad)) << bad;
}

TEST(Utf8, WellFormedTextIsToldFromBytes) {
  for (const char* good : {"", "plain", "\xc3\xa4", "\xe2\x82\xac", "\xed\x9f\xbf", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad :
       {"\xff", "\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82", "\xc3("})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

TEST(MountField, EscapesOfTheKernelAreDecodedAndAllElseStays) {
  EXPECT_EQ(mount_field_decode("/a\\040b\\134c\\011"), "/a b\\c\t");
  EXPECT_EQ(mount_field_decode("/plain"), "/plain");
  EXPECT_EQ(mount_field_decode("\\04"), "\\04");
  EXPECT_EQ(mount_field_decode("\\089 \\"), "\\089 \\");
}

}  // namespace
}  // namespace berth
