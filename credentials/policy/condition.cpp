#include "credentials/policy/condition.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "broker/base/encoding.hpp"

namespace berth::credentials {

namespace {

using Comparison = Condition::Comparison;
using Relation = Condition::Relation;

struct Operator {
  std::string_view name;
  Comparison comparison;
  Relation relation = Relation::equal;
  bool negated = false;
  Wildcards wildcards = Wildcards::no;
  Case letter_case = Case::exact;
};

// Without ForAnyValue:, ForAllValues: and IfExists. ArnEquals and ArnLike are the same in IAM.
constexpr Operator kOperators[] = {
    {"StringEquals", Comparison::string},
    {"StringNotEquals", Comparison::string, Relation::equal, true},
    {"StringEqualsIgnoreCase", Comparison::string, Relation::equal, false, Wildcards::no, Case::ignored},
    {"StringNotEqualsIgnoreCase", Comparison::string, Relation::equal, true, Wildcards::no, Case::ignored},
    {"StringLike", Comparison::string, Relation::equal, false, Wildcards::yes},
    {"StringNotLike", Comparison::string, Relation::equal, true, Wildcards::yes},
    {"ArnEquals", Comparison::arn, Relation::equal, false, Wildcards::yes},
    {"ArnNotEquals", Comparison::arn, Relation::equal, true, Wildcards::yes},
    {"ArnLike", Comparison::arn, Relation::equal, false, Wildcards::yes},
    {"ArnNotLike", Comparison::arn, Relation::equal, true, Wildcards::yes},
    {"NumericEquals", Comparison::number},
    {"NumericNotEquals", Comparison::number, Relation::equal, true},
    {"NumericLessThan", Comparison::number, Relation::less},
    {"NumericLessThanEquals", Comparison::number, Relation::less_or_equal},
    {"NumericGreaterThan", Comparison::number, Relation::greater},
    {"NumericGreaterThanEquals", Comparison::number, Relation::greater_or_equal},
    {"DateEquals", Comparison::date},
    {"DateNotEquals", Comparison::date, Relation::equal, true},
    {"DateLessThan", Comparison::date, Relation::less},
    {"DateLessThanEquals", Comparison::date, Relation::less_or_equal},
    {"DateGreaterThan", Comparison::date, Relation::greater},
    {"DateGreaterThanEquals", Comparison::date, Relation::greater_or_equal},
    {"Bool", Comparison::boolean},
    {"IpAddress", Comparison::address},
    {"NotIpAddress", Comparison::address, Relation::equal, true},
    {"BinaryEquals", Comparison::binary},
    {"Null", Comparison::null},
};

std::optional<double> parse_number(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// ISO 8601, a bare date, or seconds since 1970.
std::optional<TimePoint> parse_date(std::string_view text) {
  if (const auto seconds = parse_number(text); seconds && std::abs(*seconds) < 1e12) {
    return TimePoint(std::chrono::microseconds(static_cast<std::int64_t>(*seconds * 1e6)));
  }
  if (text.size() == 10) return parse_time(std::string(text) + "T00:00:00Z");
  return parse_time(text);
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (equal_ignoring_case(text, "true")) return true;
  if (equal_ignoring_case(text, "false")) return false;
  return std::nullopt;
}

template <class T>
Result<T> or_refuse(std::optional<T> value, std::string_view text, std::string_view what) {
  if (!value) return fail(Code::invalid_argument, "`{}` is not {}", text, what);
  return *std::move(value);
}

}  // namespace

Result<Condition> Condition::compile(std::string_view name, std::string_view key, const std::vector<std::string>& values,
                                     Variables variables) {
  Condition condition;
  if (auto known = condition.compile_operator(name); !known) return fail(known.error());
  if (!is_condition_key(key)) return fail(Code::invalid_argument, "`{}` is not a condition key", key);
  condition.key_ = to_lower(key);
  for (const auto& value : values) {
    auto operand = condition.compile_operand(value, variables);
    if (!operand) return fail(operand.error().within(key));
    condition.operands_.push_back(*std::move(operand));
  }
  return condition;
}

Result<> Condition::compile_operator(std::string_view name) {
  auto rest = name;
  const auto take_prefix = [&rest](std::string_view prefix) {
    const bool there = rest.starts_with(prefix);
    if (there) rest.remove_prefix(prefix.size());
    return there;
  };
  if (take_prefix("ForAnyValue:"))
    quantifier_ = Quantifier::for_any_value;
  else if (take_prefix("ForAllValues:"))
    quantifier_ = Quantifier::for_all_values;
  if (rest.ends_with("IfExists")) {
    if_exists_ = true;
    rest.remove_suffix(8);
  }
  const auto* found = std::ranges::find(kOperators, rest, &Operator::name);
  if (found == std::end(kOperators)) return fail(Code::invalid_argument, "`{}` is not a condition operator", name);
  if (found->comparison == Comparison::null && (if_exists_ || quantifier_ != Quantifier::none)) {
    return fail(Code::invalid_argument, "`{}`: Null takes neither IfExists nor a set operator", name);
  }
  comparison_ = found->comparison;
  relation_ = found->relation;
  negated_ = found->negated;
  wildcards_ = found->wildcards;
  case_ = found->letter_case;
  return {};
}

Result<Condition::Operand> Condition::compile_operand(std::string_view value, Variables variables) const {
  switch (comparison_) {
    case Comparison::string: return Pattern::compile(value, wildcards_, variables, case_);
    case Comparison::arn: {
      const bool arn = value == "*" || (value.starts_with("arn:") && std::ranges::count(value, ':') >= 5);
      if (!arn && !value.starts_with("${")) return fail(Code::invalid_argument, "`{}` is not an ARN of six parts", value);
      return Pattern::compile(value, wildcards_, variables);
    }
    case Comparison::number: return or_refuse(parse_number(value), value, "a number");
    case Comparison::date: return or_refuse(parse_date(value), value, "a date");
    case Comparison::null:
    case Comparison::boolean: return or_refuse(parse_boolean(value), value, "`true` or `false`");
    case Comparison::address: return parse_address_range(value);
    case Comparison::binary: return or_refuse(base64_decode(value), value, "base64");
  }
  return fail(Code::internal, "no such comparison");
}

bool Condition::holds(const RequestContext& context, std::vector<std::string_view>& values, bool& doubtful) const {
  context.values_of(key_, values);
  if (comparison_ == Comparison::null) {
    return std::ranges::any_of(operands_, [&](const Operand& operand) { return std::get<bool>(operand) == values.empty(); });
  }
  if (values.empty()) {
    if (if_exists_) return true;
    switch (quantifier_) {
      case Quantifier::for_all_values: return true;  // of nothing, all hold
      case Quantifier::for_any_value: return false;
      case Quantifier::none: return negated_;
    }
  }
  const auto matches_any = [&](std::string_view value) { return any_operand_matches(context, value, doubtful); };
  switch (quantifier_) {
    case Quantifier::for_all_values:
      return std::ranges::all_of(values, [&](std::string_view value) { return matches_any(value) != negated_; });
    case Quantifier::for_any_value:
      return std::ranges::any_of(values, [&](std::string_view value) { return matches_any(value) != negated_; });
    case Quantifier::none: return std::ranges::any_of(values, matches_any) != negated_;
  }
  return false;
}

bool Condition::any_operand_matches(const RequestContext& context, std::string_view value, bool& doubtful) const {
  return std::ranges::any_of(operands_, [&](const Operand& operand) { return matches(context, operand, value, doubtful); });
}

template <class T>
bool Condition::related(const T& value, const T& operand) const {
  switch (relation_) {
    case Relation::equal: return value == operand;
    case Relation::less: return value < operand;
    case Relation::less_or_equal: return value <= operand;
    case Relation::greater: return value > operand;
    case Relation::greater_or_equal: return value >= operand;
  }
  return false;
}

// A value of the request that is not of the operator's type matches nothing.
bool Condition::matches(const RequestContext& context, const Operand& operand, std::string_view value, bool& doubtful) const {
  switch (comparison_) {
    case Comparison::string:
    case Comparison::arn: {
      const auto pattern = std::get<Pattern>(operand).fill(context);
      if (!pattern) {
        doubtful = doubtful || negated_;
        return false;
      }
      if (comparison_ == Comparison::string) return pattern->matches(value);
      return std::get<Pattern>(operand).text() == "*" || pattern->matches_arn_parts(value);
    }
    case Comparison::number: {
      const auto number = parse_number(value);
      return number && related(*number, std::get<double>(operand));
    }
    case Comparison::date: {
      const auto date = parse_date(value);
      return date && related(*date, std::get<TimePoint>(operand));
    }
    case Comparison::boolean: return parse_boolean(value) == std::get<bool>(operand);
    case Comparison::address: {
      const auto address = parse_address_range(value);
      return address && std::get<AddressRange>(operand).contains(*address);
    }
    case Comparison::binary: return base64_decode(value) == std::get<std::string>(operand);
    case Comparison::null: return false;  // holds() has answered
  }
  return false;
}

}  // namespace berth::credentials
