// How a mount goes on where a dead daemon stopped.
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>

#include "broker/base/log.hpp"
#include "fuse/mount.hpp"
#include "fuse/wire.hpp"

namespace berth::fuse {

// Opens are the truth; the dead daemon may not have come to count one. Nor to note a backing id that it had got, which is then
// the next one: the kernel gives them out in rising order.
void Mount::recount_opens() {
  inodes_->each([](Ino, InodeRecord& inode) { inode.passthrough_opens = inode.plain_opens = 0; });
  opens_->each_file([&](const OpenRecord& open) {
    InodeRecord* inode = open.passthrough == 0 ? nullptr : inodes_->record(open.ino);
    if (inode != nullptr) ++(open.passthrough == OpenRecord::kPlain ? inode->plain_opens : inode->passthrough_opens);
  });
  const auto close_id = [this](std::uint32_t id) { ioctl(device_, kBackingClose, &id); };
  close_id(header_->last_backing_id + 1);
  inodes_->each([&](Ino, InodeRecord& inode) {
    if (inode.backing_id == 0 || inode.passthrough_opens != 0) return;
    close_id(static_cast<std::uint32_t>(inode.backing_id));
    inode.backing_id = 0;
  });
}

// What the dead daemon knew of this kernel's cached names died with it, and so may have what it was about to tell.
void Mount::forget_names() {
  if (cache_->drop_all_names()) return;
  inodes_->each([&](Ino ino, const InodeRecord& inode) {
    Node* node = inode.type == S_IFDIR ? inodes_->node(ino) : nullptr;
    if (node != nullptr) common_.coherence.all_missing(*node, number_);
  });
}

void Mount::resolve(JournalRecord& record) { files_->resolve(record); }

void Mount::finish_forget(JournalRecord& record, std::span<const std::byte> request) {
  const auto head = read_as<RequestHead>(request);
  Journal::continue_with(&record);
  if (head.opcode == kOpForget) {
    if (record.forgotten == 0) inodes_->forget(head.nodeid, read_as<std::uint64_t>(request, sizeof(head)));
  } else {
    const auto count = read_as<std::uint32_t>(request, sizeof(head));
    while (record.forgotten < count) {
      const auto one = read_as<ForgetOne>(request, sizeof(head) + 8 + record.forgotten * sizeof(ForgetOne));
      inodes_->forget(one.nodeid, one.lookups);
    }
  }
  Journal::continue_with(nullptr);
}

bool Mount::ask_again() {
  const ReplyHead resend{sizeof(ReplyHead), kNotifyResend, 0};
  if (write(device_, &resend, sizeof(resend)) >= 0) return true;
  // Gone: the reactor will find out.
  return errno == ENODEV || errno == EBADF || errno == EPERM;
}

std::vector<std::vector<std::byte>> Mount::answer_again(std::span<std::byte> buffer) {
  std::vector<std::vector<std::byte>> others;
  while (true) {
    common_.journal.about_to_read(Journal::kRecovery, number_, buffer);
    const auto size = receive(buffer);
    if (!size || *size == 0) return others;
    const auto request = buffer.first(*size);
    const auto head = read_as<RequestHead>(request);
    if (head.opcode == kOpForget || head.opcode == kOpBatchForget) {
      finish_forget(common_.journal.records()[Journal::kRecovery], request);
    } else if (head.resent() && common_.journal.find(number_, head.name()) != nullptr) {
      serve(request, Journal::kRecovery);
    } else {
      others.emplace_back(request.begin(), request.end());
      if (!head.resent() && !head.comes_once()) return others;  // the kernel sends the others first
    }
  }
}

// By what is no more than the answer to an INTERRUPT: that it is to come again. The kernel takes it (EINVAL where there was none)
// for a request that is in flight, and knows no other; so a caller that was interrupted meanwhile is heard of again, too.
bool Mount::in_flight(std::uint64_t unique) {
  const ReplyHead again{sizeof(ReplyHead), -EAGAIN, unique | kInterruptBit};
  return write(device_, &again, sizeof(again)) >= 0 || errno == EINVAL;
}

bool Mount::fail_in_flight(std::uint64_t unique) {
  const ReplyHead reply{sizeof(ReplyHead), -EIO, unique};
  return write(device_, &reply, sizeof(reply)) >= 0;
}

void Mount::drop_interrupted(JournalRecord& record) {
  Journal::continue_with(&record);
  if (record.opened != 0 && opens_->valid(record.opened)) close_file(record.opened);
  while (record.retained_count != 0) inodes_->unretain(record.retained[record.retained_count - 1]);
  Journal::continue_with(nullptr);
}

// What a resent request may go on with: what it made, if that is known to be done, or what it opened. Else it begins anew.
void Mount::go_on(JournalRecord& record) {
  record.answering = 0;
  if (record.opened != 0 && !opens_->valid(record.opened)) record.opened = 0;
  if (record.stage == Stage::done || record.opened != 0) return;
  while (record.retained_count != 0) inodes_->unretain(record.retained[record.retained_count - 1]);
}

}  // namespace berth::fuse
