// Raw FUSE requests as no sane kernel would send them: any operation on any nodeid and handle, in any order. What the kernel
// promises about their form is kept (a body as long as its operation's, names that end, sizes that fit a message), as libfuse
// relies on it; and no file grows past what fits a test. Each request is four bytes (operation, nodeid, handle, length) and a
// body.
#include <linux/fuse.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tests/fuse/fake_kernel.hpp"
#include "tests/fuzz/targets/target.hpp"

namespace berth::fuzz {
namespace {

using fuse::test::FakeKernel;
using Body = std::vector<std::byte>;

constexpr std::uint32_t kTmpfile = 51, kStatx = 52;  // <linux/fuse.h> of newer kernels
constexpr std::size_t kStatxBytes = 24;
constexpr std::size_t kRequestsMax = 64;
constexpr std::uint64_t kFileBytesMax = 1U << 16U;
constexpr std::string_view kSecret = "outside the share";

struct Form {
  std::size_t bytes = 0;  // of the operation's own part
  int handle_at = -1;     // in it
};

// INIT and DESTROY come once; and a NOTIFY_REPLY only to who has asked for it (libfuse loses 128 bytes over any other).
bool may_come(std::uint32_t opcode) { return opcode != FUSE_INIT && opcode != FUSE_DESTROY && opcode != FUSE_NOTIFY_REPLY; }

// linux/fuse.h: what follows the header, where that is more than names.
Form form_of(std::uint32_t opcode) {
  switch (opcode) {
    case FUSE_FORGET: return {sizeof(fuse_forget_in)};
    case FUSE_GETATTR: return {sizeof(fuse_getattr_in), offsetof(fuse_getattr_in, fh)};
    case FUSE_SETATTR: return {sizeof(fuse_setattr_in), offsetof(fuse_setattr_in, fh)};
    case FUSE_MKNOD: return {sizeof(fuse_mknod_in)};
    case FUSE_MKDIR: return {sizeof(fuse_mkdir_in)};
    case FUSE_RENAME: return {sizeof(fuse_rename_in)};
    case FUSE_RENAME2: return {sizeof(fuse_rename2_in)};
    case FUSE_LINK: return {sizeof(fuse_link_in)};
    case FUSE_OPEN:
    case FUSE_OPENDIR: return {sizeof(fuse_open_in)};
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS: return {sizeof(fuse_read_in), 0};
    case FUSE_WRITE: return {sizeof(fuse_write_in), 0};
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: return {sizeof(fuse_release_in), 0};
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR: return {sizeof(fuse_fsync_in), 0};
    case FUSE_SETXATTR: return {sizeof(fuse_setxattr_in)};
    case FUSE_GETXATTR:
    case FUSE_LISTXATTR: return {sizeof(fuse_getxattr_in)};
    case FUSE_FLUSH: return {sizeof(fuse_flush_in), 0};
    case FUSE_GETLK:
    case FUSE_SETLK:
    case FUSE_SETLKW: return {sizeof(fuse_lk_in), 0};
    case FUSE_ACCESS: return {sizeof(fuse_access_in)};
    case FUSE_CREATE:
    case kTmpfile: return {sizeof(fuse_create_in)};
    case FUSE_INTERRUPT: return {sizeof(fuse_interrupt_in)};
    case FUSE_BMAP: return {sizeof(fuse_bmap_in)};
    case FUSE_IOCTL: return {sizeof(fuse_ioctl_in), 0};
    case FUSE_POLL: return {sizeof(fuse_poll_in), 0};
    case FUSE_BATCH_FORGET: return {sizeof(fuse_batch_forget_in)};
    case FUSE_FALLOCATE: return {sizeof(fuse_fallocate_in), 0};
    case FUSE_LSEEK: return {sizeof(fuse_lseek_in), 0};
    case FUSE_COPY_FILE_RANGE: return {sizeof(fuse_copy_file_range_in), 0};
    case FUSE_SYNCFS: return {8};
    case kStatx: return {kStatxBytes, 8};
    default: return {};
  }
}

template <class T, class Change>
void change(Body& body, Change&& bounded) {
  T value{};
  std::memcpy(&value, body.data(), sizeof(value));
  bounded(value);
  std::memcpy(body.data(), &value, sizeof(value));
}

// What the kernel promises of sizes and counts, and what a test's disk can bear.
void bound(std::uint32_t opcode, Body& body) {
  const std::size_t rest = body.size() - form_of(opcode).bytes;
  switch (opcode) {
    case FUSE_READ:
    case FUSE_READDIR:
    case FUSE_READDIRPLUS: return change<fuse_read_in>(body, [](auto& in) { in.size %= kFileBytesMax; });
    case FUSE_WRITE:
      return change<fuse_write_in>(body, [&](auto& in) {
        in.size = static_cast<std::uint32_t>(rest);
        in.offset %= kFileBytesMax;
      });
    case FUSE_SETATTR: return change<fuse_setattr_in>(body, [](auto& in) { in.size %= kFileBytesMax; });
    case FUSE_FALLOCATE:
      return change<fuse_fallocate_in>(body, [](auto& in) {
        in.offset %= kFileBytesMax;
        in.length %= kFileBytesMax;
      });
    case FUSE_COPY_FILE_RANGE:
      return change<fuse_copy_file_range_in>(body, [](auto& in) {
        in.off_out %= kFileBytesMax;
        in.len %= kFileBytesMax;
      });
    case FUSE_IOCTL:
      return change<fuse_ioctl_in>(body, [&](auto& in) {
        in.in_size = static_cast<std::uint32_t>(rest);
        in.out_size %= kFileBytesMax;
      });
    case FUSE_SETXATTR: return change<fuse_setxattr_in>(body, [](auto& in) { in.size = 0; });
    case FUSE_BATCH_FORGET:
      return change<fuse_batch_forget_in>(body, [&](auto& in) {
        in.count = static_cast<std::uint32_t>(std::min<std::size_t>(in.count, rest / sizeof(fuse_forget_one)));
      });
    default: return;
  }
}

// A link that leads outside: whoever follows one is found out.
Body link_to_the_secret(const Body& names) {
  const auto end = std::find(names.begin(), names.end(), std::byte{0});
  Body body(names.begin(), end);
  body.push_back(std::byte{0});
  const Body target = FakeKernel::text("../outside/secret");
  body.insert(body.end(), target.begin(), target.end());
  return body;
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

class Session {
 public:
  Session() {
    // In memory where that can be had: fsync is one of the requests.
    const std::filesystem::path memory = "/dev/shm";
    const auto where = access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
    std::string name = (where / "berth-fuzz-XXXXXX").string();
    require(mkdtemp(name.data()) != nullptr, "there is a directory for temporary files");
    home_ = name;
    std::filesystem::create_directories(home_ / "backing" / "d");
    std::filesystem::create_directory(home_ / "outside");
    std::ofstream(home_ / "outside" / "secret") << kSecret;
    std::ofstream(home_ / "backing" / "f") << "some content of a file";
    kernel_ = std::make_unique<FakeKernel>(survival_, home_ / "backing");
    require(kernel_->mount({.rights = {.write = true, .root_access = true}}).has_value(), "a directory can be mounted");
    require(kernel_->init().error == 0, "INIT is answered");
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    kernel_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(home_, ignored);
  }

  void send(std::uint32_t opcode, std::uint8_t nodeid, std::uint8_t handle, std::string_view rest) {
    const Form form = form_of(opcode);
    Body body(std::max(rest.size(), form.bytes));
    std::ranges::transform(rest, body.begin(), [](char c) { return static_cast<std::byte>(c); });
    if (form.handle_at >= 0) patch(body, form.handle_at, pick(handles_, handle));
    if (opcode == FUSE_RENAME || opcode == FUSE_RENAME2 || opcode == FUSE_LINK) patch(body, 0, pick(nodeids_, handle));
    if (opcode == FUSE_COPY_FILE_RANGE) {
      patch(body, offsetof(fuse_copy_file_range_in, nodeid_out), pick(nodeids_, nodeid));
      patch(body, offsetof(fuse_copy_file_range_in, fh_out), pick(handles_, nodeid));
    }
    bound(opcode, body);
    body.insert(body.end(), 2, std::byte{0});  // names end
    if (opcode == FUSE_SYMLINK) body = link_to_the_secret(body);
    send(opcode, pick(nodeids_, nodeid), body);
  }

  void check() {
    require(content_of(home_ / "outside" / "secret") == kSecret, "what lies outside is as it was");
    require(std::distance(std::filesystem::directory_iterator(home_ / "outside"), {}) == 1, "nothing is made outside");
    require(std::distance(std::filesystem::directory_iterator(home_), {}) == 2, "nothing is made beside it");
    // Each has libfuse answer one INTERRUPT that came for nothing; those that it keeps to the end it does not free.
    for (std::size_t i = 0; i <= interrupts_; ++i) {
      answered_well_ = false;
      send(FUSE_GETATTR, FUSE_ROOT_ID, FakeKernel::bytes_of(fuse_getattr_in{}));
      require(answered_well_, "the mount is still served");
    }
  }

 private:
  static std::uint64_t pick(const std::vector<std::uint64_t>& known, std::uint8_t which) {
    return which == 0xff ? ~std::uint64_t{0} : known[which % known.size()];
  }
  static void patch(Body& body, std::size_t at, std::uint64_t value) { std::memcpy(body.data() + at, &value, sizeof(value)); }

  void send(std::uint32_t opcode, std::uint64_t nodeid, const Body& body) {
    const std::uint64_t unique = next_unique_ += 2;
    sent_.insert(unique);
    interrupts_ += opcode == FUSE_INTERRUPT ? 1 : 0;
    // Besides its own answer there may be those of locks that waited, and of what was to be interrupted.
    auto reply = kernel_->raw(kernel_->message(opcode, nodeid, body, unique));
    for (; reply.came; reply = kernel_->heard().value_or(fuse::test::Reply{})) take(opcode, reply);
  }
  void take(std::uint32_t opcode, const fuse::test::Reply& reply) {
    if (reply.unique == 0) return;  // a notification
    require(sent_.erase(reply.unique) == 1, "a request has one answer at most");
    require(reply.error >= 0 && reply.error < 512, "an answer has an errno that programs know");
    if (reply.unique != next_unique_ || reply.error != 0) return;
    answered_well_ = true;
    const bool entry = opcode == FUSE_LOOKUP || opcode == FUSE_MKNOD || opcode == FUSE_MKDIR || opcode == FUSE_SYMLINK ||
                       opcode == FUSE_LINK || opcode == FUSE_CREATE || opcode == kTmpfile;
    if (entry && reply.body.size() >= sizeof(fuse_entry_out)) nodeids_.push_back(reply.as<fuse_entry_out>().nodeid);
    std::size_t open_at = reply.body.size();
    if (opcode == FUSE_OPEN || opcode == FUSE_OPENDIR) open_at = 0;
    if (opcode == FUSE_CREATE || opcode == kTmpfile) open_at = sizeof(fuse_entry_out);
    if (reply.body.size() < open_at + sizeof(fuse_open_out)) return;
    fuse_open_out opened{};
    std::memcpy(&opened, reply.body.data() + open_at, sizeof(opened));
    handles_.push_back(opened.fh);
  }

  std::filesystem::path home_;
  VolatileSurvival survival_;
  std::unique_ptr<FakeKernel> kernel_;
  std::vector<std::uint64_t> nodeids_{FUSE_ROOT_ID};
  std::vector<std::uint64_t> handles_{0};
  std::set<std::uint64_t> sent_;
  std::uint64_t next_unique_ = 1000;
  std::size_t interrupts_ = 0;
  bool answered_well_ = false;
};

}  // namespace

void fuse_requests(std::string_view input) {
  Session session;
  for (std::size_t sent = 0; sent < kRequestsMax && input.size() >= 4; ++sent) {
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(input[at]); };
    const std::uint32_t opcode = 1 + byte(0) % kStatx;
    const std::size_t length = std::min<std::size_t>(byte(3), input.size() - 4);
    if (may_come(opcode)) session.send(opcode, byte(1), byte(2), input.substr(4, length));
    input.remove_prefix(4 + length);
  }
  session.check();
}

}  // namespace berth::fuzz
