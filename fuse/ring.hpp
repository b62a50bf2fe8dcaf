// Ring: FUSE over io_uring. Requests of a mount come, and are answered, through memory shared with the kernel: one system call
// answers a request and waits for the next, on the processor that it was sent from. (Documentation/filesystems/fuse/
// fuse-io-uring.rst; Linux 6.14 and newer, where the administrator has switched it on.)
//
// One thread for each processor serves what is sent there, for all mounts. What is known to take long is left to helpers; what
// turns out to take long holds up the other mounts' requests of that processor. The kernel can't send again what came this way:
// a connection ends with its daemon. FORGET and INTERRUPT come through the device as ever.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"
#include "fuse/layout.hpp"

namespace berth::fuse {

class Ring {
 public:
  // Whose requests they are. Called on the ring's threads, several at a time.
  class Client {
   public:
    virtual ~Client() = default;
    // The bytes are as from read(2) on the device. `record` is the thread's own, for Journal::begin().
    virtual void serve_from_ring(std::span<std::byte> request, JournalRecord& record) = 0;
    // The kernel refuses the ring: nothing will come.
    virtual void ring_refused(int error) = 0;
  };
  class Connection;

  // `prepare` is called on each thread before it serves.
  explicit Ring(std::function<void()> prepare);
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Code::unavailable with what to do where the kernel has it not, or has it switched off.
  static Result<> check_offered();

  // Of the FUSE device `device`, whose INIT is not answered yet. The first one starts the threads.
  Result<std::shared_ptr<Connection>> connect(int device);
  // Call when the kernel has agreed in INIT. Until all queues are there it holds back all other requests.
  void open(const std::shared_ptr<Connection>& connection, std::shared_ptr<Client> client);

 private:
  friend class Connection;
  struct Entry;
  class Thread;
  class Helpers;

  Result<> start();

  const std::function<void()> prepare_;
  std::mutex starting_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Thread*> by_queue_;
  std::unique_ptr<Helpers> helpers_;
};

// One mount's. Thread-safe.
class Ring::Connection {
 public:
  explicit Connection(UniqueFd device);
  ~Connection();

  // One message for the kernel, as for writev(2) on the device. False: it answers nothing that came over the ring.
  bool reply(std::span<const iovec> message);
  // Nobody serves it any more: what comes is answered ENOTCONN.
  void leave();

 private:
  friend class Ring;
  std::shared_ptr<Client> client();
  Entry* find(std::uint64_t unique);
  void answer(std::uint64_t unique, int error);
  Entry* add_entry(Thread& thread, std::uint16_t queue);
  unsigned free_entries(std::uint16_t queue);

  const UniqueFd device_;  // a descriptor of its own: the mount's number may become another file's
  std::mutex mutex_;
  std::shared_ptr<Client> client_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::atomic<std::uint64_t> nothings_ = 0;  // see make_room()
};

}  // namespace berth::fuse
