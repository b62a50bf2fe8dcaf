#include "credentials/policy/pattern.hpp"

#include <algorithm>
#include <array>
#include <span>

#include "credentials/policy/context.hpp"

namespace berth::credentials {

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string to_lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) { return to_lower(c); });
  return lower;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return to_lower(x) == to_lower(y); });
}

namespace {

constexpr std::uint16_t kAny = 256;
constexpr std::uint16_t kOne = 257;
using SymbolView = std::span<const std::uint16_t>;

bool is_continuation_byte(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// `?` stands for a character, not for a byte of one.
std::size_t next_character(std::string_view text, std::size_t at) {
  do ++at;
  while (at < text.size() && is_continuation_byte(text[at]));
  return at;
}

// Only the last star ever needs another try: what an earlier one could take, the last one can take as well.
bool glob(SymbolView pattern, std::string_view text, Case letter_case) {
  const auto same = [letter_case](std::uint16_t symbol, char c) {
    return symbol == static_cast<unsigned char>(letter_case == Case::ignored ? to_lower(c) : c);
  };
  std::size_t p = 0;
  std::size_t t = 0;
  std::optional<std::size_t> star;
  std::size_t star_text = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == kAny) {
      star = p++;
      star_text = t;
    } else if (p < pattern.size() && pattern[p] == kOne) {
      ++p;
      t = next_character(text, t);
    } else if (p < pattern.size() && same(pattern[p], text[t])) {
      ++p;
      ++t;
    } else if (star) {
      p = *star + 1;
      t = star_text = next_character(text, star_text);
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == kAny) ++p;
  return p == pattern.size();
}

// The six parts at the first five colons; fewer where there are fewer colons.
template <class Range, class Separator>
std::vector<Range> arn_parts(Range all, Separator colon) {
  std::vector<Range> parts;
  while (parts.size() < 5) {
    const auto end = std::ranges::find(all, colon);
    if (end == all.end()) break;
    const auto length = static_cast<std::size_t>(end - all.begin());
    parts.push_back(Range(all.data(), length));
    all = Range(all.data() + length + 1, all.size() - length - 1);
  }
  parts.push_back(all);
  return parts;
}

}  // namespace

Pattern::Symbol Pattern::literal(char c) const { return static_cast<unsigned char>(case_ == Case::ignored ? to_lower(c) : c); }

Result<Pattern> Pattern::compile(std::string_view text, Wildcards wildcards, Variables variables, Case letter_case) {
  Pattern pattern;
  pattern.text_ = text;
  pattern.case_ = letter_case;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (variables == Variables::yes && text.substr(i).starts_with("${")) {
      const auto end = text.find('}', i);
      if (end == std::string_view::npos) return fail(Code::invalid_argument, "`{}` has a `${{` without its `}}`", text);
      auto compiled = pattern.compile_variable(text.substr(i + 2, end - i - 2));
      if (!compiled) return fail(compiled.error());
      i = end;
    } else if (wildcards == Wildcards::yes && text[i] == '*') {
      pattern.symbols_.push_back(kAnySequence);
    } else if (wildcards == Wildcards::yes && text[i] == '?') {
      pattern.symbols_.push_back(kAnyCharacter);
    } else {
      pattern.symbols_.push_back(pattern.literal(text[i]));
    }
  }
  return pattern;
}

Result<> Pattern::compile_variable(std::string_view inside) {
  if (inside == "*" || inside == "?" || inside == "$") {
    symbols_.push_back(static_cast<unsigned char>(inside.front()));
    return {};
  }
  Variable variable{symbols_.size(), "", std::nullopt};
  const auto comma = inside.find(',');
  const auto key = inside.substr(0, comma);
  if (!is_condition_key(key)) return fail(Code::invalid_argument, "`${{{}}}` is not a policy variable", inside);
  variable.key = to_lower(key);
  if (comma != std::string_view::npos) {
    auto fallback = inside.substr(comma + 1);
    fallback.remove_prefix(std::min(fallback.find_first_not_of(' '), fallback.size()));
    if (fallback.size() < 2 || fallback.front() != '\'' || fallback.back() != '\'') {
      return fail(Code::invalid_argument, "the default of `${{{}}}` must stand in single quotes", inside);
    }
    variable.fallback = fallback.substr(1, fallback.size() - 2);
  }
  variables_.push_back(std::move(variable));
  return {};
}

std::optional<Pattern::Filled> Pattern::fill(const RequestContext& context) const {
  if (variables_.empty()) return Filled(&symbols_, case_);
  std::vector<Symbol> filled;
  filled.reserve(symbols_.size() + 64);
  std::size_t from = 0;
  const auto copy_until = [&](std::size_t to) {
    filled.insert(filled.end(), symbols_.begin() + static_cast<std::ptrdiff_t>(from),
                  symbols_.begin() + static_cast<std::ptrdiff_t>(to));
    from = to;
  };
  for (const auto& variable : variables_) {
    copy_until(variable.position);
    std::optional<std::string_view> value = context.single_value(variable.key);
    if (!value && variable.fallback) value = *variable.fallback;
    if (!value) return std::nullopt;
    // A star in the value is a star of the value: it does not become a wildcard.
    for (const char c : *value) filled.push_back(literal(c));
  }
  copy_until(symbols_.size());
  return Filled(std::move(filled), case_);
}

bool Pattern::matches(std::string_view text) const { return glob(symbols_, text, case_); }

bool Pattern::Filled::matches(std::string_view text) const { return glob(symbols(), text, case_); }

bool Pattern::Filled::matches_arn_parts(std::string_view arn) const {
  const auto wanted = arn_parts<SymbolView>(symbols(), std::uint16_t{':'});
  const auto given = arn_parts<std::string_view>(arn, ':');
  return std::ranges::equal(wanted, given, [this](SymbolView part, std::string_view text) { return glob(part, text, case_); });
}

bool Pattern::Filled::matches_resource(std::string_view arn) const {
  if (matches_arn_parts(arn)) return true;
  const auto parts = arn_parts<SymbolView>(symbols(), std::uint16_t{':'});
  const bool reaches_over_colons = std::ranges::any_of(std::span(parts).first(std::min<std::size_t>(parts.size(), 5)),
                                                       [](SymbolView part) { return !part.empty() && part.back() == kAny; });
  return reaches_over_colons && glob(symbols(), arn, case_);
}

}  // namespace berth::credentials
