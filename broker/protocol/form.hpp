// Form and query strings, and the tree that dotted form names make: `Filter.1.Value.2=x`.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::protocol {

using Parameters = std::vector<std::pair<std::string, std::string>>;

// `a=1&b=x%20y`, in order. nullopt for a broken escape.
std::optional<Parameters> parse_form(std::string_view text);
// The first value; nullptr where there is none.
const std::string* find_parameter(const Parameters& parameters, std::string_view name);

// One name's values and what is under it.
struct FormNode {
  std::optional<std::string> value;
  std::map<std::string, FormNode, std::less<>> children;

  const FormNode* find(std::string_view name) const;
  // Children with numbers for names, in the order of the numbers.
  std::vector<const FormNode*> numbered() const;
};

// nullopt where a name has more parts than any shape nests.
std::optional<FormNode> form_tree(const Parameters& parameters);

}  // namespace berth::protocol
