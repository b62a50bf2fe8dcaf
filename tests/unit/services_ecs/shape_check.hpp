// Holds an input or an answer against its shape: what the codecs would drop or write wrongly is a failed test here.
#pragma once

#include <algorithm>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "broker/protocol/model.hpp"

namespace berth::testing {

inline bool has_type(protocol::Type type, const nlohmann::json& value) {
  using protocol::Type;
  switch (type) {
    case Type::structure:
    case Type::map: return value.is_object();
    case Type::list: return value.is_array();
    case Type::string:
    case Type::blob: return value.is_string();
    case Type::integer:
    case Type::long_integer: return value.is_number_integer();
    case Type::floating:
    case Type::timestamp: return value.is_number();
    case Type::boolean: return value.is_boolean();
  }
  return false;
}

inline void expect_shape(const protocol::Shape& shape, const nlohmann::json& value, const std::string& where) {
  if (shape.document) return;
  ASSERT_TRUE(has_type(shape.type, value)) << where << " is " << value.dump();
  if (shape.type == protocol::Type::structure) {
    for (const auto& [name, member] : value.items()) {
      const auto* known = shape.find(name);
      ASSERT_NE(known, nullptr) << where << " has no member " << name;
      expect_shape(*known->shape, member, where + "." + name);
    }
    for (const auto& name : shape.required) EXPECT_TRUE(value.contains(name)) << where << " lacks " << name;
  } else if (shape.type == protocol::Type::list) {
    for (const auto& item : value) expect_shape(*shape.element.shape, item, where + "[]");
  } else if (shape.type == protocol::Type::map) {
    for (const auto& [key, item] : value.items()) expect_shape(*shape.value.shape, item, where + "{" + key + "}");
  } else if (!shape.values.empty()) {
    EXPECT_TRUE(value.is_string() && std::ranges::find(shape.values, value.get<std::string>()) != shape.values.end())
        << where << " is " << value.dump();
  }
}

}  // namespace berth::testing
