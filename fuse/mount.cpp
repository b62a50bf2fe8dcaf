#include "fuse/mount.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstring>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "broker/base/log.hpp"
#include "broker/base/thread_sanitizer.hpp"
#include "fuse/backing_kind.hpp"
#include "fuse/connection.hpp"
#include "fuse/identity.hpp"
#include "fuse/kernel_order.hpp"
#include "fuse/libfuse.hpp"
#include "fuse/mounter.hpp"
#include "fuse/ops.hpp"
#include "fuse/wire.hpp"

namespace berth::fuse {
namespace {

constexpr std::uint64_t kReplayUnique = 0x7ffffffffffffff0;  // one that the kernel has not given out

#ifdef BERTH_FUSE_ONE_PIPE_KEY
constexpr const char* kNoSession = "libfuse can't make another session";
#else
constexpr const char* kNoSession =
    "libfuse can't make another session: this one takes one of the C library's 1,024 thread-specific keys for each mount (build "
    "Berth with `./dev build`, which patches it)";
#endif

// A descriptor that a dead daemon kept: let go before its owner closes it, where that still has it.
struct ForgottenUnlessTaken {
  Survival& survival;
  const UniqueFd& descriptor;
  ~ForgottenUnlessTaken() {
    if (descriptor) survival.forget(descriptor.get());
  }
};

// What abandon() leaves in the place of a mount's device.
bool is_null_device(int fd) {
  constexpr unsigned kMemory = 1;  // Documentation/admin-guide/devices.txt
  constexpr unsigned kNull = 3;
  struct stat about{};
  return fstat(fd, &about) == 0 && S_ISCHR(about.st_mode) && about.st_rdev == makedev(kMemory, kNull);
}

void copy_text(std::span<char> to, const std::string& from) {
  const std::size_t size = std::min(from.size(), to.size() - 1);
  std::memcpy(to.data(), from.data(), size);
  to[size] = '\0';
}

}  // namespace

void Common::prepare_thread() {
  prepare_worker_thread();
  watch.pass_over_thread();
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);  // signals are the daemon's other threads' business
}

std::string Mount::region_name(MountNumber number) { return fmt::format("share/{}", number); }

Mount::Mount(Common& common, MountNumber number) : common_(common), number_(number) {}

Mount::~Mount() {
  common_.waiters.drop_mount(number_);
  common_.locks.drop_mount(number_);
  common_.coherence.leave(number_);
  common_.gates.leave(number_);
  if (cache_) cache_->end();
  if (abandoned_ && device_ >= 0) {
    header_->device = 0;
    common_.survival.forget(device_);
  }
  if (session_ != nullptr) fuse_session_destroy(session_);  // closes the device
  if (abandoned_) forget_all();
}

// After the device: the kernel's references to backing files go with it.
void Mount::forget_all() {
  header_->magic = 0;
  if (opens_) opens_->remove();
  if (inodes_) inodes_->remove();
  if (const int fd = std::exchange(header_->place, 0) - 1; fd >= 0) {
    common_.survival.forget(fd);
    close(fd);
  }
  common_.survival.remove_region(region_name(number_));
}

Result<> Mount::hold(UniqueFd place) {
  auto device = device_of_mount(place.get());
  if (!device) return fail(device.error());
  header_->place_device = *device;
  header_->place = place.get() + 1;
  common_.survival.keep(place.release());
  return {};
}

// The daemon may have died before the descriptor was kept: then its number is another file's, or nothing's.
void Mount::adopt_place() {
  if (header_->place == 0) return;
  const auto device = device_of_mount(place());
  if (!device || *device != header_->place_device) header_->place = 0;
}

Result<> Mount::open_header(bool fresh) {
  auto bytes = common_.survival.region(region_name(number_), sizeof(MountHeader));
  if (!bytes) return fail(bytes.error().within("memory of the mount"));
  if (fresh) std::memset(bytes->data(), 0, sizeof(MountHeader));
  header_ = reinterpret_cast<MountHeader*>(bytes->data());
  return {};
}

void Mount::build(const std::optional<PosixUser>& identity) {
  grant_.emplace(identity, header_->rights);
  revocation_.emplace(*grant_);
  inodes_.emplace(common_.survival, region_name(number_), number_, common_.cache, common_.coherence, &common_.watch,
                  header_->over_ring != 0 ? nullptr : &header_->counting, common_.journal.records(), &header_->generation_floor);
  if (common_.hold_no_files) inodes_->hold_no_files();
  opens_.emplace(common_.survival, region_name(number_));
  introductions_.emplace(*inodes_);
  cache_ = std::make_shared<SessionCache>(*grant_, *introductions_, gated_);
  files_.emplace(*grant_, *inodes_, *opens_, common_.coherence, *cache_, common_.locks, common_.journal);
  common_.gates.join(number_, ends(), header_->file_system.data(), header_->metered != 0, gated_);
  common_.coherence.join(number_, cache_);
}

Result<std::shared_ptr<Mount>> Mount::create(Common& common, MountNumber number, const MountSpec& spec, bool passthrough,
                                             UniqueFd device, UniqueFd root) {
  if (spec.id.str().size() >= sizeof(MountHeader::id)) return fail(Code::invalid_argument, "mount id is too long");
  if (spec.identity && spec.identity->secondary_gids.size() > MountHeader::kGroupsMax) {
    return fail(Code::invalid_argument, "more than {} secondary groups", MountHeader::kGroupsMax);
  }
  for (const std::string* name : {&spec.file_system, &spec.ends.client, &spec.ends.target}) {
    if (name->size() >= sizeof(MountHeader::file_system)) return fail(Code::invalid_argument, "name `{}` is too long", *name);
  }
  auto mount = std::make_shared<Mount>(common, number);
  if (auto opened = mount->open_header(true); !opened) return fail(opened.error());
  common.journal.drop_mount(number);
  MountHeader& header = *mount->header_;
  copy_text(header.id, spec.id.str());
  header.has_identity = spec.identity ? 1 : 0;
  if (spec.identity) {
    header.uid = spec.identity->uid;
    header.gid = spec.identity->gid;
    header.group_count = static_cast<std::uint32_t>(spec.identity->secondary_gids.size());
    std::ranges::copy(spec.identity->secondary_gids, header.groups.begin());
  }
  header.rights = encode_rights(spec.rights);
  const auto kind = BackingKind::of(root.get());
  header.passthrough = passthrough && !spec.metered && kind && !kind->decides_opens() ? 1 : 0;
  copy_text(header.file_system, spec.file_system);
  copy_text(header.client_zone, spec.ends.client);
  copy_text(header.target_zone, spec.ends.target);
  header.one_zone = spec.ends.one_zone ? 1 : 0;
  header.metered = spec.metered ? 1 : 0;
  header.over_ring = spec.io_uring ? 1 : 0;
  mount->abandoned_ = true;  // until it is whole
  mount->build(spec.identity);
  if (auto made = mount->inodes_->create(std::move(root)); !made) return fail(made.error());
  if (spec.io_uring) {
    auto ring = common.ring.connect(device.get());
    if (!ring) return fail(ring.error());
    mount->ring_ = std::move(*ring);
  }
  if (auto started = mount->start_session(device); !started) return fail(started.error());
  header.magic = MountHeader::kMagic;
  mount->abandoned_ = false;
  return mount;
}

Result<std::shared_ptr<Mount>> Mount::resume(Common& common, MountNumber number, const std::set<std::string>& regions) {
  auto mount = std::make_shared<Mount>(common, number);
  if (auto opened = mount->open_header(false); !opened) return fail(opened.error());
  MountHeader& header = *mount->header_;
  std::optional<PosixUser> identity;
  if (header.has_identity != 0) {
    identity = PosixUser{header.uid, header.gid, {}};
    identity->secondary_gids.assign(header.groups.begin(), header.groups.begin() + header.group_count);
  }
  mount->build(identity);
  mount->abandoned_ = true;  // unless all of the following goes well
  mount->adopt_place();
  // The number is another's where the dead daemon had not come to keep it, or kept it no more. It stays kept meanwhile: this
  // daemon may die as well.
  UniqueFd device(header.device != 0 && common.survival.survived(header.device - 1) ? header.device - 1 : -1);
  const ForgottenUnlessTaken forgotten_unless_taken{common.survival, device};
  if (header.magic != MountHeader::kMagic) return fail(Code::not_found, "the mount was not whole");
  // Of one that ends, too: what they hold is kept, and let go with them.
  if (auto adopted = mount->opens_->adopt(regions); !adopted) return fail(adopted.error());
  if (auto adopted = mount->inodes_->adopt(regions); !adopted) return fail(adopted.error());
  if (header.over_ring != 0) return fail(Code::not_found, "a mount over io_uring ends with its daemon");
  if (!device) return fail(Code::not_found, "the mount was not whole");
  if (is_null_device(device.get())) return fail(Code::not_found, "the mount was ending");
  mount->files_->resume();
  if (auto started = mount->start_session(device); !started) return fail(started.error());
  mount->recount_opens();
  mount->replay();
  mount->forget_names();
  mount->abandoned_ = false;
  return mount;
}

Result<> Mount::start_session(UniqueFd& device) {
  session_ = new_session(*this);
  if (session_ == nullptr) return fail(Code::resource_exhausted, kNoSession);
  const int fd = device.get();
  // libfuse takes the open descriptor by this name, and mounts nothing.
  const bool taken = ring_ || kThreadSanitizer ? send_through(session_, fd)
                                               : fuse_session_mount(session_, fmt::format("/dev/fd/{}", fd).c_str()) == 0;
  if (!taken && ring_)
    return fail(Code::unavailable, "this libfuse is built without custom I/O, which io_uring needs (`./dev build` makes one)");
  if (!taken) return fail(Code::unavailable, "libfuse refused the descriptor of /dev/fuse");
  device_ = device.release();
  cache_->begin(session_);
  if (ring_) return {};           // the kernel can't send again what came over the ring: better that all ends with the daemon
  header_->device = device_ + 1;  // first: what is kept has a name
  common_.survival.keep(device_);
  return {};
}

// The kernel's connection is up; libfuse's new session learns what was agreed from the kernel's own words of then. The kernel
// refuses the reply to a request that it does not know, which libfuse ignores.
void Mount::replay() {
  const std::uint32_t size = header_->init_size;
  if (size >= sizeof(RequestHead)) {
    auto init = header_->init;
    std::memcpy(init.data() + offsetof(RequestHead, unique), &kReplayUnique, sizeof(kReplayUnique));
    struct fuse_buf buffer{};
    buffer.size = size;
    buffer.mem = init.data();
    fuse_session_process_buf(session_, &buffer);
  }
}

Answer<std::size_t> Mount::receive(std::span<std::byte> buffer) {
  const ssize_t size = read(device_, buffer.data(), buffer.size());
  if (size > 0) {
    has_come();
    return static_cast<std::size_t>(size);
  }
  if (size == 0) return refuse(ENODEV);
  if (errno == EAGAIN || errno == EINTR || errno == ENOENT) return 0;  // ENOENT: the request was interrupted meanwhile
  return refuse_last();
}

void Mount::serve(std::span<std::byte> request, unsigned worker) {
  serve(request, worker, read_as<RequestHead>(request).resent());
}

void Mount::serve(std::span<std::byte> request, unsigned worker, bool again) {
  RequestHead head{};
  if (request.size() < sizeof(head)) return;
  std::memcpy(&head, request.data(), sizeof(head));
  if (head.opcode == kOpInit && request.size() <= header_->init.size()) {
    std::ranges::copy(request, header_->init.begin());
    header_->init_size = static_cast<std::uint32_t>(request.size());
  }
  Journal& journal = common_.journal;
  const auto begun = journal.begin(worker, number_, head.opcode, head.name(), again);
  if (begun.again) go_on(begun.record);
  carry_out(request, begun.record);
}

void Mount::serve_from_ring(std::span<std::byte> request, JournalRecord& record) {
  has_come();
  if (gated() && held_back(request)) return;
  const auto head = read_as<RequestHead>(request);
  Journal::start(record, number_, head.opcode, head.name());
  carry_out(request, record);
}

void Mount::carry_out(std::span<std::byte> request, JournalRecord& record) {
  Journal& journal = common_.journal;
  static_cast<void>(journal.at(Moment::received, record));
  usage_.count(zones::read_request(request));
  struct fuse_buf buffer{};
  buffer.size = request.size();
  buffer.mem = request.data();
  Journal::serving(request);
  introductions_->begin();
  if (!answered_by_rights(request)) fuse_session_process_buf(session_, &buffer);
  Journal::serving({});
  static_cast<void>(journal.at(Moment::answered, record));
  journal.end(record);
}

bool Mount::held_back(std::span<const std::byte> request) {
  // What the mount's rights answer does not depend on its way to the file system.
  if (answered_by_rights(request)) return true;
  using Kind = zones::Gates::Verdict::Kind;
  const auto verdict = common_.gates.judge(number_, request);
  if (verdict.kind == Kind::refused) answer_error(request, verdict.error);
  if (verdict.kind == Kind::parked) common_.journal.waits(number_, request);
  return verdict.kind != Kind::pass;
}

bool Mount::answered_by_rights(std::span<const std::byte> request) {
  const auto answer = revocation_->answer(request);
  if (!answer) return false;
  static constexpr std::array<std::byte, Revocation::Reply::kBytesMax> kZeroes{};
  ReplyHead head{static_cast<std::uint32_t>(sizeof(ReplyHead) + answer->zeroes), -answer->error,
                 read_as<RequestHead>(request).unique};
  std::array<iovec, 2> parts{iovec{&head, sizeof(head)}, iovec{const_cast<std::byte*>(kZeroes.data()), answer->zeroes}};
  send(parts);  // the caller may be gone by now
  return true;
}

bool Mount::answer_error(std::span<const std::byte> request, int error) {
  if (request.size() < sizeof(RequestHead)) return true;
  ReplyHead answer{sizeof(ReplyHead), -error, read_as<RequestHead>(request).unique};
  std::array<iovec, 1> parts{iovec{&answer, sizeof(answer)}};
  return send(parts) || errno != ENODEV;
}

bool Mount::send(std::span<iovec> message) {
  will_answer();
  if (ring_) {
    if (!ring_open_ && message.size() > 1 &&
        read_as<ReplyHead>({static_cast<const std::byte*>(message[0].iov_base), sizeof(ReplyHead)}).unique != 0)
      return send_init_reply(message);
    if (ring_->reply(message)) return true;
  }
  return writev(device_, message.data(), static_cast<int>(message.size())) >= 0;
}

// libfuse leaves the ring out of its answer to INIT, as it would serve it by threads of its own.
bool Mount::send_init_reply(std::span<iovec> message) {
  const auto size = header_->init_size.load();
  const bool offered = (read_as<std::uint32_t>(std::span(header_->init).first(size), kInitFlags2At) & kInitOverRing) != 0;
  iovec& answer = message[1];
  const bool agreed = offered && answer.iov_len >= kInitReplyFlags2At + sizeof(std::uint32_t);
  if (agreed) {
    std::uint32_t flags = 0;
    std::byte* const at = static_cast<std::byte*>(answer.iov_base) + kInitReplyFlags2At;
    std::memcpy(&flags, at, sizeof(flags));
    flags |= kInitOverRing;
    std::memcpy(at, &flags, sizeof(flags));
  } else {
    log::warning("mount is served without io_uring: the kernel did not offer it", {{"mount", id().str()}});
  }
  ring_open_ = true;
  over_ring_ = agreed;
  if (writev(device_, message.data(), static_cast<int>(message.size())) < 0) return false;
  if (agreed) common_.ring.open(ring_, shared_from_this());
  return true;
}

void Mount::ring_refused(int error) {
  log::error("the kernel refuses io_uring for a mount, which ends", {{"mount", id().str()}, {"error", std::strerror(error)}});
  if (auto aborted = abort_connection(header_->place_device); !aborted)
    log::error("and can't be ended", {{"mount", id().str()}, {"error", aborted.error().message}});
}

Intent Mount::intent() { return {common_.journal, *Journal::current()}; }

void Mount::answering() {
  JournalRecord* request = Journal::current();
  if (request == nullptr) return;
  static_cast<void>(common_.journal.at(Moment::counted, *request));
  request->answering = 1;
  static_cast<void>(common_.journal.at(Moment::answering, *request));
}

std::uint64_t Mount::current_unique() const {
  const JournalRecord* request = Journal::current();
  return request == nullptr ? 0 : request->unique.load();
}

// Names that the kernel does not check against its own caller must go at once when the rule changes.
double Mount::name_timeout(Trust trust) const {
  return cache_->drops_all_names() || !grant_->decides_search() ? timeout(trust) : 0;
}

double Mount::timeout(Trust trust) const {
  switch (trust) {
    case Trust::none: break;
    case Trust::brief: return common_.cache_timeout;
    case Trust::lasting: return common_.watched_cache_timeout;
  }
  return 0;
}

void Mount::access_changed() { cache_->access_changed(); }

void Mount::connection_ready(bool passthrough, bool epochs) {
  passthrough_ = passthrough && header_->passthrough != 0;
  cache_->set_epochs(epochs);
}

void Mount::close_file(Handle handle) {
  OpenRecord* open = opens_->find(handle, OpenKind::file);
  InodeRecord* inode = open == nullptr ? nullptr : inodes_->record(open->ino);
  if (inode != nullptr && open->passthrough != 0) {
    const std::scoped_lock lock(passthrough_mutex_);
    if (std::exchange(open->passthrough, 0) == OpenRecord::kPlain) {
      --inode->plain_opens;
    } else if (--inode->passthrough_opens == 0) {
      const auto backing_id = static_cast<std::uint32_t>(inode->backing_id);
      ioctl(device_, kBackingClose, &backing_id);
      inode->backing_id = 0;  // after: who dies between closes it once more, which does nothing
    }
  }
  files_->close(handle);
}

void Mount::abandon() {
  abandoned_ = true;
  // It holds the kernel's connection open, on which others may be waiting for an answer.
  if (ring_ && header_->place_device != 0) {
    if (auto aborted = abort_connection(header_->place_device); !aborted)
      log::error("a mount over io_uring can't be ended", {{"mount", id().str()}, {"error", aborted.error().message}});
  }
  common_.waiters.drop_mount(number_);
  cache_->end_soon();
  for (const auto& message : common_.gates.leave(number_)) answer_error(message, ENOTCONN);
  answer_until_told();
  // The connection ends when its device is closed; the number must stay taken while a worker may still reply on it. So
  // another file takes the number.
  const UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (nothing && device_ >= 0) dup3(nothing.get(), device_, O_CLOEXEC);
  if (ring_) ring_->leave();
}

// Whoever tells the kernel to drop a name may be waiting there for a request that nobody reads any more, and holds the device
// open meanwhile: such requests are refused.
void Mount::answer_until_told() {
  std::vector<std::byte> buffer;
  while (cache_->busy()) {
    buffer.resize(kWriteBytesMax + 4096);
    const auto size = receive(buffer);
    if (!size) return;
    if (*size == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    // The kernel takes no notice of replies to what wants none (FORGET).
    if (!answer_error(std::span{buffer}.first(*size), ENOTCONN)) return;
  }
}

void Mount::set_rights(Rights rights) {
  if (grant_->rights() == rights) return;
  grant_->set_rights(rights);
  cache_->drop_all_names();
  take_back();
}

bool Mount::may_pass_through(const OpenRecord& open) const {
  const Rights rights = grant_->rights();
  return rights.mount && (rights.write || open.writable == 0);
}

void Mount::take_back() {
  const Rights rights = grant_->rights();
  if (rights.mount && rights.write) return;
  take_back_files(rights.mount);
  if (rights.mount) return;
  // After the files, whose helper may have had the root's attributes. Pages too, but not where a read that holds them may itself
  // be held back on its way.
  for (const Ino ino : inodes_->known()) fuse_lowlevel_notify_inval_inode(session_, ino, gated() ? -1 : 0, 0);
}

void Mount::take_back_files(bool for_writing_only) {
  std::vector<OpenFiles::OpenFile> files;
  {
    const std::scoped_lock lock(passthrough_mutex_);
    files = opens_->passed_through(for_writing_only);
  }
  std::set<Ino> inodes;
  for (const auto& file : files) inodes.insert(file.ino);
  if (inodes.empty()) return;
  if (place() < 0)
    return log::warning("files stay open with rights that were lost", {{"mount", id().str()}, {"files", inodes.size()}});
  // From here on a lookup makes another inode of it: with the old generation it would find the one given up.
  std::vector<Revocation::Inode> given_up;
  for (const Ino ino : inodes)
    if (InodeRecord* record = inodes_->record(ino)) given_up.push_back({ino, ++record->revision});
  if (auto given = revocation_->give_up(place(), given_up); !given)
    log::error("open files keep rights that were lost", {{"mount", id().str()}, {"error", given.error().message}});
  const std::scoped_lock lock(passthrough_mutex_);
  opens_->give_up(files);
}

zones::Ends Mount::ends() const { return {header_->client_zone.data(), header_->target_zone.data(), header_->one_zone != 0}; }

MountId Mount::id() const { return MountId(header_->id.data()); }

Share::MountStats Mount::stats() const {
  return {.id = id(),
          .operations = usage_.read(false).operations(),
          .known_inodes = inodes_->size(),
          .passthrough = passthrough_ && !gated(),
          .io_uring = over_ring_,
          .file_system = file_system(),
          .ends = ends(),
          .way = common_.gates.state(number_)};
}

std::uint32_t Mount::revision_of(Ino ino) const {
  const InodeRecord* record = inodes_->record(ino);
  return record == nullptr ? 0 : record->revision.load();
}

InodeKey Mount::key_of(Ino ino) const {
  const InodeRecord* record = inodes_->record(ino);
  return record == nullptr ? InodeKey{} : InodeKey{record->device, record->number};
}

}  // namespace berth::fuse
