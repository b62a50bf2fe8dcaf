#include "cluster_sim/query.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <regex>
#include <variant>

#include "broker/base/regex_numbers.hpp"
#include "cluster_sim/query_lexer.hpp"

namespace berth::cluster_sim {
namespace {

constexpr std::size_t kExpressionMax = 2000;  // characters, as the API has it

using Predicate = Query::Predicate;
using Values = std::vector<std::string>;

// What a subject is on one container instance; nullopt: it doesn't have it.
using ValuesOf = std::function<std::optional<Values>(const QuerySubject&)>;
// < 0, 0, > 0; nullopt where the two can't be compared.
using Order = std::optional<int> (*)(std::string_view, std::string_view);

int sign(int order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

template <class T>
std::optional<int> compare_parsed(const std::optional<T>& a, const std::optional<T>& b) {
  if (!a || !b) return std::nullopt;
  return *a < *b ? -1 : *b < *a ? 1 : 0;
}

std::optional<double> as_number(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int> order_of_texts(std::string_view a, std::string_view b) {
  if (auto order = compare_parsed(as_number(a), as_number(b))) return order;
  return sign(a.compare(b));
}

std::optional<int> order_of_numbers(std::string_view a, std::string_view b) { return compare_parsed(as_number(a), as_number(b)); }

// 1.9.0 < 1.10.0; a part that is missing counts as 0.
std::optional<int> order_of_versions(std::string_view a, std::string_view b) {
  const auto part = [](std::string_view& text) -> std::optional<unsigned> {
    unsigned value = 0;
    if (text.empty()) return value;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (!text.empty() && text[0] == '.')
      text.remove_prefix(1);
    else if (!text.empty())
      return std::nullopt;
    return value;
  };
  while (!a.empty() || !b.empty()) {
    const auto left = part(a), right = part(b);
    const auto order = compare_parsed(left, right);
    if (!order || *order != 0) return order;
  }
  return 0;
}

// `2018-06-18`, with a time, with a zone: what is missing is midnight and UTC.
std::optional<TimePoint> as_time(std::string_view text) {
  std::string full(text);
  if (full.size() == 10) full += "T00:00:00Z";
  if (auto time = parse_time(full)) return time;
  return parse_time(full + "Z");
}
std::optional<int> order_of_times(std::string_view a, std::string_view b) { return compare_parsed(as_time(a), as_time(b)); }

struct Subject {
  ValuesOf values;
  Order order = order_of_texts;
};

// Texts are equal as they stand (`007` is not `7`), all else by its order.
bool same(Order order, const std::string& value, const std::string& wanted) {
  return value == wanted || (order != order_of_texts && order(value, wanted) == 0);
}

std::optional<Subject> subject_named(const std::string& name) {
  const auto one = [](std::string value) { return std::optional<Values>(Values{std::move(value)}); };
  if (name == "agentConnected")
    return Subject{[one](const QuerySubject& s) { return one(s.agent_connected ? "true" : "false"); }};
  if (name == "agentVersion")
    return Subject{[one](const QuerySubject& s) { return one(std::string(s.agent_version)); }, order_of_versions};
  if (name == "ec2InstanceId") return Subject{[one](const QuerySubject& s) { return one(std::string(s.ec2_instance)); }};
  if (name == "registeredAt")
    return Subject{[one](const QuerySubject& s) { return one(to_iso8601(s.registered)); }, order_of_times};
  if (name == "runningTasksCount") {
    return Subject{[one](const QuerySubject& s) { return one(std::to_string(s.running_tasks)); }, order_of_numbers};
  }
  if (name == "task:group") {
    return Subject{
        [](const QuerySubject& s) { return std::optional<Values>(Values(s.task_groups.begin(), s.task_groups.end())); }};
  }
  static constexpr std::string_view kAttribute = "attribute:";
  if (!name.starts_with(kAttribute) || name.size() == kAttribute.size()) return std::nullopt;
  return Subject{[one, attribute = name.substr(kAttribute.size())](const QuerySubject& s) -> std::optional<Values> {
    auto found = s.attributes->find(attribute);
    if (found == s.attributes->end()) return std::nullopt;
    return one(found->second);
  }};
}

enum class Operator {
  equal,
  not_equal,
  greater,
  greater_equal,
  less,
  less_equal,
  exists,
  not_exists,
  in,
  not_in,
  match,
  not_match
};

std::optional<Operator> operator_named(const QueryToken& token) {
  static const std::map<std::string_view, Operator> kNames{{"==", Operator::equal},
                                                           {"equals", Operator::equal},
                                                           {"!=", Operator::not_equal},
                                                           {"not_equals", Operator::not_equal},
                                                           {">", Operator::greater},
                                                           {"greater_than", Operator::greater},
                                                           {">=", Operator::greater_equal},
                                                           {"greater_than_equal", Operator::greater_equal},
                                                           {"<", Operator::less},
                                                           {"less_than", Operator::less},
                                                           {"<=", Operator::less_equal},
                                                           {"less_than_equal", Operator::less_equal},
                                                           {"exists", Operator::exists},
                                                           {"!exists", Operator::not_exists},
                                                           {"not_exists", Operator::not_exists},
                                                           {"in", Operator::in},
                                                           {"!in", Operator::not_in},
                                                           {"not_in", Operator::not_in},
                                                           {"=~", Operator::match},
                                                           {"matches", Operator::match},
                                                           {"!~", Operator::not_match},
                                                           {"not_matches", Operator::not_match}};
  if (token.kind != QueryToken::Kind::word && token.kind != QueryToken::Kind::symbol) return std::nullopt;
  auto found = kNames.find(token.text);
  if (found == kNames.end()) return std::nullopt;
  return found->second;
}

using Test = std::function<bool(const std::string&)>;  // of one value

// `none`: true where the subject is there and no value of it passes.
Predicate any_value(ValuesOf values, Test test, bool none) {
  return [values = std::move(values), test = std::move(test), none](const QuerySubject& subject) {
    const auto there = values(subject);
    return there && std::ranges::any_of(*there, test) != none;
  };
}

Result<std::regex> compile(const QueryToken& argument) {
  auto flags = std::regex::ECMAScript | std::regex::optimize;
#ifdef __GLIBCXX__
  // The backtracking executor takes exponential time for `(a+)+b`; this one doesn't, and knows no back-references.
  flags |= std::regex_constants::__polynomial;
#endif
  if (!numbers_are_small(argument.text))
    return fail(Code::invalid_argument, "pattern `{}` has a number of more than five digits", argument.text);
  try {
    return std::regex(argument.text, flags);
  } catch (const std::regex_error&) {
    return fail(Code::invalid_argument, "pattern `{}` is not understood", argument.text);
  }
}

class Parser {
 public:
  explicit Parser(std::vector<QueryToken> tokens) : tokens_(std::move(tokens)) {}

  Result<Predicate> whole() {
    auto parsed = disjunction();
    if (parsed && peek().kind != QueryToken::Kind::end) return unexpected_token("`and`, `or` or the end");
    return parsed;
  }

 private:
  const QueryToken& peek() const { return tokens_[at_]; }
  QueryToken next() { return tokens_[peek().kind == QueryToken::Kind::end ? at_ : at_++]; }
  bool take(std::string_view symbol, std::string_view word = {}) {
    if (!peek().is(symbol) && (word.empty() || !peek().is_word(word))) return false;
    ++at_;
    return true;
  }
  std::unexpected<Error> unexpected_token(std::string_view wanted) const {
    if (peek().kind == QueryToken::Kind::end) return fail(Code::invalid_argument, "expression ends where {} is wanted", wanted);
    return fail(Code::invalid_argument, "`{}` at {} where {} is wanted", peek().text, peek().at, wanted);
  }

  Result<Predicate> disjunction() {
    auto left = conjunction();
    while (left && take("||", "or")) {
      auto right = conjunction();
      if (!right) return right;
      left = Predicate([a = *left, b = *right](const QuerySubject& s) { return a(s) || b(s); });
    }
    return left;
  }

  Result<Predicate> conjunction() {
    auto left = term();
    while (left && take("&&", "and")) {
      auto right = term();
      if (!right) return right;
      left = Predicate([a = *left, b = *right](const QuerySubject& s) { return a(s) && b(s); });
    }
    return left;
  }

  Result<Predicate> term() {
    if (take("!", "not")) {
      auto inner = term();
      if (!inner) return inner;
      return Predicate([a = *inner](const QuerySubject& s) { return !a(s); });
    }
    if (!take("(")) return comparison();
    auto inner = disjunction();
    if (inner && !take(")")) return unexpected_token("`)`");
    return inner;
  }

  Result<Predicate> comparison() {
    if (peek().kind != QueryToken::Kind::word) return unexpected_token("a subject");
    auto subject = subject_named(peek().text);
    if (!subject) return unexpected_token("a subject");
    next();
    auto op = operator_named(peek());
    if (!op) return unexpected_token("an operator");
    next();
    switch (*op) {
      case Operator::exists: return Predicate([v = subject->values](const QuerySubject& s) { return v(s).has_value(); });
      case Operator::not_exists: return Predicate([v = subject->values](const QuerySubject& s) { return !v(s).has_value(); });
      case Operator::in: return membership(*subject, false);
      case Operator::not_in: return membership(*subject, true);
      case Operator::match: return pattern(*subject, false);
      case Operator::not_match: return pattern(*subject, true);
      default: return ordering(*subject, *op);
    }
  }

  Result<QueryToken> argument() {
    if (peek().kind != QueryToken::Kind::word && peek().kind != QueryToken::Kind::quoted) return unexpected_token("an argument");
    return next();
  }

  Result<Predicate> membership(const Subject& subject, bool none) {
    Values wanted;
    const bool list = take("[");
    do {
      auto item = argument();
      if (!item) return fail(item.error());
      wanted.push_back(item->text);
    } while (list && take(","));
    if (list && !take("]")) return unexpected_token("`,` or `]`");
    const auto is_wanted = [wanted, order = subject.order](const std::string& value) {
      return std::ranges::any_of(wanted, [&](const std::string& w) { return same(order, value, w); });
    };
    return any_value(subject.values, is_wanted, none);
  }

  Result<Predicate> pattern(const Subject& subject, bool none) {
    auto item = argument();
    if (!item) return fail(item.error());
    auto regex = compile(*item);
    if (!regex) return fail(regex.error());
    return any_value(subject.values, [regex = *regex](const std::string& value) { return std::regex_match(value, regex); }, none);
  }

  Result<Predicate> ordering(const Subject& subject, Operator op) {
    auto item = argument();
    if (!item) return fail(item.error());
    // An argument that can't be compared with anything is a mistake and not an expression that is never true.
    if (!subject.order(item->text, item->text))
      return fail(Code::invalid_argument, "`{}` at {} is not a value of this subject", item->text, item->at);
    const auto holds = [wanted = item->text, op, order = subject.order](const std::string& value) {
      if (op == Operator::equal || op == Operator::not_equal) return same(order, value, wanted);
      const auto result = order(value, wanted);
      if (!result) return false;
      switch (op) {
        case Operator::greater: return *result > 0;
        case Operator::greater_equal: return *result >= 0;
        case Operator::less: return *result < 0;
        default: return *result <= 0;
      }
    };
    return any_value(subject.values, holds, op == Operator::not_equal);
  }

  std::vector<QueryToken> tokens_;
  std::size_t at_ = 0;
};

}  // namespace

Result<Query> Query::parse(std::string_view text) {
  if (text.size() > kExpressionMax)
    return fail(Code::invalid_argument, "expression is longer than {} characters", kExpressionMax);
  auto tokens = lex_query(text);
  if (!tokens) return fail(tokens.error().within("expression"));
  auto predicate = Parser(std::move(*tokens)).whole();
  if (!predicate) return fail(predicate.error().within("expression"));
  return Query(std::move(*predicate));
}

}  // namespace berth::cluster_sim
