// Volumes: file systems under names, as Docker and Podman mount them into their containers.
//
// A volume is a record in the store. While anybody has it mounted it has one mount of the share, held as a task's is (so it has
// passthrough, and rights that are lost are taken from open files), and one place of it in the host's mount namespace, from which
// the engine binds it. Both outlive the daemon; when Berth ends, they do, and nobody has it mounted any more.
//
// Written before it is done, and undone before that is written: a daemon that died in between finds in the record what to do.
// Thread-safe; one operation at a time.
#pragma once

#include <mutex>
#include <optional>

#include "broker/control/control_plane.hpp"
#include "broker/docker/volume_driver.hpp"
#include "broker/runtime/host_places.hpp"
#include "fuse/share.hpp"

namespace berth::docker {

class Volumes final : public VolumeDriver {
 public:
  struct Options {
    std::string file_systems;  // the directory of backing directories
    std::string places;        // the directory below which volumes stand on the host
    std::string role;          // of volumes that name none; name or ARN
  };
  Volumes(control::ControlPlane& plane, fuse::Share& share, runtime::HostPlaces& host, Options options)
      : plane_(plane), share_(share), host_(host), options_(std::move(options)) {}

  Result<> create(const std::string& name, const std::map<std::string, std::string>& options) override;
  Result<> remove(const std::string& name) override;
  Result<std::string> mount(const std::string& name, const std::string& id) override;
  Result<> unmount(const std::string& name, const std::string& id) override;
  Result<VolumeView> get(const std::string& name) override;
  Result<std::string> path(const std::string& name) override;
  std::vector<VolumeView> list() override;

  // After Share::recover(): finishes what a dead daemon began, and clears away what a Berth that is gone left on the host.
  void recover();
  // Holds the rights of what is mounted against the policies of now.
  void refresh_rights();
  // Berth ends.
  void unmount_all();

 private:
  struct Volume {
    std::string name;
    VolumeOptions options;
    TimePoint created_at{};
    std::string mount;                      // the share's id for it; empty: it has none
    std::map<std::string, unsigned> users;  // how often each id has it mounted
  };
  static std::string encode(const Volume& volume);
  static Volume decode(const std::string& name, const std::string& text);

  std::optional<Volume> find(const std::string& name) const;
  Result<Volume> require(const std::string& name) const;
  std::vector<Volume> all() const;
  Result<> store(const Volume& volume);
  // What has happened, whether or not it can be stored now.
  void note(const Volume& volume);
  Result<fuse::MountSpec> decide(Volume& volume) const;
  Result<VolumeOptions> complete(const std::string& name, VolumeOptions options) const;
  Result<> open(Volume& volume, fuse::MountSpec spec);
  // Nobody has it mounted any more.
  void close(Volume& volume);
  Result<> put_in_place(const Volume& volume);
  bool lives(const Volume& volume) const { return !volume.mount.empty() && share_.held(fuse::MountId(volume.mount)) >= 0; }
  std::string place_of(const std::string& name) const { return options_.places + "/" + name; }
  VolumeView view(Volume volume) const;

  control::ControlPlane& plane_;
  fuse::Share& share_;
  runtime::HostPlaces& host_;
  const Options options_;
  std::mutex mutex_;  // held over a whole operation, its system calls too: none of them waits for who serves a mount
};

}  // namespace berth::docker
