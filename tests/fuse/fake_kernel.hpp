// FakeKernel: plays the kernel's side of /dev/fuse over a socketpair: raw requests in, raw replies out, no mount, no root.
#pragma once

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/survival.hpp"
#include "fuse/mount.hpp"
#include "fuse/mounter.hpp"
#include "fuse/recovery.hpp"

namespace berth::fuse::test {

struct Reply {
  bool came = false;
  std::uint64_t unique = 0;
  int error = 0;  // positive errno
  std::vector<std::byte> body;

  template <class T>
  T as() const {
    T value{};
    std::memcpy(&value, body.data(), std::min(sizeof(T), body.size()));
    return value;
  }
};

class FakeKernel {
 public:
  FakeKernel(Survival& survival, std::string backing)
      : common_(survival, 16, INT_MAX, Share::Options{}), backing_(std::move(backing)) {
    static_cast<void>(common_.journal.open());
  }
  ~FakeKernel() {
    if (mount_) mount_->abandon();
  }
  FakeKernel(const FakeKernel&) = delete;
  FakeKernel& operator=(const FakeKernel&) = delete;

  Result<> mount(MountSpec spec) {
    spec.id = MountId("fake/mount");
    spec.backing_directory = backing_;
    auto root = open_root(spec);
    if (!root) return fail(root.error());
    auto made = Mount::create(common_, 1, spec, false, device(), std::move(*root));
    if (!made) return fail(made.error());
    mount_ = std::move(*made);
    return {};
  }

  // As after a crash: the mount's object goes, its memory and its device's number stay. `again` is what the kernel sends when
  // it is asked to resend.
  Result<> restart(Survival& survival, const std::vector<std::byte>& again = {}) {
    const int number = mount_->device();
    const UniqueFd fresh = device();
    mount_.reset();
    if (dup2(fresh.get(), number) != number) return fail_errno(errno, "dup2");
    const auto names = survival.regions();
    auto resumed = Mount::resume(common_, 1, {names.begin(), names.end()});
    if (!resumed) return fail(resumed.error());
    mount_ = std::move(*resumed);
    if (!again.empty() && send(kernel_.get(), again.data(), again.size(), MSG_NOSIGNAL) < 0) return fail_errno(errno, "send");
    auto left = finish_interrupted(common_, {mount_}, true);
    if (!left) return fail(left.error());
    for (Unserved& one : left->requests) one.mount->serve(one.request, 0);
    return {};
  }

  // As after a crash in abandon(): /dev/null has the device's number.
  Result<> restart_while_ending(Survival& survival) {
    const int number = mount_->device();
    mount_.reset();
    const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (dup2(nothing.get(), number) != number) return fail_errno(errno, "dup2");
    const auto names = survival.regions();
    auto resumed = Mount::resume(common_, 1, {names.begin(), names.end()});
    if (!resumed) return fail(resumed.error());
    mount_ = std::move(*resumed);
    return {};
  }

  // What the daemon has said by itself since: replies and notifications, not parsed.
  std::optional<Reply> heard() { return receive(); }

  Reply init() {
    struct fuse_init_in in{};
    in.major = FUSE_KERNEL_VERSION;
    in.minor = 31;
    in.max_readahead = 131072;
    return request(FUSE_INIT, 0, bytes_of(in));
  }

  // Sends one request and lets the daemon serve it.
  Reply request(std::uint32_t opcode, std::uint64_t nodeid, const std::vector<std::byte>& body, std::uint64_t unique = 0) {
    return raw(message(opcode, nodeid, body, unique));
  }

  std::vector<std::byte> message(std::uint32_t opcode, std::uint64_t nodeid, const std::vector<std::byte>& body,
                                 std::uint64_t unique = 0) {
    struct fuse_in_header head{};
    head.len = static_cast<std::uint32_t>(sizeof(head) + body.size());
    head.opcode = opcode;
    head.unique = unique != 0 ? unique : (next_unique_ += 2);
    head.nodeid = nodeid;
    head.uid = geteuid();
    head.gid = getegid();
    head.pid = static_cast<std::uint32_t>(getpid());
    std::vector<std::byte> message = bytes_of(head);
    message.insert(message.end(), body.begin(), body.end());
    return message;
  }

  Reply raw(const std::vector<std::byte>& message) {
    if (send(kernel_.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) return {};
    const auto size = mount_->receive(requests_);
    if (!size || *size == 0) return {};
    mount_->serve(std::span{requests_}.first(*size), 0);
    std::fill_n(requests_.begin(), *size, std::byte{0});
    return receive().value_or(Reply{});
  }

  template <class T>
  static std::vector<std::byte> bytes_of(const T& value, std::string_view text = {}, std::string_view more = {}) {
    std::vector<std::byte> bytes(sizeof(T));
    std::memcpy(bytes.data(), &value, sizeof(T));
    append(bytes, text);
    append(bytes, more);
    return bytes;
  }
  static std::vector<std::byte> text(std::string_view value) {
    std::vector<std::byte> bytes;
    append(bytes, value);
    return bytes;
  }

  Mount& served() { return *mount_; }
  void hang_up() { kernel_.reset(); }

 private:
  // Strings are sent with their terminating zero.
  static void append(std::vector<std::byte>& bytes, std::string_view text) {
    if (text.data() == nullptr) return;
    const auto* at = reinterpret_cast<const std::byte*>(text.data());
    bytes.insert(bytes.end(), at, at + text.size());
    bytes.push_back(std::byte{0});
  }

  UniqueFd device() {
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) return {};
    kernel_.reset(ends[0]);
    return UniqueFd(ends[1]);
  }

  std::optional<Reply> receive() {
    const ssize_t size = recv(kernel_.get(), replies_.data(), replies_.size(), 0);
    if (size < static_cast<ssize_t>(sizeof(struct fuse_out_header))) return std::nullopt;
    struct fuse_out_header head{};
    std::memcpy(&head, replies_.data(), sizeof(head));
    Reply reply{.came = true, .unique = head.unique, .error = -head.error, .body = {}};
    reply.body.assign(replies_.begin() + sizeof(head), replies_.begin() + size);
    return reply;
  }

  Common common_;
  std::string backing_;
  UniqueFd kernel_;
  std::shared_ptr<Mount> mount_;
  std::uint64_t next_unique_ = 2;
  std::vector<std::byte> requests_ = std::vector<std::byte>((std::size_t{1} << 20U) + 4096);  // zeroes but for the one served
  std::vector<std::byte> replies_ = std::vector<std::byte>(std::size_t{1} << 20U);
};

}  // namespace berth::fuse::test
