// Secret: a string that can't be printed or compared by accident and wipes itself.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace berth {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret() { wipe(); }

  // The one way to the text: each use can be found by its name.
  std::string_view reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

 private:
  void wipe();
  std::string value_;
};

// Takes the same time wherever the two differ (their lengths may be learnt).
bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace berth
