#include "broker/store/state_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include <nlohmann/json.hpp>

#include "broker/store/private_file.hpp"

namespace berth::store {

namespace {

namespace files = std::filesystem;

constexpr std::size_t kKeyBytes = 32;

Result<> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, fmt::format("make the folder `{}`", path));
  return {};
}

// Someone's `--state /tmp` must not turn /tmp into our private folder.
Result<> check_ours(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return fail_errno(errno, fmt::format("state directory `{}`", path));
  if (!S_ISDIR(status.st_mode)) return fail(Code::failed_precondition, "state directory `{}` is not a folder", path);
  if (status.st_uid != ::geteuid()) {
    return fail(Code::permission_denied, "state directory `{}` belongs to user {}, not to {}", path, status.st_uid, ::geteuid());
  }
  std::error_code error;
  const StateDirectory directory{path};
  // A first start that failed has left some of these.
  const std::array ours{directory.file_systems(), directory.runtime(), directory.volumes(), directory.log()};
  bool others = false;
  for (const auto& entry : files::directory_iterator(path, error))
    others = others || std::ranges::find(ours, entry.path().string()) == ours.end();
  if (error) return fail_errno(error.value(), fmt::format("state directory `{}`", path));
  if (others && !files::exists(directory.lock(), error) && !files::exists(directory.database(), error)) {
    return fail(Code::failed_precondition, "state directory `{}` holds other things than Berth's: name an empty or a new one",
                path);
  }
  if (::chmod(path.c_str(), 0700) != 0) return fail_errno(errno, fmt::format("state directory `{}`", path));
  return {};
}

}  // namespace

Result<StateDirectory> StateDirectory::prepare(const std::string& path) {
  std::error_code error;
  const files::path whole = files::absolute(path, error).lexically_normal();
  if (error || path.empty()) return fail(Code::invalid_argument, "state directory `{}` is no path", path);
  StateDirectory directory{whole.has_filename() ? whole.string() : whole.parent_path().string()};
  files::create_directories(files::path{directory.path_}.parent_path(), error);
  if (error) return fail_errno(error.value(), fmt::format("make the folders above the state directory `{}`", directory.path_));
  if (auto made = make_folder(directory.path_); !made) return fail(made.error());
  if (auto ours = check_ours(directory.path_); !ours) return fail(ours.error());
  for (const std::string& folder : {directory.file_systems(), directory.runtime(), directory.volumes()}) {
    if (auto made = make_folder(folder); !made) return fail(made.error());
  }
  return directory;
}

Result<Secret> load_or_make_key(const StateDirectory& directory, Random& random) {
  auto found = read_file(directory.keys());
  if (found && found->size() == kKeyBytes) return Secret{std::move(*found)};
  if (found)
    return fail(Code::failed_precondition, "`{}` is damaged: it has {} bytes, not {}", directory.keys(), found->size(),
                kKeyBytes);
  if (found.error().code != Code::not_found) return fail(found.error());
  std::array<std::byte, kKeyBytes> bytes{};
  random.fill(bytes);
  Secret key{std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())};
  if (auto written = write_private_file(directory.keys(), key.reveal()); !written) return fail(written.error());
  return key;
}

Result<> write_credentials(const StateDirectory& directory, const AdministratorCredentials& credentials) {
  const nlohmann::ordered_json json = {{"account", credentials.account},
                                       {"region", credentials.region},
                                       {"access_key_id", credentials.access_key_id},
                                       {"secret_access_key", credentials.secret_access_key.reveal()}};
  return write_private_file(directory.credentials(), json.dump(2) + "\n");
}

Result<AdministratorCredentials> read_credentials(const StateDirectory& directory) {
  const auto text = read_file(directory.credentials());
  if (!text) return fail(text.error());
  try {
    const auto json = nlohmann::json::parse(*text);
    return AdministratorCredentials{json.at("account").get<std::string>(), json.at("region").get<std::string>(),
                                    json.at("access_key_id").get<std::string>(),
                                    Secret{json.at("secret_access_key").get<std::string>()}};
  } catch (const nlohmann::json::exception&) {
    return fail(Code::failed_precondition, "`{}` is damaged", directory.credentials());
  }
}

}  // namespace berth::store
