// Survival: what a part hands to the keeper so that it outlives a crash of the daemon.
//
// The keeper (broker/keeper) implements it over a descriptor table and memory that both processes share; a daemon that
// starts again finds both as the dead one left them. `VolatileSurvival` is for tests and for running without a keeper.
// Thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"

namespace berth {

class Survival {
 public:
  virtual ~Survival() = default;

  // The descriptor stays open, at the same number, when the daemon dies. All others are closed before the next one starts.
  virtual void keep(int fd) = 0;
  // Takes `keep` back. Call it before close(2), else the number may already be another's.
  virtual void forget(int fd) = 0;
  // Whether an earlier daemon kept it and died: then the number is still what that one meant by it.
  virtual bool survived(int fd) const = 0;

  // A named region of memory: the same bytes after a restart, zeroes when new. It keeps the size it was made with: asking
  // for more of it is Code::invalid_argument (take another region). Names are at most 63 bytes.
  virtual Result<std::span<std::byte>> region(std::string_view name, std::size_t size) = 0;
  virtual void remove_region(std::string_view name) = 0;
  // The names of all regions there are.
  virtual std::vector<std::string> regions() const = 0;

  // How often the daemon has died and been started again since the keeper came up: 0 at first.
  virtual unsigned restarts() const = 0;

  // Another program takes this daemon's place, as after a crash: it may start at any moment from now on. It is given back where
  // it does not come up. Fails where there is no keeper.
  virtual Result<> replace_with(const std::string& binary);
  // This daemon serves: one that replaced another stays.
  virtual void serves() {}
  // How the last replacement ended: empty where there was none or it went well, else why the old program came back.
  virtual std::string replacement_failure() const { return {}; }
};

class VolatileSurvival final : public Survival {
 public:
  void keep(int fd) override;
  void forget(int fd) override;
  bool survived(int fd) const override;  // for who plays an earlier daemon in the same process: whether it is kept
  Result<std::span<std::byte>> region(std::string_view name, std::size_t size) override;
  void remove_region(std::string_view name) override;
  std::vector<std::string> regions() const override;
  unsigned restarts() const override { return 0; }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<std::byte>, std::less<>> regions_;
  std::set<int> kept_;
};

}  // namespace berth
