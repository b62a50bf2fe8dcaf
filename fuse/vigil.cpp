#include "fuse/vigil.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>

#include "broker/base/unique_fd.hpp"

namespace berth::fuse {

void Vigil::came_after(Duration wait) {
  if (!keep_awake_) return;
  std::atomic<unsigned>& count = wait <= kSoon ? soon_ : late_;
  std::atomic<unsigned>& other = wait <= kSoon ? late_ : soon_;
  other.store(0, std::memory_order_relaxed);
  const unsigned in_a_row = count.load(std::memory_order_relaxed) + 1;
  count.store(in_a_row, std::memory_order_relaxed);
  if (soon_ >= kManySoon) begin();
  if (late_ >= kManyLate) end();
}

void Vigil::begin() {
  if (kept()) return;
  const std::scoped_lock lock(mutex_);
  if (!kept_.exchange(true)) keep_awake_(true);
}

void Vigil::none_came(TimePoint now) {
  if (now - TimePoint(TimePoint::duration(last_served_.load(std::memory_order_relaxed))) >= kPatience) end();
}

void Vigil::end() {
  if (!kept()) return;
  const std::scoped_lock lock(mutex_);
  if (kept_.exchange(false)) keep_awake_(false);
  soon_ = 0;
}

std::function<void(bool)> processors_awake() {
  // The cpuidle driver of guests, which knows polling and halting. Elsewhere idle processors that are woken soon rest lightly.
  std::string driver;
  std::ifstream("/sys/devices/system/cpu/cpuidle/current_driver") >> driver;
  if (driver != "haltpoll") return nullptr;
  auto device = std::make_shared<UniqueFd>(open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC));
  if (!*device) return nullptr;
  return [device](bool awake) {
    // Microseconds that waking a processor may take; the kernel's default, as good as no limit.
    const std::int32_t latency = awake ? 0 : 2'000'000'000;
    [[maybe_unused]] const auto written = write(device->get(), &latency, sizeof(latency));
  };
}

}  // namespace berth::fuse
