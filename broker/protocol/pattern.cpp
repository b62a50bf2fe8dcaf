#include "broker/protocol/pattern.hpp"

#include <algorithm>
#include <optional>
#include <regex>

#include "broker/base/encoding.hpp"
#include "broker/base/regex_numbers.hpp"

namespace berth::protocol {

struct Pattern::Compiled {
  std::regex regex;
  bool ascii_only = false;  // counts or excludes characters: bytes of UTF-8 would be counted wrongly
};

namespace {

// Longer values are left to the service: matching costs pattern size times text size.
constexpr std::size_t kTextMax = 4096;

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// `\u002F` -> `\x2f`; nullopt where it names a character beyond ASCII.
std::optional<std::string> ascii_escapes(std::string_view java) {
  std::string out;
  for (std::size_t i = 0; i < java.size(); ++i) {
    if (!java.substr(i).starts_with("\\u")) {
      out += java[i];
      // An escaped backslash must not lend itself to the `u` behind it.
      if (java[i] == '\\' && i + 1 < java.size()) out += java[++i];
      continue;
    }
    const auto code = hex_decode(java.substr(i + 2, 4));
    if (!code || code->size() != 2 || (*code)[0] != 0 || static_cast<unsigned char>((*code)[1]) > 0x7f) return std::nullopt;
    out += "\\x" + hex_encode(code->substr(1));
    i += 5;
  }
  return out;
}

// In a set, a `-` behind a range (`0-9a-z-:`) stands for itself in Java; libstdc++ refuses it unescaped.
std::string escaped_dashes(std::string_view pattern) {
  std::string out;
  bool in_set = false;
  std::size_t since_range = 2;  // characters since a range ended
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '\\' && i + 1 < pattern.size()) {
      out += c;
      out += pattern[++i];
      since_range = 2;
      continue;
    }
    if (in_set && c == '-' && since_range == 0 && i + 1 < pattern.size() && pattern[i + 1] != ']') {
      out += "\\-";
      since_range = 2;
      continue;
    }
    const bool ends_range = in_set && i >= 2 && pattern[i - 1] == '-' && pattern[i - 2] != '[' && c != ']' && since_range >= 1;
    since_range = ends_range ? 0 : since_range + 1;
    if (c == '[') in_set = true;
    if (c == ']') in_set = false;
    out += c;
  }
  return out;
}

// What Java has and ECMAScript reads as something else.
bool differs_from_java(std::string_view pattern) {
  for (const std::string_view part :
       {"\\p", "\\P", "\\A", "\\z", "\\Z", "\\h", "\\Q", "&&", "(?<", "(?i", "(?s", "(?m", "++", "*+"}) {
    if (has(pattern, part)) return true;
  }
  return false;
}

bool counts_characters(std::string_view pattern) {
  for (const std::string_view part : {"[^", ".*", ".+", ".{", "\\S", "\\W", "\\D"}) {
    if (has(pattern, part)) return true;
  }
  return false;
}

}  // namespace

Pattern::Pattern(std::string java) : java_(std::move(java)) {}

Pattern::~Pattern() = default;

bool Pattern::matches(std::string_view text) const {
  std::call_once(once_, [this] {
    const auto ascii = ascii_escapes(java_);
    if (!ascii || differs_from_java(*ascii) || !numbers_are_small(*ascii)) return;
    auto flags = std::regex::ECMAScript;
#ifdef __GLIBCXX__
    // Breadth first: no exponential time, and no recursion as deep as the text is long.
    flags |= std::regex_constants::__polynomial;
#endif
    try {
      compiled_ =
          std::make_unique<const Compiled>(Compiled{std::regex(escaped_dashes(*ascii), flags), counts_characters(*ascii)});
    } catch (const std::regex_error&) {
      // Not a pattern that C++ knows: nothing is refused by it.
    }
  });
  if (!compiled_ || text.size() > kTextMax) return true;
  const bool ascii = std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (!ascii && compiled_->ascii_only) return true;
  return std::regex_match(text.begin(), text.end(), compiled_->regex);
}

}  // namespace berth::protocol
