#include "fuse/recovery.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "broker/base/log.hpp"
#include "fuse/resident.hpp"
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

  LeftOver answer(std::span<std::byte> buffer, bool resend) {
    LeftOver left;
    std::vector<Unserved>& unserved = left.requests;
    bool all_came_again = true;
    for (const auto& [number, mount] : mounts_) {
      if (resend && mount->ask_again()) {
        for (auto& request : mount->answer_again(buffer)) unserved.push_back({mount, std::move(request)});
      } else {
        all_came_again = false;
        answer_what_was_kept(mount, unserved);
      }
    }
    for (JournalRecord& record : journal_.records()) {
      Mount* mount = record.unique == 0 || record.answering != 0 ? nullptr : find(record.mount);
      if (mount == nullptr) continue;
      const auto changed = mount->files().changed_by(record);
      left.changed.insert(left.changed.end(), changed.begin(), changed.end());
      mount->drop_interrupted(record);
    }
    for (WaitingRecord& waiting : journal_.waiting()) {
      if (all_came_again || find(waiting.mount) == nullptr) waiting.unique = 0;
    }
    journal_.recovered();
    return left;
  }

 private:
  Mount* find(MountNumber number) const {
    const auto found = mounts_.find(number);
    return found == mounts_.end() ? nullptr : found->second.get();
  }

  // Where the kernel can't send them again: the requests that the workers read last, and those that wait, are in memory, and the
  // kernel tells which of them it still waits for.
  void answer_what_was_kept(const std::shared_ptr<Mount>& mount, std::vector<Unserved>& unserved) {
    std::set<std::uint64_t> read_last;  // what waits may be the last that a worker read
    for (const auto& [worker, buffer] : buffers_) {
      const auto head = read_as<RequestHead>(buffer);
      if (journal_.records()[worker].reads != mount->number() || head.size < sizeof(head) || head.size > buffer.size()) continue;
      if (head.comes_once() || !mount->in_flight(head.name()) || !read_last.insert(head.name()).second) continue;
      const auto request = buffer.first(head.size);
      if (journal_.find(mount->number(), head.name()) != nullptr) {
        mount->serve(request, Journal::kRecovery, true);
      } else {
        // The recovery's own first: its buffer takes the others when they are served.
        const auto at = worker == Journal::kRecovery ? unserved.begin() : unserved.end();
        unserved.insert(at, {mount, {request.begin(), request.end()}});
      }
    }
    for (WaitingRecord& waiting : journal_.waiting()) {
      if (waiting.unique == 0 || waiting.mount != mount->number()) continue;
      const bool whole = waiting.unique != WaitingRecord::kBeingNoted && !read_last.contains(waiting.unique);
      if (whole && waiting.size > 0 && mount->in_flight(waiting.unique)) {
        const auto request = journal_.request_of(waiting);
        unserved.push_back({mount, {request.begin(), request.end()}});
        continue;  // it stays noted until it is served
      }
      if (whole && waiting.size == 0 && mount->fail_in_flight(waiting.unique)) {
        log::warning("a request that waited fails: it is too large to be kept", {{"mount", mount->id().str()}});
      }
      waiting.unique = 0;
    }
  }

  Journal& journal_;
  std::map<MountNumber, std::shared_ptr<Mount>> mounts_;
  std::vector<std::pair<unsigned, std::span<std::byte>>> buffers_;
};

}  // namespace

Result<LeftOver> finish_interrupted(Common& common, const std::vector<std::shared_ptr<Mount>>& mounts, bool resend) {
  if (mounts.empty()) return Recovery(common, mounts).answer({}, resend);
  Recovery recovery(common, mounts);
  auto buffer = common.journal.buffer(Journal::kRecovery);
  if (!buffer) return fail(buffer.error());
  make_resident(*buffer);
  recovery.find_out();
  return recovery.answer(*buffer, resend);
}

}  // namespace berth::fuse
