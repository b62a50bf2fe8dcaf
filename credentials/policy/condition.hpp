// Condition: one operator of a Condition block with one key and its values.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "credentials/policy/context.hpp"
#include "credentials/policy/pattern.hpp"

namespace berth::credentials {

// Network of an IpAddress condition: both families as 16 bytes (IPv4 mapped into IPv6).
struct AddressRange {
  std::array<std::uint8_t, 16> address{};
  int prefix_length = 128;
  bool contains(const AddressRange& one) const;
};
Result<AddressRange> parse_address_range(std::string_view text);

class Condition {
 public:
  enum class Comparison {
    string,  // Pattern, exact or with wildcards
    arn,     // Pattern, part by part
    number,
    date,
    boolean,
    address,
    binary,
    null,
  };
  enum class Relation { equal, less, less_or_equal, greater, greater_or_equal };
  enum class Quantifier { none, for_any_value, for_all_values };

  // `name` is the operator as written: `ForAnyValue:StringNotLikeIfExists`.
  static Result<Condition> compile(std::string_view name, std::string_view key, const std::vector<std::string>& values,
                                   Variables variables);

  // `values` is room for work. `doubtful` is set where a negated comparison holds only because a variable has no value.
  bool holds(const RequestContext& context, std::vector<std::string_view>& values, bool& doubtful) const;

  const std::string& key() const { return key_; }  // lower-case

 private:
  using Operand = std::variant<Pattern, double, TimePoint, bool, AddressRange, std::string>;

  Result<> compile_operator(std::string_view name);
  Result<Operand> compile_operand(std::string_view value, Variables variables) const;
  bool any_operand_matches(const RequestContext& context, std::string_view value, bool& doubtful) const;
  bool matches(const RequestContext& context, const Operand& operand, std::string_view value, bool& doubtful) const;
  template <class T>
  bool related(const T& value, const T& operand) const;

  Comparison comparison_ = Comparison::string;
  Relation relation_ = Relation::equal;
  Quantifier quantifier_ = Quantifier::none;
  bool negated_ = false;
  bool if_exists_ = false;
  Wildcards wildcards_ = Wildcards::no;
  Case case_ = Case::exact;
  std::string key_;
  std::vector<Operand> operands_;
};

}  // namespace berth::credentials
