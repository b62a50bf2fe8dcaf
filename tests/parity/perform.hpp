// Side: one process's view of one tree (native, or through a mount): its root and its open files. perform() runs a step on it.
#pragma once

#include <array>
#include <string>

#include "broker/base/unique_fd.hpp"
#include "tests/parity/step.hpp"

namespace berth::parity {

struct Side {
  std::string root;
  bool access_times = true;  // held against each other
  std::array<UniqueFd, kSlots> files;
};

// What a program sees of a call; two sides must give the same.
struct Outcome {
  long result = 0;
  int error = 0;
  std::string data;  // what was read, listed, or told of attributes
  bool operator==(const Outcome&) const = default;
};

void become(const Actor& actor);  // of this thread, for file access only
Outcome perform(const Step& step, Side& side);
std::string describe(const Outcome& outcome);

}  // namespace berth::parity
