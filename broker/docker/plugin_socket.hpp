// PluginSocket: where container engines find the plugin. The name of the file is the name of the volume driver.
#pragma once

#include <sys/types.h>

#include <string>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::docker {

// Docker looks here by itself; for another path see docs/DOCKER.md.
constexpr const char* kDefaultPluginSocket = "/run/docker/plugins/berth.sock";

// Its file is removed with it, if it is still its own. One that has no descriptor does nothing.
class PluginSocket {
 public:
  PluginSocket() = default;
  PluginSocket(PluginSocket&&) noexcept = default;
  PluginSocket& operator=(PluginSocket&&) = delete;
  ~PluginSocket();

  // Listens at `path`, 0600, and makes the directory. A file that nobody listens on any more is replaced; one that another
  // program listens on is left to it: Code::failed_precondition, with what to do.
  static Result<PluginSocket> open(const std::string& path);
  // The socket of the program before, listening at `path`.
  static PluginSocket adopt(int fd, const std::string& path);

  int get() const { return fd_.get(); }

 private:
  PluginSocket(UniqueFd fd, std::string path);

  UniqueFd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace berth::docker
