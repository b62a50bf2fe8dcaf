// DataStress: one file changed by turns through several mounts, with a copy of what must be in it held in memory.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "broker/base/unique_fd.hpp"

namespace berth::parity {

class DataStress {
 public:
  // `paths`: the file as each mount names it. `maps`: with mappings, which agree in passthrough only.
  DataStress(const std::vector<std::string>& paths, std::uint64_t seed, bool maps);

  // One change or check. Throws with what is wrong, and the last operations.
  void step();

 private:
  struct Range {
    std::size_t from;
    std::size_t size;
  };
  Range range(std::size_t limit);
  int file() { return files_[random_() % files_.size()].get(); }
  std::string fresh(std::size_t size);
  void note(const std::string& operation);
  void must(bool ok, const std::string& what) const;
  void put(std::size_t at, const std::string& bytes);

  void write();
  void append();
  void read();
  void truncate();
  void punch();
  void copy();
  void map_and_write();
  void map_and_read();
  void reopen();
  void check_size() const;
  void sync();

  static constexpr std::size_t kSizeMax = 256 * 1024;

  const std::vector<std::string> paths_;
  std::vector<UniqueFd> files_;
  std::mt19937_64 random_;
  const bool maps_;
  std::string expected_;
  std::array<std::string, 12> last_;
  std::size_t notes_ = 0;
};

}  // namespace berth::parity
