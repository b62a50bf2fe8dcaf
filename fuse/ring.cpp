#include "fuse/ring.hpp"

#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include "broker/base/log.hpp"
#include "fuse/journal.hpp"
#include "fuse/wire.hpp"

namespace berth::fuse {
namespace {

constexpr const char* kSwitch = "/sys/module/fuse/parameters/enable_uring";
// So many requests of one processor can be under way, or wait here, at a time; more are added where they wait for long.
constexpr unsigned kDepth = 8;
constexpr unsigned kFreeAtLeast = 4;
constexpr unsigned kHelpers = 4;
constexpr std::uint64_t kNothings = std::uint64_t{1} << 62U;  // numbers that the kernel gives to no request
constexpr unsigned kSubmissions = 1024;
// The head has a page, at the end of which the request is put together, just before its payload.
constexpr std::size_t kHeadBytes = 4096;
constexpr std::size_t kEntryBytes = kHeadBytes + kWriteBytesMax;
// Smaller requests are copied, so that the answer may be written where they came.
constexpr std::size_t kCopiedBytesMax = 4096;

// <linux/fuse.h>: what waits for a disk.
bool takes_long(std::uint32_t opcode) {
  constexpr std::array<std::uint32_t, 4> kLong{20, 30, 43, 47};  // FSYNC, FSYNCDIR, FALLOCATE, COPY_FILE_RANGE
  return std::ranges::find(kLong, opcode) != kLong.end();
}

// The kernel has a queue for each processor that there may ever be.
unsigned possible_processors() {
  std::ifstream file("/sys/devices/system/cpu/possible");
  std::string text(std::istreambuf_iterator<char>(file), {});
  const auto last = text.find_last_of("-,");
  const unsigned long highest = std::strtoul(text.c_str() + (last == std::string::npos ? 0 : last + 1), nullptr, 10);
  return static_cast<unsigned>(highest) + 1;
}

std::vector<unsigned> own_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<unsigned> all;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (unsigned processor = 0; processor < CPU_SETSIZE; ++processor)
      if (CPU_ISSET(processor, &set)) all.push_back(processor);
  }
  if (all.empty()) all.push_back(0);
  return all;
}

}  // namespace

// The place for one request and its answer. The kernel's, until it holds a request; then ours, until that is answered.
struct Ring::Entry {
  Entry(Connection& of, Thread& on, std::uint16_t number)
      : connection(of),
        thread(on),
        queue(number),
        memory(mmap(nullptr, kEntryBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    if (memory != MAP_FAILED) madvise(memory, kEntryBytes, MADV_NOHUGEPAGE);
    parts = {iovec{memory, sizeof(RingHead)}, iovec{payload(), kWriteBytesMax}};
  }
  ~Entry() {
    if (memory != MAP_FAILED) munmap(memory, kEntryBytes);
  }
  Entry(const Entry&) = delete;
  Entry& operator=(const Entry&) = delete;

  RingHead& head() const { return *static_cast<RingHead*>(memory); }
  std::byte* payload() const { return static_cast<std::byte*>(memory) + kHeadBytes; }

  Connection& connection;
  Thread& thread;
  const std::uint16_t queue;
  void* const memory;
  std::array<iovec, 2> parts;  // the kernel reads it when the entry is registered
  std::uint32_t command = kRingRegister;
  std::uint64_t commit = 0;
  std::atomic<std::uint64_t> unique = 0;  // of the request that it holds; 0: none, or answered
};

namespace {

thread_local const void* this_thread = nullptr;  // the Ring::Thread
thread_local void* serving = nullptr;            // the Ring::Entry

}  // namespace

// One processor's thread, and its end of the ring.
class Ring::Thread {
 public:
  Thread(Ring& ring, unsigned processor) : ring_(ring), processor_(processor), record_(std::make_unique<JournalRecord>()) {}
  ~Thread() { stop(); }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  Result<> start();
  void stop();

  // From any thread.
  void join(std::shared_ptr<Connection> connection, std::vector<std::uint16_t> queues);
  void commit(Entry& entry);

 private:
  struct Joining {
    std::shared_ptr<Connection> connection;
    std::vector<std::uint16_t> queues;
  };
  struct Joined {
    std::shared_ptr<Connection> connection;
    unsigned entries = 0;  // that the kernel may still write to
  };

  void run();
  void wait();
  void submit() { io_uring_submit(&uring_); }
  struct io_uring_sqe* next_submission();
  void send(Entry& entry);
  void arm_wake();
  void wake();
  void take_messages();
  void add(const std::shared_ptr<Connection>& connection, std::uint16_t queue);
  void completed(std::uint64_t data, int result);
  void serve(Entry& entry);
  void make_room(Connection& connection, std::uint16_t queue, Ino file);
  void ended(Entry& entry, int result);

  Ring& ring_;
  const unsigned processor_;
  struct io_uring uring_{};
  bool made_ = false;
  UniqueFd wake_;
  std::uint64_t wakes_ = 0;  // the kernel writes it
  std::unordered_map<const Connection*, Joined> joined_;
  const std::unique_ptr<JournalRecord> record_;  // 60 KiB: on no stack
  std::array<std::byte, kCopiedBytesMax> copy_{};
  std::mutex mutex_;
  std::vector<Joining> joining_;
  std::vector<Entry*> answered_;  // by other threads
  bool stopping_ = false;
  bool over_ = false;  // the thread's own: it has heard that it is to stop
  std::jthread thread_;
};

// Threads for what takes long.
class Ring::Helpers {
 public:
  explicit Helpers(const std::function<void()>& prepare) {
    for (unsigned i = 0; i < kHelpers; ++i) threads_.emplace_back([this, prepare] { run(prepare); });
  }
  ~Helpers() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
  }
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;

  void take(std::shared_ptr<Client> client, Entry& entry, std::span<std::byte> request) {
    {
      const std::scoped_lock lock(mutex_);
      tasks_.push_back({std::move(client), &entry, request});
    }
    changed_.notify_one();
  }

 private:
  struct Task {
    std::shared_ptr<Client> client;
    Entry* entry;
    std::span<std::byte> request;
  };

  void run(const std::function<void()>& prepare) {
    prepare();
    const auto record = std::make_unique<JournalRecord>();
    while (true) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      serving = task.entry;
      task.client->serve_from_ring(task.request, *record);
      serving = nullptr;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::jthread> threads_;
};

Result<> Ring::Thread::start() {
  struct io_uring_params parameters{};
  parameters.flags = IORING_SETUP_SQE128 | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  parameters.cq_entries = 4 * kSubmissions;
  if (const int made = io_uring_queue_init_params(kSubmissions, &uring_, &parameters); made != 0) {
    return fail_errno(-made, "io_uring for the share (a container's seccomp profile must allow io_uring_setup)");
  }
  made_ = true;
  wake_.reset(eventfd(0, EFD_CLOEXEC));
  if (!wake_) return fail_errno(errno, "eventfd");
  thread_ = std::jthread([this] { run(); });
  return {};
}

void Ring::Thread::stop() {
  if (thread_.joinable()) {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake();
    thread_.join();
  }
  if (std::exchange(made_, false)) io_uring_queue_exit(&uring_);
}

void Ring::Thread::join(std::shared_ptr<Connection> connection, std::vector<std::uint16_t> queues) {
  {
    const std::scoped_lock lock(mutex_);
    joining_.push_back({std::move(connection), std::move(queues)});
  }
  wake();
}

void Ring::Thread::commit(Entry& entry) {
  entry.command = kRingCommitAndFetch;
  if (this_thread == this) return send(entry);
  {
    const std::scoped_lock lock(mutex_);
    answered_.push_back(&entry);
  }
  wake();
}

void Ring::Thread::run() {
  ring_.prepare_();
  this_thread = this;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor_, &set);
  pthread_setaffinity_np(pthread_self(), sizeof(set), &set);  // where it can't be, it is slower, not wrong
  pthread_setname_np(pthread_self(), "share-ring");
  arm_wake();
  while (!over_) wait();
}

void Ring::Thread::wait() {
  io_uring_submit_and_wait(&uring_, 1);
  std::array<struct io_uring_cqe*, 16> batch{};
  const unsigned count = io_uring_peek_batch_cqe(&uring_, batch.data(), batch.size());
  std::array<std::pair<std::uint64_t, int>, batch.size()> done;
  for (unsigned i = 0; i < count; ++i) done[i] = {batch[i]->user_data, batch[i]->res};
  io_uring_cq_advance(&uring_, count);
  for (unsigned i = 0; i < count; ++i) {
    completed(done[i].first, done[i].second);
    if (i + 1 < count) submit();  // the first answer does not wait for the second
  }
}

struct io_uring_sqe* Ring::Thread::next_submission() {
  while (true) {
    if (struct io_uring_sqe* free = io_uring_get_sqe(&uring_)) return free;
    submit();
  }
}

// Registers the entry, or gives its answer and asks for the next request.
void Ring::Thread::send(Entry& entry) {
  struct io_uring_sqe* submission = next_submission();
  io_uring_prep_rw(IORING_OP_URING_CMD, submission, entry.connection.device_.get(), nullptr, 0, 0);
  submission->cmd_op = entry.command;
  submission->__pad1 = 0;
  io_uring_sqe_set_data(submission, &entry);
  RingCommand command{};
  command.queue = entry.queue;
  if (entry.command == kRingRegister) {
    submission->addr = reinterpret_cast<std::uint64_t>(entry.parts.data());
    submission->len = entry.parts.size();
  } else {
    command.commit = entry.commit;
  }
  std::memcpy(&submission->cmd[0], &command, sizeof(command));
}

void Ring::Thread::arm_wake() {
  struct io_uring_sqe* submission = next_submission();
  io_uring_prep_read(submission, wake_.get(), &wakes_, sizeof(wakes_), 0);
  io_uring_sqe_set_data(submission, nullptr);
}

void Ring::Thread::wake() { eventfd_write(wake_.get(), 1); }

void Ring::Thread::take_messages() {
  std::vector<Joining> joining;
  std::vector<Entry*> answered;
  {
    const std::scoped_lock lock(mutex_);
    joining.swap(joining_);
    answered.swap(answered_);
    over_ = stopping_;
  }
  for (Entry* entry : answered) send(*entry);
  for (const Joining& one : joining) {
    for (const std::uint16_t queue : one.queues) {
      // A queue of a processor that we have not, or that is not there, serves whoever was moved.
      const unsigned depth = queue == processor_ ? kDepth : kFreeAtLeast;
      for (unsigned i = 0; i < depth; ++i) add(one.connection, queue);
    }
  }
}

void Ring::Thread::add(const std::shared_ptr<Connection>& connection, std::uint16_t queue) {
  Entry* entry = connection->add_entry(*this, queue);
  if (entry == nullptr) return log::error("no memory for requests over io_uring");
  Joined& joined = joined_[connection.get()];
  joined.connection = connection;
  ++joined.entries;
  send(*entry);
}

void Ring::Thread::completed(std::uint64_t data, int result) {
  if (data == 0) {
    arm_wake();
    return take_messages();
  }
  Entry& entry = *reinterpret_cast<Entry*>(data);
  if (result == 0) return serve(entry);
  if (result == -EAGAIN || result == -EINTR) return send(entry);
  ended(entry, result);
}

// The kernel is done with it.
void Ring::Thread::ended(Entry& entry, int result) {
  const auto found = joined_.find(&entry.connection);
  if (found == joined_.end()) return;
  const bool gone = result == -ENOTCONN || result == -ECONNABORTED || result == -ECANCELED || result == -ENODEV;
  if (!gone && entry.command == kRingRegister) {
    if (const auto client = entry.connection.client()) client->ring_refused(-result);
  }
  if (--found->second.entries == 0) joined_.erase(found);
}

void Ring::Thread::serve(Entry& entry) {
  const RingHead& head = entry.head();
  const auto in = read_as<RequestHead>(head.in_out);
  const std::size_t payload = head.payload_size;
  const std::size_t argument = in.size - sizeof(in) - payload;
  entry.commit = head.commit;
  entry.unique = in.unique;
  serving = &entry;
  const std::shared_ptr<Client> client = entry.connection.client();
  if (in.opcode == kOpNotifyReply) return entry.connection.answer(in.unique, 0);
  if (in.size < sizeof(in) + payload || payload > kWriteBytesMax || argument > head.argument.size() || client == nullptr) {
    return entry.connection.answer(in.unique, client == nullptr ? ENOTCONN : EIO);
  }
  const bool helped = takes_long(in.opcode);
  const bool copied = !helped && in.size <= copy_.size();
  std::byte* const begin = copied ? copy_.data() : entry.payload() - argument - sizeof(in);
  std::memcpy(begin, &in, sizeof(in));
  std::memcpy(begin + sizeof(in), head.argument.data(), argument);
  if (copied) std::memcpy(begin + sizeof(in) + argument, entry.payload(), payload);
  const std::span<std::byte> request(begin, in.size);
  if (helped) {
    serving = nullptr;
    ring_.helpers_->take(client, entry, request);
  } else {
    client->serve_from_ring(request, *record_);
    serving = nullptr;
  }
  if (entry.unique == in.unique) make_room(entry.connection, entry.queue, in.nodeid);
}

// A request holds its entry for longer. Whoever comes next must find another one; and whoever came meanwhile waits in the kernel,
// which looks there only when a request is answered, not when an entry is added. So it is made to send one, with nothing in it:
// of the same file, which for this must be a regular one. What else holds an entry for long is let go in time, but for flock(2)
// on a directory, which the entries that are left have to do for.
void Ring::Thread::make_room(Connection& connection, std::uint16_t queue, Ino file) {
  const auto joined = joined_.find(&connection);
  unsigned free = connection.free_entries(queue);  // those that hold a request of which nobody has heard yet are among them
  if (joined == joined_.end() || free >= kFreeAtLeast) return;
  const std::shared_ptr<Connection> shared = joined->second.connection;
  for (; free < kFreeAtLeast; ++free) add(shared, queue);
  submit();
  const NotifyRetrieve nothing{.head = {sizeof(NotifyRetrieve), kNotifyRetrieve, 0},
                               .unique = kNothings + 2 * connection.nothings_++,
                               .nodeid = file,
                               .offset = 0,
                               .size = 0,
                               .padding = 0};
  [[maybe_unused]] const auto sent = write(connection.device_.get(), &nothing, sizeof(nothing));  // from this processor
}

Ring::Ring(std::function<void()> prepare) : prepare_(std::move(prepare)) {}

Ring::~Ring() {
  helpers_.reset();  // what they have begun is answered
  threads_.clear();
}

Result<> Ring::check_offered() {
  std::ifstream file(kSwitch);
  std::string word;
  if (!(file >> word)) return fail(Code::unavailable, "this kernel has no FUSE over io_uring (Linux 6.14 has): mount without it");
  if (word == "Y" || word == "1") return {};
  return fail(Code::unavailable, "FUSE over io_uring is switched off in this kernel: `echo 1 > {}` as root, or mount without it",
              kSwitch);
}

Result<> Ring::start() {
  const std::scoped_lock lock(starting_);
  if (!threads_.empty()) return {};
  std::vector<std::unique_ptr<Thread>> threads;
  const auto processors = own_processors();
  for (const unsigned processor : processors) {
    threads.push_back(std::make_unique<Thread>(*this, processor));
    if (auto started = threads.back()->start(); !started) return started;
  }
  by_queue_.clear();
  for (unsigned queue = 0, queues = possible_processors(); queue < queues; ++queue) {
    const auto own = std::ranges::find(processors, queue);
    const auto index = own == processors.end() ? queue % threads.size() : static_cast<std::size_t>(own - processors.begin());
    by_queue_.push_back(threads[index].get());
  }
  helpers_ = std::make_unique<Helpers>(prepare_);
  threads_ = std::move(threads);
  return {};
}

Result<std::shared_ptr<Ring::Connection>> Ring::connect(int device) {
  if (auto offered = check_offered(); !offered) return fail(offered.error());
  if (auto started = start(); !started) return fail(started.error());
  UniqueFd copy(fcntl(device, F_DUPFD_CLOEXEC, 3));
  if (!copy) return fail_errno(errno, "device of the mount");
  return std::make_shared<Connection>(std::move(copy));
}

void Ring::open(const std::shared_ptr<Connection>& connection, std::shared_ptr<Client> client) {
  {
    const std::scoped_lock lock(connection->mutex_);
    connection->client_ = std::move(client);
  }
  for (const auto& thread : threads_) {
    std::vector<std::uint16_t> queues;
    for (std::size_t queue = 0; queue < by_queue_.size(); ++queue)
      if (by_queue_[queue] == thread.get()) queues.push_back(static_cast<std::uint16_t>(queue));
    thread->join(connection, std::move(queues));
  }
}

Ring::Connection::Connection(UniqueFd device) : device_(std::move(device)) {}

Ring::Connection::~Connection() = default;

std::shared_ptr<Ring::Client> Ring::Connection::client() {
  const std::scoped_lock lock(mutex_);
  return client_;
}

void Ring::Connection::leave() {
  std::shared_ptr<Client> ends_unlocked;
  const std::scoped_lock lock(mutex_);
  ends_unlocked.swap(client_);
}

Ring::Entry* Ring::Connection::find(std::uint64_t unique) {
  auto* own = static_cast<Entry*>(serving);
  if (own != nullptr && &own->connection == this && own->unique == unique) return own;
  const std::scoped_lock lock(mutex_);
  const auto found = std::ranges::find_if(entries_, [&](const auto& entry) { return entry->unique == unique; });
  return found == entries_.end() ? nullptr : found->get();
}

Ring::Entry* Ring::Connection::add_entry(Thread& thread, std::uint16_t queue) {
  auto entry = std::make_unique<Entry>(*this, thread, queue);
  if (entry->memory == MAP_FAILED) return nullptr;
  const std::scoped_lock lock(mutex_);
  return entries_.emplace_back(std::move(entry)).get();
}

unsigned Ring::Connection::free_entries(std::uint16_t queue) {
  const std::scoped_lock lock(mutex_);
  return static_cast<unsigned>(
      std::ranges::count_if(entries_, [&](const auto& entry) { return entry->queue == queue && entry->unique == 0; }));
}

void Ring::Connection::answer(std::uint64_t unique, int error) {
  ReplyHead head{sizeof(ReplyHead), -error, unique};
  const iovec message{&head, sizeof(head)};
  reply({&message, 1});
  serving = nullptr;
}

bool Ring::Connection::reply(std::span<const iovec> message) {
  ReplyHead answer{};
  if (message.empty() || message[0].iov_len < sizeof(answer)) return false;
  std::memcpy(&answer, message[0].iov_base, sizeof(answer));
  Entry* entry = answer.unique == 0 ? nullptr : find(answer.unique);
  std::uint64_t unique = answer.unique;
  if (entry == nullptr || !entry->unique.compare_exchange_strong(unique, 0)) return false;
  RingHead& head = entry->head();
  std::size_t size = 0;
  const auto append = [&](const std::byte* bytes, std::size_t count) {
    if (size + count > kWriteBytesMax) {
      answer.error = -EIO;
      return;
    }
    std::memcpy(entry->payload() + size, bytes, count);
    size += count;
  };
  append(static_cast<const std::byte*>(message[0].iov_base) + sizeof(answer), message[0].iov_len - sizeof(answer));
  for (const iovec& part : message.subspan(1)) append(static_cast<const std::byte*>(part.iov_base), part.iov_len);
  answer.size = static_cast<std::uint32_t>(sizeof(answer) + size);
  std::memcpy(head.in_out.data(), &answer, sizeof(answer));
  head.payload_size = static_cast<std::uint32_t>(size);
  entry->thread.commit(*entry);
  return true;
}

}  // namespace berth::fuse
