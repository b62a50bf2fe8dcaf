#include "broker/protocol/form.hpp"

#include <algorithm>
#include <charconv>

#include "broker/base/encoding.hpp"

namespace berth::protocol {

namespace {

constexpr int kPartsMax = 40;

}  // namespace

std::optional<Parameters> parse_form(std::string_view text) {
  Parameters out;
  while (!text.empty()) {
    const auto end = text.find('&');
    const std::string_view pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto name = percent_decode(pair.substr(0, equals), true);
    auto value = percent_decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1), true);
    // What is kept comes back in answers: bytes that are no text would make them unreadable for everybody.
    if (!name || !value || !is_utf8(*name) || !is_utf8(*value)) return std::nullopt;
    out.emplace_back(std::move(*name), std::move(*value));
  }
  return out;
}

const std::string* find_parameter(const Parameters& parameters, std::string_view name) {
  const auto found = std::ranges::find(parameters, name, &Parameters::value_type::first);
  return found == parameters.end() ? nullptr : &found->second;
}

const FormNode* FormNode::find(std::string_view name) const {
  const auto found = children.find(name);
  return found == children.end() ? nullptr : &found->second;
}

std::vector<const FormNode*> FormNode::numbered() const {
  std::map<unsigned, const FormNode*> ordered;
  for (const auto& [name, child] : children) {
    unsigned number = 0;
    const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (failed == std::errc{} && end == name.data() + name.size()) ordered.emplace(number, &child);
  }
  std::vector<const FormNode*> out;
  for (const auto& [_, child] : ordered) out.push_back(child);
  return out;
}

std::optional<FormNode> form_tree(const Parameters& parameters) {
  FormNode root;
  for (const auto& [name, value] : parameters) {
    FormNode* node = &root;
    std::string_view rest = name;
    for (int parts = 1;; ++parts) {
      if (parts > kPartsMax) return std::nullopt;
      const auto dot = rest.find('.');
      node = &node->children[std::string(rest.substr(0, dot))];
      if (dot == std::string_view::npos) break;
      rest.remove_prefix(dot + 1);
    }
    if (!node->value) node->value = value;
  }
  return root;
}

}  // namespace berth::protocol
