#include <gmock/gmock.h>

#include "tests/kernel_runtime/runtime_fixture.hpp"

namespace berth::runtime::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(RuntimeTest, AHostImagePrintsAndExitsAndItsReportsComeInOrder) {
  const std::string text = run(shell_task("t1", "echo hello; echo oops >&2; exit 3"));
  EXPECT_THAT(text, HasSubstr("stdout hello\n"));
  EXPECT_THAT(text, HasSubstr("stderr oops\n"));
  EXPECT_THAT(reports_.of(TaskId("t1")), ElementsAre("pull started", "pull stopped", "started app", "running", "exited app 3", "stopped"));
}

}  // namespace
}  // namespace berth::runtime::testing
