// duel(): runs one sequence of steps on a native directory and on two mounts of one file system, and compares.
//
// Two processes, one a mount: each does its steps on the native tree and through its mount. A process of its own each, because
// POSIX locks belong to processes; steps still come strictly one after another.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "tests/parity/step.hpp"

namespace berth::parity {

struct Ground {
  std::string native;                 // an empty directory for the sequence
  std::string backing;                // below the file system: where the mounts' tree is made and removed
  std::array<std::string, 2> mounts;  // where it is seen
  // As whom the native side acts where an access point replaces everybody.
  std::optional<Actor> enforced;
  bool access_times = true;       // not where the kernel answers reads from its own cache
  bool change_times = false;      // which changed in each step: where the clock is fine enough
  std::size_t compare_every = 1;  // steps between comparisons of the whole trees
};

struct Difference {
  std::size_t step = 0;  // index of the last step done
  std::string what;
};

// Nothing where both sides were the same to the end. Makes and removes the trees itself.
std::optional<Difference> duel(const Ground& ground, const std::vector<Step>& steps);

// The shortest sequence found that still shows a difference, by cutting out ever smaller parts.
std::vector<Step> shorten(const Ground& ground, std::vector<Step> steps);

}  // namespace berth::parity
