#include "broker/base/survival.hpp"

namespace berth {

Result<> Survival::replace_with(const std::string& binary) {
  return fail(Code::failed_precondition, "`{}` can't take over: there is no keeper", binary);
}

void VolatileSurvival::keep(int fd) {
  const std::scoped_lock lock(mutex_);
  kept_.insert(fd);
}

void VolatileSurvival::forget(int fd) {
  const std::scoped_lock lock(mutex_);
  kept_.erase(fd);
}

bool VolatileSurvival::survived(int fd) const {
  const std::scoped_lock lock(mutex_);
  return kept_.contains(fd);
}

Result<std::span<std::byte>> VolatileSurvival::region(std::string_view name, std::size_t size) {
  const std::scoped_lock lock(mutex_);
  auto& bytes = regions_.try_emplace(std::string{name}, size).first->second;
  if (bytes.size() < size)
    return fail(Code::invalid_argument, "memory region `{}` has {} bytes, not {}", name, bytes.size(), size);
  return std::span{bytes}.first(size);
}

void VolatileSurvival::remove_region(std::string_view name) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = regions_.find(name); found != regions_.end()) regions_.erase(found);
}

std::vector<std::string> VolatileSurvival::regions() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, bytes] : regions_) names.push_back(name);
  return names;
}

}  // namespace berth
