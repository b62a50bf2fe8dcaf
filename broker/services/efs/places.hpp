// Places: on which disks the directories of the file systems lie, and how one is made and removed there.
//
//   <parent>/fs-0123456789abcdef0/        the file system's root; or, where it lies in another place, a link to
//   <place>/fs-0123456789abcdef0/         the same there
//   <there>/.deleted-fs-0123456789abcdef0 on its way out
//   <there>/.replica-fs-0123456789abcdef0 what a replication makes before it puts it into the file system
//
// The link is all that is remembered of a place, so a file system stays where it is whatever the daemon is started with. All
// accept what is done already. Thread-safe: no state of their own.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "broker/base/error.hpp"
#include "fuse/catalog.hpp"

namespace berth::services::efs {

class Places {
 public:
  // `parent`: a directory of the state directory, the place without a name. `named`: directories that are there.
  explicit Places(std::string parent, std::map<std::string, std::string> named = {})
      : parent_(std::move(parent)), named_(std::move(named)) {}

  // Code::invalid_argument for a place that nobody named; Code::failed_precondition where no file system can be kept there. What
  // the place's file system lacks is logged.
  Result<> make(const fuse::FileSystemId& id, const std::string& place) const;
  // Code::failed_precondition where its place is not there: its disk is not mounted.
  Result<> remove(const fuse::FileSystemId& id) const;

  // Warns, in the log, of what looks like a disk that is not mounted: a place on the same disk as the parent, a file system that
  // is not in its place.
  void warn_of_missing_disks() const;

  // The root of the file system, no link any more.
  std::string directory(const fuse::FileSystemId& id) const;
  // On the same disk.
  std::string staging(const fuse::FileSystemId& id) const;

  // All directories that hold file systems or may come to: none of the tasks' business.
  std::vector<std::string> all() const;

 private:
  std::string link(const fuse::FileSystemId& id) const { return parent_ + "/" + id.str(); }
  // Empty where it lies in the parent.
  std::string target(const fuse::FileSystemId& id) const;

  const std::string parent_;
  const std::map<std::string, std::string> named_;
};

}  // namespace berth::services::efs
