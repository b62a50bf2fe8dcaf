#include "broker/protocol/validation.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "broker/protocol/json_value.hpp"
#include "broker/protocol/pattern.hpp"

namespace berth::protocol {

using Json = nlohmann::json;

namespace {

constexpr std::size_t kViolationsMax = 10;
constexpr std::size_t kShownMax = 256;

struct Violation {
  std::string path;        // `tags.1.member.key`
  std::string value;       // as the sentence shows it; empty where nothing may be shown
  std::string constraint;  // "Member must not be null"
  bool missing = false;
};

// Java's names begin with a small letter.
std::string java_name(std::string name) {
  if (!name.empty() && name[0] >= 'A' && name[0] <= 'Z') name[0] = static_cast<char>(name[0] - 'A' + 'a');
  return name;
}

std::size_t characters(const std::string& utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string shown(const Shape& shape, const Json& value) {
  if (shape.sensitive) return {};
  std::string text = value.is_string() ? value.get<std::string>() : dump(value);
  if (text.size() > kShownMax) {
    std::size_t end = kShownMax;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;  // not in the middle of a character
    text.resize(end);
  }
  return text;
}

class Checker {
 public:
  // EC2 names parameters as its forms do: Filter.1.Name.
  explicit Checker(bool ec2) : ec2_(ec2) {}
  std::vector<Violation> violations;

  void check(const Shape& shape, const Json& value, const std::string& path) {
    if (violations.size() >= kViolationsMax || shape.document) return;
    switch (shape.type) {
      case Type::structure: return check_structure(shape, value, path);
      case Type::list: return check_list(shape, value, path);
      case Type::map: return check_map(shape, value, path);
      case Type::string: return check_string(shape, value, path);
      case Type::integer:
      case Type::long_integer:
      case Type::floating: return check_bounds(shape, value, path, value.get<double>(), "value");
      case Type::blob: return check_bounds(shape, value, path, blob_size(value), "length");
      default: return;
    }
  }

 private:
  std::string name_of(const Member& member) const {
    if (!ec2_) return java_name(member.name);
    std::string name = !member.query_name.empty() ? member.query_name : member.wire_name.empty() ? member.name : member.wire_name;
    if (name[0] >= 'a' && name[0] <= 'z') name[0] = static_cast<char>(name[0] - 'a' + 'A');
    return name;
  }

  static std::string join(const std::string& path, const std::string& name) { return path.empty() ? name : path + "." + name; }

  static double blob_size(const Json& base64) {
    const auto& text = base64.get_ref<const std::string&>();
    const auto padded = static_cast<std::ptrdiff_t>(text.size() / 4 * 3);
    return static_cast<double>(padded - std::ranges::count(text, '='));
  }

  void check_structure(const Shape& shape, const Json& value, const std::string& path) {
    for (const std::string& name : shape.required) {
      const Member* member = shape.find(name);
      if (member && !value.contains(name))
        violations.push_back({join(path, name_of(*member)), {}, "Member must not be null", true});
    }
    for (const Member& member : shape.members) {
      const auto found = value.find(member.name);
      if (found != value.end()) check(*member.shape, *found, join(path, name_of(member)));
    }
  }

  void check_list(const Shape& shape, const Json& value, const std::string& path) {
    check_bounds(shape, value, path, static_cast<double>(value.size()), "length");
    std::size_t number = 0;
    for (const Json& item : value)
      check(*shape.element.shape, item, fmt::format("{}.{}{}", path, ++number, ec2_ ? "" : ".member"));
  }

  void check_map(const Shape& shape, const Json& value, const std::string& path) {
    check_bounds(shape, value, path, static_cast<double>(value.size()), "length");
    for (const auto& [key, item] : value.items()) {
      check(*shape.key.shape, key, path + ".key");
      check(*shape.value.shape, item, join(path, key) + ".member");
    }
  }

  void check_string(const Shape& shape, const Json& value, const std::string& path) {
    const auto& text = value.get_ref<const std::string&>();
    if (!shape.values.empty() && std::ranges::find(shape.values, text) == shape.values.end()) {
      return add(shape, value, path, fmt::format("Member must satisfy enum value set: [{}]", fmt::join(shape.values, ", ")));
    }
    check_bounds(shape, value, path, static_cast<double>(characters(text)), "length");
    if (shape.pattern && !shape.pattern->matches(text)) {
      add(shape, value, path, "Member must satisfy regular expression pattern: " + shape.pattern->str());
    }
  }

  void check_bounds(const Shape& shape, const Json& value, const std::string& path, double size, const char* what) {
    if (shape.min && size < *shape.min) {
      add(shape, value, path, fmt::format("Member must have {} greater than or equal to {:.0f}", what, *shape.min));
    }
    if (shape.max && size > *shape.max) {
      add(shape, value, path, fmt::format("Member must have {} less than or equal to {:.0f}", what, *shape.max));
    }
  }

  void add(const Shape& shape, const Json& value, const std::string& path, std::string constraint) {
    violations.push_back({path, shown(shape, value), std::move(constraint)});
  }

  const bool ec2_;
};

std::string sentence(const Violation& violation) {
  const std::string value = violation.missing         ? "Value null"
                            : violation.value.empty() ? "Value"
                                                      : fmt::format("Value '{}'", violation.value);
  return fmt::format("{} at '{}' failed to satisfy constraint: {}", value, violation.path, violation.constraint);
}

std::string sentences(const std::vector<Violation>& violations) {
  std::vector<std::string> all;
  for (const Violation& violation : violations) all.push_back(sentence(violation));
  const std::string_view noun = all.size() == 1 ? "error" : "errors";
  return fmt::format("{} validation {} detected: {}", all.size(), noun, fmt::join(all, "; "));
}

WireError ec2_error(const Violation& first) {
  if (first.missing) {
    return {"MissingParameter", fmt::format("The request must contain the parameter {}", first.path), nullptr, 400};
  }
  return {"InvalidParameterValue",
          fmt::format("Value ({}) for parameter {} is invalid. {}", first.value, first.path, first.constraint), nullptr, 400};
}

// ECS and EFS have an error of their own for a wrong parameter; IAM, STS and Auto Scaling answer the common one.
std::string code_for(const Model& model) {
  if (model.protocol() == Protocol::query) return "ValidationError";
  for (const char* own : {"InvalidParameterException", "BadRequest"}) {
    if (model.error(own)) return own;
  }
  return "ValidationException";
}

}  // namespace

std::optional<WireError> validate(const Model& model, const OperationModel& operation, const Json& input) {
  if (!operation.input) return std::nullopt;
  const bool ec2 = model.protocol() == Protocol::ec2;
  Checker checker(ec2);
  checker.check(*operation.input, input, {});
  if (checker.violations.empty()) return std::nullopt;
  if (ec2) return ec2_error(checker.violations.front());
  return WireError{code_for(model), sentences(checker.violations), nullptr, 0};
}

}  // namespace berth::protocol
