// KeeperSurvival: Survival over the memory and the descriptor table that the daemon shares with its keeper. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "broker/base/survival.hpp"
#include "broker/keeper/region_pools.hpp"
#include "broker/keeper/shared_table.hpp"

namespace berth::keeper {

class KeeperSurvival final : public Survival {
 public:
  // Takes up what an earlier daemon left in `table`, which outlives this.
  explicit KeeperSurvival(SharedTable& table);
  ~KeeperSurvival() override;
  KeeperSurvival(const KeeperSurvival&) = delete;
  KeeperSurvival& operator=(const KeeperSurvival&) = delete;

  void keep(int fd) override { table_.kept.add(fd); }
  void forget(int fd) override { table_.kept.remove(fd); }
  bool survived(int fd) const override;
  Result<std::span<std::byte>> region(std::string_view name, std::size_t size) override;
  // The region's memory is gone, or another region's, when it returns.
  void remove_region(std::string_view name) override;
  std::vector<std::string> regions() const override;
  unsigned restarts() const override { return table_.restarts.load(); }
  Result<> replace_with(const std::string& binary) override;
  void serves() override;
  std::string replacement_failure() const override;

 private:
  struct Region {
    RegionSlot* slot = nullptr;
    std::span<std::byte> memory;  // empty until it is asked for
  };
  Result<Region> make(std::string_view name, std::size_t size);
  RegionSlot* free_slot();
  Result<> map(Region& region);

  SharedTable& table_;
  const std::vector<int> survivors_;  // sorted
  mutable std::mutex mutex_;
  std::map<std::string, Region, std::less<>> regions_;
  RegionPools pools_;
  std::size_t next_slot_ = 0;
};

}  // namespace berth::keeper
