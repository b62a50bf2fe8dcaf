// SharedSurvival: a Survival for tests that play the keeper: memory made before the daemon's process is cloned, and a list of
// the descriptors to keep. The processes must share their descriptor table (CLONE_FILES); one of them uses it at a time.
#pragma once

#include <dirent.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/survival.hpp"

namespace berth::test {

class SharedSurvival final : public Survival {
 public:
  explicit SharedSurvival(std::size_t bytes = std::size_t{64} << 20U) {
    void* memory =
        mmap(nullptr, sizeof(Shared) + bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    shared_ = new (memory) Shared{};
    arena_ = {static_cast<std::byte*>(memory) + sizeof(Shared), bytes};
  }

  void keep(int fd) override {
    step();
    shared_->kept.at(static_cast<std::size_t>(fd)) = true;
    step();
  }
  void forget(int fd) override {
    step();
    shared_->kept.at(static_cast<std::size_t>(fd)) = false;
    step();
  }
  bool survived(int fd) const override {
    step();
    return shared_->survived.at(static_cast<std::size_t>(fd));
  }
  // The process dies when it has come to so many of the steps that it makes here; `left` is taken down with each, until 0.
  void die_after(std::atomic<int>* left) { steps_left_ = left; }
  // While the flag is set no new region is made.
  void deny(const std::atomic<bool>* denied) { denied_ = denied; }
  std::size_t kept_count() const {
    return static_cast<std::size_t>(std::count(shared_->kept.begin(), shared_->kept.end(), true));
  }
  bool kept(int fd) const { return shared_->kept.at(static_cast<std::size_t>(fd)); }

  Result<std::span<std::byte>> region(std::string_view name, std::size_t size) override {
    step();
    const std::scoped_lock lock(mutex_);
    Region* spare = nullptr;
    for (Region& region : used()) {
      if (region.name.data() == name) {
        if (region.size < size) return fail(Code::invalid_argument, "region `{}` is smaller", name);
        return arena_.subspan(region.offset, size);
      }
      if (region.name[0] == '\0' && region.size == size) spare = &region;
    }
    if (denied_ != nullptr && *denied_) return fail(Code::resource_exhausted, "the test gives no memory");
    if (spare == nullptr) {
      const std::size_t rounded = (size + 63) / 64 * 64;
      if (shared_->regions_used == shared_->regions.size() || shared_->arena_used + rounded > arena_.size()) {
        return fail(Code::resource_exhausted, "the test's shared memory is full");
      }
      spare = &shared_->regions[shared_->regions_used];
      spare->size = size;
      spare->offset = shared_->arena_used;
      shared_->arena_used += rounded;
      ++shared_->regions_used;
    }
    const auto bytes = arena_.subspan(spare->offset, size);
    std::memset(bytes.data(), 0, size);
    name.copy(spare->name.data(), spare->name.size() - 1);
    return bytes;
  }

  void remove_region(std::string_view name) override {
    step();
    const std::scoped_lock lock(mutex_);
    for (Region& region : used()) {
      if (region.name.data() == name) region.name = {};
    }
  }

  std::vector<std::string> regions() const override {
    const std::scoped_lock lock(mutex_);
    std::vector<std::string> names;
    for (const Region& region : used()) {
      if (region.name[0] != '\0') names.emplace_back(region.name.data());
    }
    return names;
  }

  unsigned restarts() const override { return shared_->restarts; }

  // The keeper's part, after the daemon has died: closes what is not kept and not in `own`.
  void close_the_rest(const std::set<int>& own) {
    ++shared_->restarts;
    for (std::size_t fd = 0; fd < shared_->kept.size(); ++fd) shared_->survived.at(fd) = shared_->kept.at(fd).load();
    std::vector<int> doomed;
    DIR* directory = opendir("/proc/self/fd");
    while (const dirent* entry = readdir(directory)) {
      const int fd = std::atoi(entry->d_name);
      if (entry->d_name[0] != '.' && fd != dirfd(directory) && !kept(fd) && !own.contains(fd)) doomed.push_back(fd);
    }
    closedir(directory);
    for (const int fd : doomed) close(fd);
  }

 private:
  struct Region {
    std::array<char, 64> name;
    std::size_t size;
    std::size_t offset;
  };
  struct Shared {
    std::array<std::atomic<bool>, 65536> kept;  // of several threads
    std::array<bool, 65536> survived;
    std::array<Region, 1024> regions;
    std::size_t regions_used;
    std::size_t arena_used;
    unsigned restarts;
  };

  void step() const {
    if (steps_left_ == nullptr || *steps_left_ == 0 || --*steps_left_ != 0) return;
    kill(getpid(), SIGKILL);
    while (true) pause();
  }

  std::span<Region> used() const { return std::span{shared_->regions}.first(shared_->regions_used); }

  const std::atomic<bool>* denied_ = nullptr;
  std::atomic<int>* steps_left_ = nullptr;
  mutable std::mutex mutex_;  // of one process: the next one starts with its own
  Shared* shared_;
  std::span<std::byte> arena_;
};

}  // namespace berth::test
