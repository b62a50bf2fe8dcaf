#include <gtest/gtest.h>

#include <fcntl.h>

#include "broker/base/arn.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/base/random.hpp"
#include "broker/base/secret.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth {
namespace {

TEST(Arn, TakesApartAndPutsTogether) {
  const auto arn = parse_arn("arn:aws:ecs:eu-west-1:123456789012:task/demo/0f");
  ASSERT_TRUE(arn);
  EXPECT_EQ(arn->service, "ecs");
  EXPECT_EQ(arn->resource_type(), "task");
  EXPECT_EQ(arn->resource_id(), "demo/0f");
  EXPECT_EQ(arn->str(), "arn:aws:ecs:eu-west-1:123456789012:task/demo/0f");
}

TEST(Arn, RefusesAnythingWithFewerThanSixParts) {
  for (const char* bad :
       {"", "arn", "arn:aws:ecs", "arn:aws:ecs:r:1", "arn:aws:ecs:r:1:", "urn:aws:ecs:r:1:x", "arn::ecs:r:1:x"}) {
    EXPECT_FALSE(parse_arn(bad)) << bad;
  }
}

TEST(Time, PrintsAndReadsBothForms) {
  const TimePoint time = TimePoint{std::chrono::seconds{1'440'938'160}};  // the date of the SigV4 test suite
  EXPECT_EQ(to_amz_date(time), "20150830T123600Z");
  EXPECT_EQ(to_iso8601(time), "2015-08-30T12:36:00Z");
  EXPECT_EQ(parse_time("20150830T123600Z"), time);
  EXPECT_EQ(parse_time("2015-08-30T14:36:00+02:00"), time);
  EXPECT_EQ(parse_time("2015-08-30T12:36:00.5Z"), time + std::chrono::milliseconds{500});
}

TEST(Time, RefusesDatesThatAreNotDates) {
  for (const char* bad :
       {"", "2015-02-30T00:00:00Z", "2015-08-30", "20150830T1236Z", "2015-08-30T24:00:00Z", "2015-08-30T12:36:00"}) {
    EXPECT_FALSE(parse_time(bad)) << bad;
  }
}

TEST(SeededRandom, GivesTheSameSequenceForTheSameSeed) {
  SeededRandom a(7), b(7), c(8);
  const std::string first = a.hex(32);
  EXPECT_EQ(first, b.hex(32));
  EXPECT_NE(first, c.hex(32));
}

TEST(Random, UuidIsOfVersionFour) {
  SeededRandom random(1);
  const std::string id = random.uuid();
  ASSERT_EQ(id.size(), 36u);
  EXPECT_EQ(id[14], '4');
  EXPECT_NE(std::string_view{"89ab"}.find(id[19]), std::string_view::npos);
}

TEST(Secret, IsEmptyAfterBeingMovedFrom) {
  Secret from{"hunter2"};
  const Secret to = std::move(from);
  EXPECT_TRUE(from.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(to.reveal(), "hunter2");
}

TEST(Secret, ComparesWhole) {
  EXPECT_TRUE(equal_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_constant_time("abc", "ab"));
}

TEST(UniqueFd, ClosesOnceAndHandsOver) {
  const int raw = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(raw, 0);
  {
    UniqueFd a(raw);
    UniqueFd b(std::move(a));
    EXPECT_FALSE(a);  // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(b.get(), raw);
  }
  EXPECT_EQ(::fcntl(raw, F_GETFD), -1);
}

TEST(Error, NamesTheOuterBeforeTheInner) {
  const Result<> inner = fail_errno(ENOENT, "open `/x`");
  EXPECT_EQ(inner.error().within("attach `data`").message, "attach `data`: open `/x`: No such file or directory");
  EXPECT_EQ(inner.error().code, Code::not_found);
  EXPECT_EQ(inner.error().errno_value, ENOENT);
}

}  // namespace
}  // namespace berth
