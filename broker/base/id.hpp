// Id<Tag>: a string with a type of its own, so that ids of different things can't be swapped.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <utility>

namespace berth {

template <class Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string value) : value_(std::move(value)) {}
  const std::string& str() const { return value_; }
  bool empty() const { return value_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string value_;
};

}  // namespace berth

template <class Tag>
struct std::hash<berth::Id<Tag>> {
  std::size_t operator()(const berth::Id<Tag>& id) const noexcept { return std::hash<std::string>{}(id.str()); }
};
