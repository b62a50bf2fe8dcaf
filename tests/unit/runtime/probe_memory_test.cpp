#include "broker/runtime/probe_memory.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "broker/runtime/files.hpp"

namespace berth::runtime {
namespace {

class ProbeMemoryTest : public ::testing::Test {
 protected:
  ProbeMemoryTest() {
    std::filesystem::create_directory(programs_);
    ::setenv("PATH", programs_.c_str(), 1);
  }
  ~ProbeMemoryTest() override {
    ::setenv("PATH", path_before_.c_str(), 1);
    std::filesystem::remove_all(folder_);
  }
  ProbeMemoryTest(const ProbeMemoryTest&) = delete;
  ProbeMemoryTest& operator=(const ProbeMemoryTest&) = delete;

  static std::filesystem::path make_folder() {
    std::string name = ::testing::TempDir() + "/probe-memory-XXXXXX";
    return ::mkdtemp(name.data());
  }
  void install(const std::string& name, const std::string& text, mode_t mode = 0755) {
    ASSERT_TRUE(write_file(programs_ / name, text, mode));
  }

  const std::string path_before_ = std::getenv("PATH");
  const std::filesystem::path folder_ = make_folder(), programs_ = folder_ / "bin";
  const std::string file_ = folder_ / "oci-runtime";
};

TEST_F(ProbeMemoryTest, WhatWasFoundIsRecalledUnderTheSameFingerprint) {
  ASSERT_TRUE(remember_probe(file_, "f1", {"runc", "runc 1.1.5"}));
  const auto recalled = recall_probe(file_, "f1");
  ASSERT_TRUE(recalled);
  EXPECT_EQ(recalled->program, "runc");
  EXPECT_EQ(recalled->version, "runc 1.1.5");
}

TEST_F(ProbeMemoryTest, AnotherFingerprintRecallsNothing) {
  ASSERT_TRUE(remember_probe(file_, "f1", {"runc", "runc 1.1.5"}));
  EXPECT_FALSE(recall_probe(file_, "f2"));
}

TEST_F(ProbeMemoryTest, NothingIsRememberedWithoutAFingerprint) {
  ASSERT_TRUE(remember_probe(file_, "", {"runc", "runc 1.1.5"}));
  EXPECT_FALSE(std::filesystem::exists(file_));
  EXPECT_FALSE(recall_probe(file_, ""));
}

TEST_F(ProbeMemoryTest, ATornFileRecallsNothing) {
  ASSERT_TRUE(write_file(file_, "f1\nrunc"));
  EXPECT_FALSE(recall_probe(file_, "f1"));
  ASSERT_TRUE(write_file(file_, ""));
  EXPECT_FALSE(recall_probe(file_, "f1"));
}

TEST_F(ProbeMemoryTest, TheFingerprintChangesWithTheProgramsThatAreThere) {
  const std::string none = probe_fingerprint();
  install("runc", "one");
  const std::string first = probe_fingerprint();
  EXPECT_NE(first, none);
  EXPECT_EQ(probe_fingerprint(), first);
  install("runc", "another");
  EXPECT_NE(probe_fingerprint(), first);
}

TEST_F(ProbeMemoryTest, AFileThatNobodyMayRunIsNoProgram) {
  const std::string none = probe_fingerprint();
  install("crun", "text", 0644);
  EXPECT_EQ(probe_fingerprint(), none);
}

}  // namespace
}  // namespace berth::runtime
