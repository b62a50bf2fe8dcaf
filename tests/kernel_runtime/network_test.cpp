// The tasks' network: each its own, the VPC between them, nothing of the host.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "broker/base/unique_fd.hpp"
#include "broker/runtime/files.hpp"
#include "tests/kernel_runtime/runtime_fixture.hpp"

namespace berth::runtime::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A program without curl: sends a line to address:port and prints what comes back.
std::string ask(const std::string& address, unsigned port) {
  return "python3 -c \"import socket; s=socket.create_connection(('" + address + "'," + std::to_string(port) +
         "),3); print('answer', s.recv(100).decode())\" 2>&1 | tail -1; ";
}

std::string serve(unsigned port) {
  return "exec python3 -uc \"import socket; s=socket.create_server(('0.0.0.0'," + std::to_string(port) +
         ")); print('listening')\nwhile True:\n c,a=s.accept(); c.sendall(('hello '+a[0]).encode()); c.close()\"";
}

class NetworkTest : public RuntimeTest {
 protected:
  void wait_for_output(const TaskId& task, const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (output(task).find(text) == std::string::npos && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    ASSERT_THAT(output(task), HasSubstr(text));
  }
  // Accepts one connection at a task's listener and answers with its purpose.
  void answer_one(const std::string& listener) {
    int fd = -1;
    {
      const std::lock_guard lock(listeners_mutex_);
      fd = listeners_.at(listener);
    }
    UniqueFd connection;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!connection && std::chrono::steady_clock::now() < deadline) {
      connection = UniqueFd(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) std::this_thread::yield();
    }
    ASSERT_TRUE(connection);
    ASSERT_EQ(::send(connection.get(), listener.data(), listener.size(), 0), static_cast<ssize_t>(listener.size()));
  }
};

TEST_F(NetworkTest, ATaskHasLoAndEth0WithItsAddressAndNothingElse) {
  const std::string text = run(networked_task("devices",
                                              "ls /sys/class/net; cat /sys/class/net/eth0/address; ip -4 -o address show eth0; "
                                              "ip route; hostname -i; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6",
                                              1, 17));
  EXPECT_THAT(text, HasSubstr("stdout eth0\nstdout lo\nstdout 02:00:00:00:01:11\n"));
  EXPECT_THAT(text, AllOf(HasSubstr("10.0.1.17/24"), HasSubstr("default via 10.0.1.1 dev eth0")));
}

TEST_F(NetworkTest, TasksOfOneSubnetAndOfTwoReachEachOther) {
  const TaskId server("server");
  runtime_->launch(networked_task("server", serve(80), 1, 20));  // port 80 is the task's own
  reports_.wait_for(server, "running");
  wait_for_output(server, "listening");
  EXPECT_THAT(run(networked_task("near", ask("10.0.1.20", 80), 1, 21)), HasSubstr("answer hello 10.0.1.21"));
  EXPECT_THAT(run(networked_task("far", ask("10.0.1.20", 80), 2, 21)), HasSubstr("answer hello 10.0.2.21"));
  EXPECT_THAT(run(networked_task("pinger", "ping -c1 -W2 10.0.1.20 >/dev/null && echo pong || echo no ping program", 1, 22)),
              HasSubstr("stdout"));
  runtime_->stop(server);
  reports_.wait_for(server, "stopped");
}

TEST_F(NetworkTest, TheHostIsNotReachable) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_ANY);
  socklen_t size = sizeof name;
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
  const unsigned port = ntohs(name.sin_port);
  const std::string text = run(
      networked_task("host", ask("127.0.0.1", port) + ask("10.0.1.1", port) + ask("169.254.170.2", port) + "echo done", 1, 30));
  EXPECT_THAT(text, AllOf(Not(HasSubstr("answer")), HasSubstr("stdout done")));
}

TEST_F(NetworkTest, TheTaskEndpointAnswersInsideAndKnowsWhoAsks) {
  const TaskId a("asker-a"), b("asker-b");
  const std::string script = ask("169.254.170.2", 80) + ask("169.254.170.2", 4580) + "sleep 1000";
  runtime_->launch(networked_task("asker-a", script, 1, 40));
  runtime_->launch(networked_task("asker-b", script, 2, 40));
  reports_.wait_for(a, "running");
  reports_.wait_for(b, "running");
  for (const char* listener : {"asker-a metadata", "asker-a front-door", "asker-b metadata", "asker-b front-door"})
    answer_one(listener);
  wait_for_output(a, "answer asker-a front-door");
  wait_for_output(b, "answer asker-b front-door");
  EXPECT_THAT(output(a), AllOf(HasSubstr("answer asker-a metadata"), Not(HasSubstr("asker-b"))));
  EXPECT_THAT(output(b), AllOf(HasSubstr("answer asker-b metadata"), Not(HasSubstr("asker-a"))));
  for (const TaskId& id : {a, b}) runtime_->stop(id);
  for (const TaskId& id : {a, b}) reports_.wait_for(id, "stopped");
}

TEST_F(NetworkTest, ATaskWithoutANetworkStillHasItsEndpoint) {
  runtime_->launch(shell_task("alone", ask("169.254.170.2", 80) + "ls /sys/class/net; sleep 1000"));
  reports_.wait_for(TaskId("alone"), "running");
  answer_one("alone metadata");
  wait_for_output(TaskId("alone"), "answer alone metadata");
  wait_for_output(TaskId("alone"), "stdout lo");
  EXPECT_THAT(output(TaskId("alone")), Not(HasSubstr("eth0")));
  runtime_->stop(TaskId("alone"));
  reports_.wait_for(TaskId("alone"), "stopped");
}

TEST_F(NetworkTest, ManyTasksStartAndEndAtOnce) {
  constexpr unsigned kTasks = 24;
  for (unsigned i = 0; i < kTasks; ++i)
    runtime_->launch(networked_task("crowd" + std::to_string(i) + "-0123456789", "cat /sys/class/net/eth0/address", 1, 100 + i));
  for (unsigned i = 0; i < kTasks; ++i) reports_.wait_for(TaskId("crowd" + std::to_string(i) + "-0123456789"), "stopped");
  for (unsigned i = 0; i < kTasks; ++i)
    EXPECT_EQ(output(TaskId("crowd" + std::to_string(i) + "-0123456789")),
              fmt::format("stdout 02:00:00:00:01:{:02x}\n", 100 + i));
}

TEST_F(NetworkTest, BridgeTasksGetAddressesOfDockersRange) {
  TaskLaunch launch = shell_task("bridge", "ip -4 -o address show eth0");
  launch.network = NetworkMode::bridge;
  EXPECT_THAT(run(launch), HasSubstr("172.17.0.2/16"));
}

// A raw socket can put any address on the wire (NET_RAW is one of Docker's capabilities): the VPC drops what isn't the task's
// own.
TEST_F(NetworkTest, ATaskCanNotSpeakAsAnother) {
  const TaskId victim("victim");
  runtime_->launch(networked_task(
      "victim",
      "exec python3 -uc \"import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('0.0.0.0',9)); "
      "print('listening')\nwhile True:\n d,a=s.recvfrom(100); print('from', a[0], d.decode())\"",
      1, 50));
  reports_.wait_for(victim, "running");
  wait_for_output(victim, "listening");
  // IPv4 and UDP headers by hand: source 10.0.1.52 (not ours), then an honest datagram that ends the wait.
  const std::string forge =
      "python3 -c \"import socket,struct; p=b'forged'; u=struct.pack('!HHHH',9,9,8+len(p),0)+p; "
      "h=struct.pack('!BBHHHBBH4s4s',0x45,0,20+len(u),1,0,64,17,0,socket.inet_aton('10.0.1.52'),socket.inet_aton('10.0.1.50')); "
      "r=socket.socket(socket.AF_INET,socket.SOCK_RAW,socket.IPPROTO_RAW); r.sendto(h+u,('10.0.1.50',0)); "
      "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.sendto(b'honest',('10.0.1.50',9)); print('sent')\"";
  EXPECT_THAT(run(networked_task("liar", forge, 1, 51)), HasSubstr("stdout sent"));
  wait_for_output(victim, "from 10.0.1.51 honest");
  EXPECT_THAT(output(victim), Not(HasSubstr("forged")));
  runtime_->stop(victim);
  reports_.wait_for(victim, "stopped");
}

}  // namespace
}  // namespace berth::runtime::testing
