// StateDirectory: the paths of all that Berth keeps on disk, and the few small files that hold secrets.
//
//   <state>/                    0700, the daemon's own
//     lock                      flock'ed by the keeper while it runs; holds its pid
//     berth.db  berth.db-wal    the store: every record of the cloud
//     keys                      32 bytes that seal session tokens; 0600
//     credentials               the administrator's access key, JSON, for `berth env`; 0600
//     daemon.log                the log of the keeper and the daemon
//     admin.sock                where `berth` asks the running daemon
//     file-systems/<fs-id>/     the content of a file system (its backing directory)
//     volumes/<name>/           where a volume of Docker's or Podman's stands on the host while it is mounted
//     runtime/                  what belongs to running tasks, and the containers' output
#pragma once

#include <string>
#include <string_view>

#include "broker/base/error.hpp"
#include "broker/base/random.hpp"
#include "broker/base/secret.hpp"

namespace berth::store {

class StateDirectory {
 public:
  // Makes what is missing. Refuses a directory that is another user's, or one that holds other things than Berth's.
  static Result<StateDirectory> prepare(const std::string& path);
  // Only names the paths: for clients that read.
  explicit StateDirectory(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string lock() const { return path_ + "/lock"; }
  std::string database() const { return path_ + "/berth.db"; }
  std::string keys() const { return path_ + "/keys"; }
  std::string credentials() const { return path_ + "/credentials"; }
  std::string log() const { return path_ + "/daemon.log"; }
  std::string admin_socket() const { return path_ + "/admin.sock"; }
  std::string file_systems() const { return path_ + "/file-systems"; }
  std::string file_system(std::string_view id) const { return file_systems() + "/" + std::string{id}; }
  std::string volumes() const { return path_ + "/volumes"; }
  std::string runtime() const { return path_ + "/runtime"; }

 private:
  std::string path_;  // absolute
};

// The key of the session tokens, made on the first call.
Result<Secret> load_or_make_key(const StateDirectory& directory, Random& random);

struct AdministratorCredentials {
  std::string account, region;
  std::string access_key_id;
  Secret secret_access_key;
};
// The whole file or the old one; never a part.
Result<> write_credentials(const StateDirectory& directory, const AdministratorCredentials& credentials);
Result<AdministratorCredentials> read_credentials(const StateDirectory& directory);

}  // namespace berth::store
