#include "fuse/recovery.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "broker/base/log.hpp"
#include "fuse/wire.hpp"

namespace berth::fuse {
namespace {

class Recovery {
 public:
  Recovery(Common& common, const std::vector<std::shared_ptr<Mount>>& mounts) : journal_(common.journal) {
    for (const auto& mount : mounts) mounts_[mount->number()] = mount;
    const auto names = common.survival.regions();
    const std::set<std::string> regions(names.begin(), names.end());
    for (unsigned worker = 0; worker <= Journal::kRecovery; ++worker) {
      if (!regions.contains(Journal::buffer_name(worker))) continue;
      if (const auto buffer = journal_.buffer(worker)) buffers_.emplace_back(worker, *buffer);
    }
  }

  void find_out() {
    for (JournalRecord& record : journal_.records()) {
      if (Mount* mount = record.unique == 0 ? nullptr : find(record.mount)) mount->resolve(record);
    }
    for (const auto& [worker, buffer] : buffers_) {
      JournalRecord& record = journal_.records()[worker];
      const auto head = read_as<RequestHead>(buffer);
      Mount* mount = find(record.reads);
      if (mount != nullptr && head.size > sizeof(head) && head.size <= buffer.size() && head.opcode != kOpInterrupt &&
          head.comes_once()) {
        mount->finish_forget(record, buffer.first(head.size));
      }
    }
  }

  std::vector<Unserved> answer(std::span<std::byte> buffer, bool resend) {
    std::vector<Unserved> unserved;
    for (const auto& [number, mount] : mounts_) {
      if (!resend || !mount->ask_again()) {
        fail_in_flight(*mount);
        continue;
      }
      for (auto& request : mount->answer_again(buffer)) unserved.push_back({mount, std::move(request)});
    }
    for (JournalRecord& record : journal_.records()) {
      Mount* mount = record.unique == 0 || record.answering != 0 ? nullptr : find(record.mount);
      if (mount != nullptr) mount->drop_interrupted(record);
    }
    journal_.recovered();
    return unserved;
  }

 private:
  Mount* find(MountNumber number) const {
    const auto found = mounts_.find(number);
    return found == mounts_.end() ? nullptr : found->second.get();
  }

  // The kernel takes no answer to what has been answered, so the requests that were last read can all be tried.
  void fail_in_flight(Mount& mount) {
    log::warning("kernel can't resend requests: what was in flight fails", {{"mount", mount.id().str()}});
    for (const auto& [worker, buffer] : buffers_) {
      const auto head = read_as<RequestHead>(buffer);
      if (head.size == 0 || head.comes_once() || journal_.records()[worker].reads != mount.number()) continue;
      fail_one(mount, head.name());
    }
    for (const WaitingRecord& waiting : journal_.waiting()) {
      if (waiting.unique != 0 && waiting.mount == mount.number()) fail_one(mount, waiting.unique);
    }
  }

  void fail_one(Mount& mount, std::uint64_t unique) {
    if (!mount.fail_in_flight(unique)) return;
    for (JournalRecord& record : journal_.records()) {
      if (record.unique != unique || record.mount != mount.number()) continue;
      mount.drop_interrupted(record);
      record.unique = 0;
    }
  }

  Journal& journal_;
  std::map<MountNumber, std::shared_ptr<Mount>> mounts_;
  std::vector<std::pair<unsigned, std::span<std::byte>>> buffers_;
};

}  // namespace

Result<std::vector<Unserved>> finish_interrupted(Common& common, const std::vector<std::shared_ptr<Mount>>& mounts, bool resend) {
  if (mounts.empty()) return common.journal.recovered(), std::vector<Unserved>{};
  Recovery recovery(common, mounts);
  auto buffer = common.journal.buffer(Journal::kRecovery);
  if (!buffer) return fail(buffer.error());
  recovery.find_out();
  return recovery.answer(*buffer, resend);
}

}  // namespace berth::fuse
