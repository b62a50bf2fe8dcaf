#include "broker/runtime/probe_memory.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <sstream>

#include <fmt/format.h>

#include "broker/runtime/files.hpp"
#include "broker/runtime/probe.hpp"

namespace berth::runtime {
namespace {

// Which file a name means, found as execvp(3) finds it, and which version of the file.
std::string identity_of(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/bin:/usr/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string file = fmt::format("{}/{}", folder, program);
    struct stat info{};
    if (::stat(file.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || (info.st_mode & 0111) == 0) continue;
    return fmt::format("{}:{}:{}:{}.{:09}", file, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
  }
  return "-";
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

std::string probe_fingerprint() {
  const auto boot = read_file("/proc/sys/kernel/random/boot_id");
  if (!boot || boot->empty()) return {};
  std::string fingerprint = "boot:" + first_line(*boot);
  for (const char* name : kOciRuntimes) fingerprint += fmt::format(" {}:{}", name, identity_of(name));
  return fingerprint;
}

std::optional<ProbeMemory> recall_probe(const std::string& path, const std::string& fingerprint) {
  const auto text = read_file(path);
  if (!text || fingerprint.empty()) return std::nullopt;
  std::istringstream lines(*text);
  std::string of;
  ProbeMemory memory;
  if (!std::getline(lines, of) || !std::getline(lines, memory.program) || !std::getline(lines, memory.version))
    return std::nullopt;
  if (of != fingerprint || memory.program.empty()) return std::nullopt;
  return memory;
}

Result<> remember_probe(const std::string& path, const std::string& fingerprint, const ProbeMemory& memory) {
  if (fingerprint.empty()) return {};
  return replace_file(path, fmt::format("{}\n{}\n{}\n", fingerprint, memory.program, memory.version));
}

}  // namespace berth::runtime
