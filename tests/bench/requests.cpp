// bench_requests ADDRESS PORT PATH SECONDS: GETs one after the other on one connection; prints answers a second. Every answer
// must be a 200, or it ends with what came.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

int connect_to(const char* address, int port) {
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::inet_pton(AF_INET, address, &peer.sin_addr) != 1) return -1;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  void* raw = &peer;
  return ::connect(fd, static_cast<sockaddr*>(raw), sizeof peer) == 0 ? fd : -1;
}

// Reads one answer with a Content-Length; false where it is not a whole 200.
bool read_answer(int fd, std::string& buffer) {
  buffer.clear();
  std::size_t wanted = std::string::npos;
  char chunk[16384];
  while (wanted == std::string::npos || buffer.size() < wanted) {
    const ssize_t got = ::read(fd, chunk, sizeof chunk);
    if (got <= 0) return false;
    buffer.append(chunk, static_cast<std::size_t>(got));
    const std::size_t end = buffer.find("\r\n\r\n");
    const std::size_t length = buffer.find("Content-Length: ");
    if (wanted == std::string::npos && end != std::string::npos && length != std::string::npos) {
      wanted = end + 4 + std::strtoull(buffer.c_str() + length + 16, nullptr, 10);
    }
  }
  return buffer.compare(0, 12, "HTTP/1.1 200") == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: bench_requests ADDRESS PORT PATH SECONDS\n");
    return 2;
  }
  const int fd = connect_to(argv[1], std::atoi(argv[2]));
  if (fd < 0) {
    std::perror(argv[1]);
    return 1;
  }
  const std::string request = std::string{"GET "} + argv[3] + " HTTP/1.1\r\nHost: " + argv[1] + "\r\n\r\n";
  const auto begun = std::chrono::steady_clock::now();
  std::chrono::duration<double> took{};
  long answers = 0;
  std::string answer;
  while (took.count() < std::atof(argv[4])) {
    if (::write(fd, request.data(), request.size()) < 0 || !read_answer(fd, answer)) {
      std::fprintf(stderr, "after %ld answers: %s\n", answers, answer.c_str());
      return 1;
    }
    ++answers;
    took = std::chrono::steady_clock::now() - begun;
  }
  std::printf("requests %.0f\n", static_cast<double>(answers) / took.count());
  ::close(fd);
  return 0;
}
