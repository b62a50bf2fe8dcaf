// Documents: JSON texts that a service keeps in the control state beside the libraries' records, by (kind, key): task
// definitions, account settings, ... The services encode and decode them. A value; not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::control {

class Documents {
 public:
  struct Change {
    std::string kind, key;
    auto operator<=>(const Change&) const = default;
  };

  void put(std::string kind, std::string key, std::string text);
  void erase(std::string_view kind, std::string_view key);
  // nullptr where there is none; valid until the document is changed.
  const std::string* find(std::string_view kind, std::string_view key) const;
  // The documents of the kind whose key begins with `prefix`, in the order of their keys; ends when `visit` returns false.
  using Visit = std::function<bool(const std::string& key, const std::string& text)>;
  void scan(std::string_view kind, std::string_view prefix, const Visit& visit) const;
  void scan(std::string_view kind, const Visit& visit) const { scan(kind, {}, visit); }

  // What changed since the last call, each document once, in order.
  std::vector<Change> take_changes();
  // Puts a document back; notes no change.
  void restore(std::string kind, std::string key, std::string text);

 private:
  using Keys = std::map<std::string, std::string, std::less<>>;
  std::map<std::string, Keys, std::less<>> kinds_;
  std::set<Change> changes_;
};

}  // namespace berth::control
