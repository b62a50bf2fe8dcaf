// The EFS service over a real control plane.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "broker/services/efs/service.hpp"
#include "tests/support/service_world.hpp"

namespace berth::services::efs {

using api::Json;

class EfsWorld : public testing::ServiceWorld<> {
 protected:
  EfsWorld() { make(); }

  void make() { service = make_service(parts()); }

  Parts parts() {
    return {.plane = world.plane(),
            .backing = {.make = [this](const fuse::FileSystemId& id, const std::string& place) -> Result<> {
                          if (place == "nowhere") return fail(Code::invalid_argument, "there is no place `nowhere`");
                          if (disk_is_full) return fail(Code::io, "no space left on device");
                          directories.insert(id.str());
                          return {};
                        },
                        .remove = [this](const fuse::FileSystemId& id) -> Result<> {
                          if (disk_is_full) return fail(Code::io, "no space left on device");
                          directories.erase(id.str());
                          return {};
                        },
                        .measure = [](const fuse::FileSystemId&, const std::set<std::string>&) -> Result<Sizes> {
                          return Sizes{8192, {}};
                        }},
            .access_changed = [this] { ++access_changes; }};
  }

  std::vector<const api::Service*> services() const override { return {&service}; }

  std::string make_file_system(const std::string& token = "t") {
    return must("CreateFileSystem", {{"CreationToken", token}})["FileSystemId"];
  }

  std::set<std::string> directories;
  bool disk_is_full = false;
  int access_changes = 0;
  api::Service service;
};

}  // namespace berth::services::efs
