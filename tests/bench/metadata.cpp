// bench_metadata DIRECTORY COUNT: creates, stats and unlinks COUNT empty files; prints operations a second, a line each.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

namespace {

void measure(const char* name, int count, const std::function<int(const std::string&)>& operation, const std::string& directory) {
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) {
    if (operation(directory + "/f" + std::to_string(i)) != 0) {
      std::perror(name);
      std::exit(1);
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  std::printf("%s %.0f\n", name, count / took.count());
}

int create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  return fd < 0 ? -1 : ::close(fd);
}

int stat_of(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: bench_metadata DIRECTORY COUNT\n");
    return 2;
  }
  const std::string directory = std::string{argv[1]} + "/metadata";
  const int count = std::atoi(argv[2]);
  if (::mkdir(directory.c_str(), 0755) != 0) {
    std::perror(directory.c_str());
    return 1;
  }
  measure("create", count, create, directory);
  measure("stat", count, stat_of, directory);
  measure("unlink", count, [](const std::string& path) { return ::unlink(path.c_str()); }, directory);
  return ::rmdir(directory.c_str());
}
