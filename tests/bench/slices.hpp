// What the measurements of bench_operations have in common.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>

#include "jobs.hpp"

namespace berth::bench {

// A row is measured in slices and the best one counts: what else the machine does only ever takes away.
inline constexpr int kSlices = 5;
inline constexpr Seconds kLongEnough{0.02};  // a slice of what can be repeated

inline void check(bool well, const char* what) {
  if (!well) Jobs::fail(what);
}

inline std::string nth(const std::string& directory, const std::string& prefix, int i) {
  return directory + "/" + prefix + std::to_string(i);
}

inline void print(std::string_view name, double rate) {
  std::printf("%.*s\t%.1f\n", static_cast<int>(name.size()), name.data(), rate);
}

inline void make_file(const std::string& path, std::size_t size) {
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  check(fd >= 0, path.c_str());
  const std::string content(size, 'x');
  check(write(fd, content.data(), size) == static_cast<ssize_t>(size) && close(fd) == 0, path.c_str());
}

inline double best_rate(Jobs& jobs, const std::function<std::uint64_t(unsigned)>& work) {
  double best = 0;
  for (int slice = 0; slice < kSlices; ++slice) best = std::max(best, jobs.rate(work));
  return best;
}

}  // namespace berth::bench
