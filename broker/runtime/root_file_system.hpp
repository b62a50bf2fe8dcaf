// RootFileSystems: mounts a container's root: always an overlay whose upper layer is the container's own and is thrown away.
// Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "broker/base/error.hpp"
#include "broker/runtime/host_cover.hpp"
#include "broker/runtime/image.hpp"
#include "broker/runtime/paths.hpp"

namespace berth::runtime {

class RootFileSystems {
 public:
  // `hidden_paths` are hidden in `host` images and refused as, or in, directory images.
  static Result<std::unique_ptr<RootFileSystems>> open(const Paths& paths, const std::vector<std::string>& hidden_paths);

  struct Prepared {
    std::string path;
    ImageConfig image;
  };
  // Mounts the root at <bundle>/rootfs. Fails with ECS's CannotPullContainerError texts.
  Result<Prepared> prepare(const std::string& image, const std::string& bundle);
  // Accepts bundles that it never saw.
  void remove(const std::string& bundle) noexcept;
  void close() noexcept;

 private:
  explicit RootFileSystems(const Paths& paths) : paths_(paths) {}
  Result<> mount_overlay(const std::vector<std::string>& layers, const std::string& bundle);

  Result<std::string> checked_directory(const std::string& path) const;

  const Paths paths_;
  std::vector<std::string> hidden_paths_;
  HostCover cover_;
  std::mutex unpacking_;  // one image at a time, so that none is unpacked twice
};

}  // namespace berth::runtime
