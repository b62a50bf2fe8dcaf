#include "broker/control/documents.hpp"

#include <utility>

namespace berth::control {

void Documents::put(std::string kind, std::string key, std::string text) {
  changes_.insert(Change{kind, key});
  restore(std::move(kind), std::move(key), std::move(text));
}

void Documents::erase(std::string_view kind, std::string_view key) {
  const auto keys = kinds_.find(kind);
  if (keys == kinds_.end()) return;
  const auto found = keys->second.find(key);
  if (found == keys->second.end()) return;
  changes_.insert(Change{std::string{kind}, std::string{key}});
  keys->second.erase(found);
}

const std::string* Documents::find(std::string_view kind, std::string_view key) const {
  const auto keys = kinds_.find(kind);
  if (keys == kinds_.end()) return nullptr;
  const auto found = keys->second.find(key);
  return found == keys->second.end() ? nullptr : &found->second;
}

void Documents::scan(std::string_view kind, std::string_view prefix, const Visit& visit) const {
  const auto keys = kinds_.find(kind);
  if (keys == kinds_.end()) return;
  for (auto at = keys->second.lower_bound(prefix); at != keys->second.end() && at->first.starts_with(prefix); ++at) {
    if (!visit(at->first, at->second)) return;
  }
}

std::vector<Documents::Change> Documents::take_changes() {
  const std::set<Change> changes = std::exchange(changes_, {});
  return {changes.begin(), changes.end()};
}

void Documents::restore(std::string kind, std::string key, std::string text) {
  kinds_[std::move(kind)].insert_or_assign(std::move(key), std::move(text));
}

}  // namespace berth::control
