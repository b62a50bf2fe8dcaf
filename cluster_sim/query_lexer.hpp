// Words of the cluster query language.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::cluster_sim {

struct QueryToken {
  enum class Kind { word, quoted, symbol, end } kind = Kind::end;  // symbols: == != =~ !~ > >= < <= && || ! !in !exists ( ) [ ] ,
  std::string text;
  std::size_t at = 0;  // offset in the expression, for messages

  bool is(std::string_view symbol) const { return kind == Kind::symbol && text == symbol; }
  bool is_word(std::string_view word) const { return kind == Kind::word && text == word; }
};

// Ends with a token of kind `end`. Behind =~ and !~ a bare word may hold signs that are operators elsewhere (`(t2|m5)\\..*`).
Result<std::vector<QueryToken>> lex_query(std::string_view text);

}  // namespace berth::cluster_sim
