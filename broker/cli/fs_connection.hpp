// How `berth fs` comes to a mount: the daemon makes it, this process takes its descriptor from the daemon's.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "broker/base/error.hpp"
#include "broker/base/unique_fd.hpp"

namespace berth::cli {

struct TakenMount {
  UniqueFd mount;              // detached: an O_PATH descriptor of its root
  nlohmann::json description;  // the daemon's answer
};
// POST /fs/<what> with this query. The mount lives until the last of its descriptors and places is gone.
Result<TakenMount> take_mount(const std::string& state_directory, const std::string& what,
                              const std::map<std::string, std::string>& query);
// Tells the daemon that the mount is in place.
Result<> report_taken(const std::string& state_directory, const TakenMount& taken);

// FILE_SYSTEM[:/PATH]
struct RemotePath {
  std::string file_system;
  std::string path = "/";
};
// Code::invalid_argument where it is none.
Result<RemotePath> parse_remote(const std::string& text);
// Whether `text` is meant for a file system and not for this machine's files.
bool names_file_system(const std::string& text);

// A place of Berth's in this process's mount table.
struct PlacedMount {
  std::string id, directory;
};
Result<std::vector<PlacedMount>> placed_mounts();

}  // namespace berth::cli
