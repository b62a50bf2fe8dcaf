// Chance comes in as an argument too: the daemon hands out the kernel's, tests and the simulator a seeded generator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace berth {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(std::span<std::byte> bytes) = 0;

  std::uint64_t next();
  // Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound);
  // `length` characters drawn from `alphabet`.
  std::string text(std::size_t length, std::string_view alphabet);
  std::string hex(std::size_t length) { return text(length, "0123456789abcdef"); }
  // Version 4, RFC 9562.
  std::string uuid();
};

// getrandom(2). Thread-safe.
class SystemRandom final : public Random {
 public:
  void fill(std::span<std::byte> bytes) override;
};

// splitmix64 from a seed: the same sequence on every machine. Not thread-safe, not for secrets.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(std::span<std::byte> bytes) override;

 private:
  std::uint64_t state_;
};

}  // namespace berth
