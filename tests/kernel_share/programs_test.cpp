// Real programs on a real mount.
#include <string>

#include <gtest/gtest.h>

#include "tests/kernel_share/served_share.hpp"
#include "tests/support/requirements.hpp"

namespace berth::fuse::test {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};

enum class Way { through_the_daemon, passthrough, over_io_uring, over_io_uring_only };

class Programs : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    const bool ring = GetParam() == Way::over_io_uring || GetParam() == Way::over_io_uring_only;
    const bool passthrough = GetParam() == Way::passthrough || GetParam() == Way::over_io_uring;
    BERTH_NEEDS(why_no_mounts().empty(), why_no_mounts());
    BERTH_NEEDS(!ring || why_no_ring().empty(), why_no_ring());
    backing_ = temporary_ / "backing";
    at_ = temporary_ / "mnt";
    ASSERT_EQ(shell("mkdir -p " + backing_), 0);
    share_ = std::make_unique<ServedShare>(
        std::vector{
            Place{.spec = {.id = MountId("programs/data"), .backing_directory = backing_, .rights = kAll, .io_uring = ring},
                  .path = at_}},
        Share::Options{.passthrough = passthrough});
    ASSERT_EQ(share_->error(), "");
    ASSERT_EQ(share_->over_ring(), ring);
  }

  TemporaryDirectory temporary_;
  std::string backing_;
  std::string at_;
  std::unique_ptr<ServedShare> share_;
};

std::string name_of(const testing::TestParamInfo<Way>& instance) {
  switch (instance.param) {
    case Way::through_the_daemon: return "ThroughTheDaemon";
    case Way::passthrough: return "Passthrough";
    case Way::over_io_uring: return "PassthroughAndIoUring";
    case Way::over_io_uring_only: return "IoUring";
  }
  return {};
}

INSTANTIATE_TEST_SUITE_P(Share, Programs,
                         testing::Values(Way::through_the_daemon, Way::passthrough, Way::over_io_uring, Way::over_io_uring_only),
                         name_of);

TEST_P(Programs, AFileIsWrittenAndReadBack) {
  EXPECT_EQ(shell("cd " + at_ + " && mkdir a && echo hello > a/b && cat a/b && ls -la a"), 0);
  EXPECT_EQ(output_of("cat " + backing_ + "/a/b"), "hello");
}

TEST_P(Programs, GitCommitsAndFindsItsHistoryAgain) {
  const std::string git = "git -c user.name=a -c user.email=a@b -c safe.directory='*' ";
  EXPECT_EQ(shell("cd " + at_ + " && git init -q . && seq 1000 > numbers && " + git + "add . && " + git + "commit -q -m one && " +
                  "seq 2000 > numbers && " + git + "commit -q -a -m two && " + git + "fsck --strict && " + git + "gc -q"),
            0);
  EXPECT_EQ(output_of("cd " + at_ + " && " + git + "log --oneline | wc -l"), "2");
}

TEST_P(Programs, SqliteKeepsItsRowsInBothJournalModes) {
  for (const std::string mode : {"delete", "wal"}) {
    const std::string database = at_ + "/" + mode + ".db";
    EXPECT_EQ(shell("sqlite3 " + database + " 'pragma journal_mode=" + mode +
                    "; create table t(x); begin; "
                    "insert into t with recursive c(n) as (select 1 union all select n+1 from c where n<5000) select n from c; "
                    "commit; insert into t values(1);' > /dev/null"),
              0);
    EXPECT_EQ(output_of("sqlite3 " + database + " 'pragma integrity_check; select count(*) from t'"), "ok\n5001");
  }
}

TEST_P(Programs, TwoSqliteWritersLoseNoRow) {
  const std::string database = at_ + "/counter.db";
  ASSERT_EQ(shell("sqlite3 " + database + " 'create table t(x)'"), 0);
  const std::string writer =
      "for i in $(seq 50); do sqlite3 -cmd '.timeout 20000' " + database + " 'insert into t values('$i')' || exit 1; done";
  EXPECT_EQ(shell("(" + writer + ") & a=$!; (" + writer + ") & b=$!; wait $a && wait $b"), 0);
  EXPECT_EQ(output_of("sqlite3 " + database + " 'select count(*) from t'"), "100");
}

TEST_P(Programs, ATreePackedByTarIsTheSameTreeUnpacked) {
  EXPECT_EQ(
      shell("cd " + at_ +
            " && mkdir -p src/deep/er && for i in $(seq 200); do echo $i > src/deep/f$i; done && "
            "ln -s deep/f1 src/link && ln src/deep/f2 src/hard && mkfifo src/fifo && chmod 640 src/deep/f3 && "
            "tar cf t.tar src && mkdir out && tar xf t.tar -C out && diff -r --no-dereference src out/src 2>&1 | grep -v fifo; "
            "test $(stat -c %h out/src/hard) = 2 && test $(stat -c %a out/src/deep/f3) = 640 && "
            "test $(readlink out/src/link) = deep/f1 && test -p out/src/fifo"),
      0);
}

TEST_P(Programs, FioVerifiesWhatItWrote) {
  BERTH_NEEDS(shell("command -v fio > /dev/null") == 0, "fio");
  EXPECT_EQ(shell("cd " + at_ +
                  " && fio --name=v --rw=randwrite --bs=4k --size=8m --verify=crc32c --do_verify=1 --ioengine=psync "
                  "--fallocate=none --output=/dev/null"),
            0);
  EXPECT_EQ(shell("cd " + at_ +
                  " && fio --name=m --rw=randwrite --bs=4k --size=4m --verify=crc32c --do_verify=1 --ioengine=mmap "
                  "--output=/dev/null"),
            0);
  EXPECT_EQ(shell("cd " + at_ +
                  " && fio --name=d --rw=randwrite --bs=4k --size=4m --direct=1 --verify=crc32c --do_verify=1 "
                  "--ioengine=psync --output=/dev/null"),
            0);
}

TEST_P(Programs, ARemovedTreeIsGone) {
  EXPECT_EQ(shell("cd " + at_ + " && mkdir -p t/a/b/c && touch t/a/b/c/f && rm -rf t && test ! -e t"), 0);
  EXPECT_EQ(output_of("ls -A " + backing_), "");
}

}  // namespace
}  // namespace berth::fuse::test
