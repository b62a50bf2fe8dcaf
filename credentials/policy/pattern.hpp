// Pattern: a value of a policy that may hold wildcards (`*`, `?`) and policy variables (`${aws:username}`,
// `${aws:PrincipalTag/team, 'none'}`, `${*}`). Compiled once; matching takes at most text x pattern steps, whatever the stars.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::credentials {

class RequestContext;

// Do `*` and `?` stand for others, or for themselves?
enum class Wildcards { no, yes };
// Version 2008-10-17 has no variables: `${` is text there.
enum class Variables { no, yes };
enum class Case { exact, ignored };

class Pattern {
 public:
  static Result<Pattern> compile(std::string_view text, Wildcards wildcards, Variables variables, Case letter_case = Case::exact);

  // A pattern with its variables filled in.
  class Filled;
  // nullopt where a variable has no value in this request and no default: such a pattern matches nothing.
  std::optional<Filled> fill(const RequestContext& context) const;

  // For patterns without variables.
  bool matches(std::string_view text) const;
  bool has_variables() const { return !variables_.empty(); }
  const std::string& text() const { return text_; }

 private:
  // A byte of text, or one of the two below.
  using Symbol = std::uint16_t;
  static constexpr Symbol kAnySequence = 256;
  static constexpr Symbol kAnyCharacter = 257;
  struct Variable {
    std::size_t position;  // in symbols_, where its value goes
    std::string key;       // lower-case
    std::optional<std::string> fallback;
  };

  Result<> compile_variable(std::string_view inside);
  Symbol literal(char c) const;

  std::string text_;
  Case case_ = Case::exact;
  std::vector<Symbol> symbols_;
  std::vector<Variable> variables_;
};

class Pattern::Filled {
 public:
  bool matches(std::string_view text) const;
  // As matches(), but each of the six parts of an ARN by itself, so that a star does not reach over a colon.
  bool matches_arn_parts(std::string_view arn) const;
  // As Resource elements match: by parts, but a star at the end of a part may reach beyond its colon.
  bool matches_resource(std::string_view arn) const;

 private:
  friend class Pattern;
  using Symbols = std::vector<Symbol>;
  Filled(const Symbols* shared, Case letter_case) : shared_(shared), case_(letter_case) {}
  Filled(Symbols own, Case letter_case) : own_(std::move(own)), case_(letter_case) {}
  const Symbols& symbols() const { return shared_ ? *shared_ : own_; }

  const Symbols* shared_ = nullptr;  // the pattern's own, where it has no variables: nothing is copied
  Symbols own_;
  Case case_;
};

// ASCII only, as everything that policies compare this way is.
char to_lower(char c);
std::string to_lower(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace berth::credentials
