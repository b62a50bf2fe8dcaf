// VolumeDriver: what a container engine can ask of a volume plugin, apart from how it asks.
// https://docs.docker.com/engine/extend/plugins_volume/
#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/base/clock.hpp"
#include "broker/base/error.hpp"
#include "broker/docker/volume_options.hpp"

namespace berth::docker {

struct VolumeView {
  std::string name;
  std::string mountpoint;  // where it stands while it is mounted
  TimePoint created_at{};
  VolumeOptions options;  // with what was left out; the role by its ARN
  std::string rights;     // what its mounts may do by the policies of now, or why it can't be mounted
  unsigned mounts = 0;    // how often it is mounted
};

class VolumeDriver {
 public:
  virtual ~VolumeDriver() = default;

  // Done already where there is one of this name with the same options.
  virtual Result<> create(const std::string& name, const std::map<std::string, std::string>& options) = 0;
  // Code::failed_precondition while it is mounted. What the file system holds stays.
  virtual Result<> remove(const std::string& name) = 0;
  // The mountpoint. `id` names who mounts; the same may mount again (docker cp in a running container), and unmounts as often.
  virtual Result<std::string> mount(const std::string& name, const std::string& id) = 0;
  // An id that has nothing mounted is fine: a Berth that was down since has forgotten it.
  virtual Result<> unmount(const std::string& name, const std::string& id) = 0;
  virtual Result<VolumeView> get(const std::string& name) = 0;
  virtual Result<std::string> path(const std::string& name) = 0;
  virtual std::vector<VolumeView> list() = 0;
};

}  // namespace berth::docker
