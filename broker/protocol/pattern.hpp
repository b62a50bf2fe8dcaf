// Pattern: a member's pattern, written for Java's regular expressions, as far as C++ can check it surely.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace berth::protocol {

class Pattern {
 public:
  explicit Pattern(std::string java);
  ~Pattern();
  const std::string& str() const { return java_; }
  // False only where the whole text surely doesn't match. A pattern that C++ reads otherwise than Java (Unicode classes)
  // matches everything: the service's own checks come after. Takes time in proportion to the text. Thread-safe.
  bool matches(std::string_view text) const;

 private:
  struct Compiled;
  std::string java_;
  mutable std::once_flag once_;  // compiled when it is first needed: most never are
  mutable std::unique_ptr<const Compiled> compiled_;
};

}  // namespace berth::protocol
