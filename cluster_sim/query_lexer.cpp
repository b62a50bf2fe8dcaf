#include "cluster_sim/query_lexer.hpp"

#include <array>

namespace berth::cluster_sim {
namespace {

// Longest first.
constexpr std::array<std::string_view, 15> kSymbols{
    "!exists", "!in", "==", "!=", "=~", "!~", ">=", "<=", "&&", "||", ">", "<", "!", "(", ")"};

bool blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// A bare argument of =~ may be a regular expression with parentheses, bars and brackets in it: read up to a blank or a bracket
// that it didn't open.
std::size_t regex_end(std::string_view text, std::size_t at) {
  int depth = 0;
  for (; at < text.size() && !blank(text[at]); ++at) {
    if (text[at] == '(' || text[at] == '[') ++depth;
    if ((text[at] == ')' || text[at] == ']') && --depth < 0) break;
  }
  return at;
}

std::size_t word_end(std::string_view text, std::size_t at) {
  static constexpr std::string_view kEnds = " \t\r\n()[],=!<>&|\"'";
  const std::size_t end = text.find_first_of(kEnds, at);
  return end == std::string_view::npos ? text.size() : end;
}

bool matches_operator(const std::vector<QueryToken>& tokens) {
  if (tokens.empty()) return false;
  const auto& last = tokens.back();
  return last.is("=~") || last.is("!~") || last.is_word("matches") || last.is_word("not_matches");
}

}  // namespace

Result<std::vector<QueryToken>> lex_query(std::string_view text) {
  using Kind = QueryToken::Kind;
  std::vector<QueryToken> tokens;
  std::size_t at = 0;
  const auto take = [&](Kind kind, std::size_t length) {
    tokens.push_back({kind, std::string(text.substr(at, length)), at});
    at += length;
  };
  while (true) {
    while (at < text.size() && blank(text[at])) ++at;
    if (at == text.size()) break;
    const char c = text[at];
    if (c == '"' || c == '\'') {
      const std::size_t close = text.find(c, at + 1);
      if (close == std::string_view::npos) return fail(Code::invalid_argument, "quote at {} is not closed", at);
      tokens.push_back({Kind::quoted, std::string(text.substr(at + 1, close - at - 1)), at});
      at = close + 1;
      continue;
    }
    if (matches_operator(tokens)) {
      take(Kind::word, regex_end(text, at) - at);
      if (tokens.back().text.empty()) return fail(Code::invalid_argument, "pattern missing at {}", at);
      continue;
    }
    if (c == '[' || c == ']' || c == ',') {
      take(Kind::symbol, 1);
      continue;
    }
    bool symbol = false;
    for (std::string_view candidate : kSymbols) {
      if (!text.substr(at).starts_with(candidate)) continue;
      // `!in` is an operator, `!inert` is not.
      if (candidate.back() >= 'a' && word_end(text, at + candidate.size()) != at + candidate.size()) continue;
      take(Kind::symbol, candidate.size());
      symbol = true;
      break;
    }
    if (symbol) continue;
    const std::size_t end = word_end(text, at);
    if (end == at) return fail(Code::invalid_argument, "`{}` at {} is not understood", c, at);
    take(Kind::word, end - at);
  }
  tokens.push_back({Kind::end, "", text.size()});
  return tokens;
}

}  // namespace berth::cluster_sim
