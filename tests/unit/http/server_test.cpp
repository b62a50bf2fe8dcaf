#include "broker/http/server.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <future>
#include <latch>
#include <thread>

#include "broker/http/client.hpp"
#include "broker/http/socket.hpp"
#include "tests/unit/http/raw_client.hpp"

namespace berth::http {
namespace {

using std::chrono::milliseconds;

Response echo(const Request& request) {
  return {200, {{"X-Method", request.method}, {"X-Target", request.target}, {"X-Listener", request.listener}}, request.body};
}

// Limits so short that a test needn't wait, on a server that is otherwise the daemon's.
ServerOptions impatient() {
  return {.header_timeout = milliseconds(50), .body_timeout = milliseconds(50), .idle_timeout = milliseconds(50)};
}

std::uint16_t listen(Server& server, Handler handler = echo, const std::string& name = "front") {
  auto port = server.listen_tcp(name, "127.0.0.1", 0, std::move(handler));
  EXPECT_TRUE(port.has_value());
  return port.value_or(0);
}

TEST(HttpServer, AnswersWhatTheHandlerMakesOfTheRequest) {
  Server server;
  auto client = Client::tcp("127.0.0.1", listen(server));
  auto response = client.post("/path%2Fx?q=1", {{"Content-Type", "text/plain"}}, "body");
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "body");
  EXPECT_EQ(*find_header(response->headers, "x-method"), "POST");
  EXPECT_EQ(*find_header(response->headers, "X-Listener"), "front");
}

TEST(HttpServer, TheTargetReachesTheHandlerAsItWasSent) {
  Server server;
  const auto port = listen(server, [](const Request& request) { return Response{200, {}, request.target}; });
  EXPECT_EQ(Client::tcp("127.0.0.1", port).get("/a%2Fb/%C3%A4?q=%3A+x")->body, "/a%2Fb/%C3%A4?q=%3A+x");
}

TEST(HttpServer, KeepsAConnectionForFurtherRequestsEvenWhenTheyComeAtOnce) {
  Server server;
  RawClient client(listen(server));
  client.send(
      "POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\noneGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.read_all();
  EXPECT_NE(all.find("X-Target: /1"), std::string::npos);
  EXPECT_NE(all.find("X-Target: /2"), std::string::npos);
  EXPECT_LT(all.find("/1"), all.find("/2"));
}

TEST(HttpServer, PutsChunkedBodiesTogether) {
  Server server;
  RawClient client(listen(server));
  client.send(
      "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  EXPECT_TRUE(client.read_all().ends_with("\r\n\r\nabcde"));
}

TEST(HttpServer, SaysContinueBeforeTheBodyIsSent) {
  Server server;
  RawClient client(listen(server));
  client.send("PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ok");
  EXPECT_TRUE(client.read_all().ends_with("\r\n\r\nok"));
}

TEST(HttpServer, HeadHasTheLengthButNotTheBody) {
  Server server;
  RawClient client(listen(server, [](const Request&) { return Response{200, {}, "12345"}; }));
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.read_all();
  EXPECT_NE(all.find("Content-Length: 5\r\n"), std::string::npos);
  EXPECT_TRUE(all.ends_with("\r\n\r\n"));
}

TEST(HttpServer, NoContentHasNeitherBodyNorLength) {
  Server server;
  RawClient client(listen(server, [](const Request&) { return Response{204, {}, "dropped"}; }));
  client.send("DELETE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string all = client.read_all();
  EXPECT_EQ(all.find("Content-Length"), std::string::npos);
  EXPECT_TRUE(all.ends_with("\r\n\r\n"));
}

TEST(HttpServer, AHeaderValueCannotEndItsLine) {
  Server server;
  RawClient client(listen(server, [](const Request&) { return Response{200, {{"X-Echo", "a\r\nX-Made-Up: yes"}}, ""}; }));
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.read_all().find("\r\nX-Made-Up"), std::string::npos);
}

TEST(HttpServer, RefusesABodyOverTheLimitBeforeItIsSent) {
  Server server({.body_bytes_max = 10});
  RawClient client(listen(server));
  client.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n").starts_with("HTTP/1.1 413"));
}

TEST(HttpServer, RefusesAChunkedBodyOverTheLimit) {
  Server server({.body_bytes_max = 10});
  RawClient client(listen(server));
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n").starts_with("HTTP/1.1 413"));
}

TEST(HttpServer, ABodyOfExactlyTheLimitIsTaken) {
  Server server({.body_bytes_max = 10});
  auto response = Client::tcp("127.0.0.1", listen(server)).post("/", {}, "1234567890");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "1234567890");
}

TEST(HttpServer, RefusesAHeaderOverTheLimit) {
  Server server({.header_bytes_max = 1024});
  RawClient client(listen(server));
  client.send("GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(2000, 'a') + "\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n").starts_with("HTTP/1.1 431"));
}

TEST(HttpServer, AnswersBytesThatAreNoRequest) {
  Server server;
  RawClient client(listen(server));
  client.send("\x16\x03\x01 what is this\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n").starts_with("HTTP/1.1 400"));
}

TEST(HttpServer, RefusesARequestWithTwoLengths) {
  Server server;
  RawClient client(listen(server));
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  EXPECT_TRUE(client.read_until("\r\n").starts_with("HTTP/1.1 400"));
}

TEST(HttpServer, CutsAClientThatNeverFinishesItsHeader) {
  Server server(impatient());
  RawClient client(listen(server));
  client.send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(client.read_all(), "");
}

TEST(HttpServer, CutsAClientThatNeverFinishesItsBody) {
  Server server(impatient());
  RawClient client(listen(server));
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this");
  EXPECT_EQ(client.read_all(), "");
}

TEST(HttpServer, CutsAConnectionThatStaysIdleAfterARequest) {
  Server server(impatient());
  RawClient client(listen(server));
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(client.read_all().starts_with("HTTP/1.1 200"));  // read_all ends because the server closed
}

TEST(HttpServer, SlowAndIdleClientsHoldNoWorker) {
  Server server({.io_threads = 1, .workers = 1});
  const auto port = listen(server);
  std::vector<RawClient> slow;
  for (int i = 0; i < 50; ++i) {
    slow.emplace_back(port);
    if (i % 3 == 0) slow.back().send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
    if (i % 3 == 1) slow.back().send("GET / HT");
  }
  auto response = Client::tcp("127.0.0.1", port).get("/through");
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(*find_header(response->headers, "X-Target"), "/through");
}

TEST(HttpServer, AClientThatDoesNotReadHoldsNoWorker) {
  Server server({.io_threads = 1, .workers = 1});
  const std::string large(32 << 20, 'x');
  const auto port = listen(server, [&](const Request& request) {
    return request.target == "/large" ? Response{200, {}, large} : Response{200, {}, "small"};
  });
  RawClient deaf(port);
  deaf.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(deaf.read_until("\r\n").starts_with("HTTP/1.1 200"));  // the answer is on its way
  auto response = Client::tcp("127.0.0.1", port).get("/");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "small");
}

TEST(HttpServer, TurnsAwayConnectionsOverTheLimitOfTheListener) {
  Server server({.connections_max = 1});
  const auto port = listen(server);
  RawClient first(port);
  first.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(first.read_until("\r\n").starts_with("HTTP/1.1 200"));
  RawClient second(port);
  EXPECT_TRUE(second.read_all().starts_with("HTTP/1.1 503"));
}

TEST(HttpServer, AHandlerThatThrowsIsAnInternalError) {
  Server server;
  auto response =
      Client::tcp("127.0.0.1", listen(server, [](const Request&) -> Response { throw std::runtime_error("broken"); })).get("/");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 500);
  EXPECT_EQ(response->body.find("broken"), std::string::npos);
}

TEST(HttpServer, AnAnswerMayComeLaterFromAnotherThread) {
  Server server({.workers = 1});
  std::promise<Respond> waiting;
  const AsyncHandler handler = [&](const Request& request, const Respond& respond) {
    if (request.target == "/wait") {
      waiting.set_value(respond);
    } else {
      respond({200, {}, "at once"});
    }
  };
  const auto port = server.listen_tcp("front", "127.0.0.1", 0, handler).value();
  RawClient patient(port);
  patient.send("GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  Respond respond = waiting.get_future().get();
  EXPECT_EQ(Client::tcp("127.0.0.1", port).get("/")->body, "at once");  // the one worker is free meanwhile
  respond({200, {}, "later"});
  EXPECT_TRUE(patient.read_all().ends_with("later"));
}

TEST(HttpServer, ADroppedAnswerIsAnInternalError) {
  Server server;
  const AsyncHandler forgetful = [](const Request&, const Respond&) {};
  const auto port = server.listen_tcp("front", "127.0.0.1", 0, forgetful).value();
  auto response = Client::tcp("127.0.0.1", port).get("/");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 500);
}

TEST(HttpServer, StopListeningWaitsForTheRequestThatIsBeingAnswered) {
  Server server;
  std::promise<void> started;
  std::promise<void> go_on;
  std::atomic<bool> answered = false;
  const auto port = listen(server, [&](const Request&) {
    started.set_value();
    go_on.get_future().wait();
    answered = true;
    return Response{200, {}, "done"};
  });
  RawClient client(port);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  started.get_future().wait();
  std::jthread stopper([&] {
    server.stop_listening("front");
    EXPECT_TRUE(answered);
  });
  go_on.set_value();
  EXPECT_TRUE(client.read_all().ends_with("done"));
  stopper.join();
  EXPECT_FALSE(RawClient(port).connected());
}

TEST(HttpServer, StopListeningCutsIdleConnectionsAndLeavesOtherListenersAlone) {
  Server server;
  const auto port = listen(server, echo, "task:1");
  const auto other = listen(server, echo, "task:2");
  RawClient idle(port);
  idle.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  idle.read_until("\r\n\r\n");
  server.stop_listening("task:1");
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_EQ(server.connections("task:1"), 0u);
  EXPECT_TRUE(Client::tcp("127.0.0.1", other).get("/"));
  EXPECT_TRUE(server.listen_tcp("task:1", "127.0.0.1", 0, Handler(echo)));  // the name is free again
}

TEST(HttpServer, StoppingDoesNotWaitLongForAClientThatDoesNotReadItsAnswer) {
  const std::string large(32 << 20, 'x');
  Server server({.write_timeout = std::chrono::hours(1)});
  RawClient deaf(listen(server, [&](const Request&) { return Response{200, {}, large}; }));
  deaf.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  deaf.read_until("\r\n");
  server.stop_listening("front");  // the test's own time limit is far below the write timeout
  EXPECT_EQ(server.connections("front"), 0u);
}

TEST(HttpServer, AListenersNameIsTakenOnce) {
  Server server;
  listen(server);
  auto again = server.listen_tcp("front", "127.0.0.1", 0, Handler(echo));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, Code::already_exists);
}

TEST(HttpServer, AnOccupiedPortIsAnErrorThatNamesIt) {
  Server server;
  const auto port = listen(server);
  auto again = server.listen_tcp("second", "127.0.0.1", port, Handler(echo));
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().message.find(std::to_string(port)), std::string::npos) << again.error().message;
}

TEST(HttpServer, ServesAUnixSocketWithTheModeAskedFor) {
  const std::string path = testing::TempDir() + "/berth-http-test-" + std::to_string(::getpid()) + ".sock";
  Server server;
  ASSERT_TRUE(server.listen_unix("admin", path, 0600, echo));
  struct stat about{};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  auto response = Client::unix_socket(path).post("/x", {}, "hello");
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "hello");
  EXPECT_EQ(*find_header(response->headers, "X-Listener"), "admin");
  ::unlink(path.c_str());
}

TEST(HttpServer, ReplacesASocketFileThatNobodyListensOn) {
  const std::string path = testing::TempDir() + "/berth-http-left-" + std::to_string(::getpid()) + ".sock";
  ASSERT_TRUE(listen_unix_socket(path, 0600));  // closed at once; the file stays
  Server server;
  ASSERT_TRUE(server.listen_unix("admin", path, 0600, echo));
  Server second;
  EXPECT_FALSE(second.listen_unix("admin", path, 0600, echo));  // somebody listens on it now
  ::unlink(path.c_str());
}

TEST(HttpServer, AdoptsASocketThatAlreadyListensAndLeavesItToItsOwner) {
  auto socket = listen_tcp_socket("127.0.0.1", 0);
  ASSERT_TRUE(socket);
  const auto port = port_of(socket->get());
  Server server;
  ASSERT_TRUE(server.adopt("task:7", socket->get(), echo));
  auto response = Client::tcp("127.0.0.1", port).get("/");
  ASSERT_TRUE(response);
  EXPECT_EQ(*find_header(response->headers, "X-Listener"), "task:7");
  server.stop_listening("task:7");
  EXPECT_TRUE(RawClient(port).connected());  // the owner's copy still listens
}

TEST(HttpServer, ALinkSaysOfAllItsRequestsWhetherTheyAreSecureAndWhoseTheyAre) {
  auto socket = listen_tcp_socket("127.0.0.1", 0);
  ASSERT_TRUE(socket);
  Server server;
  const Handler seen = [](const Request& r) { return Response{200, {}, r.peer + (r.secure ? " secure" : " plain")}; };
  ASSERT_TRUE(server.adopt("task:7", socket->get(), seen, {.secure = true, .peer = "10.0.1.17"}));
  EXPECT_EQ(Client::tcp("127.0.0.1", port_of(socket->get())).get("/").value().body, "10.0.1.17 secure");
  EXPECT_EQ(Client::tcp("127.0.0.1", listen(server, seen)).get("/").value().body, "127.0.0.1 plain");
}

TEST(HttpServer, DoesNotAdoptWhatDoesNotListen) {
  const UniqueFd socket(::socket(AF_INET, SOCK_STREAM, 0));
  Server server;
  EXPECT_FALSE(server.adopt("x", socket.get(), echo));
  EXPECT_FALSE(server.adopt("x", 0, echo));
}

TEST(HttpServer, ServesManyClientsAtOnce) {
  Server server({.workers = 4});
  const auto port = listen(server);
  std::vector<std::jthread> clients;
  std::atomic<int> right = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      auto client = Client::tcp("127.0.0.1", port);
      for (int n = 0; n < 50; ++n) {
        const std::string body = std::to_string(i * 1000 + n);
        auto response = client.post("/", {}, body);
        if (response && response->body == body) ++right;
      }
    });
  }
  clients.clear();
  EXPECT_EQ(right, 8 * 50);
}

TEST(HttpClient, ANobodyThereIsUnavailable) {
  auto socket = listen_tcp_socket("127.0.0.1", 0);
  const auto port = port_of(socket->get());
  socket->reset();
  auto response = Client::tcp("127.0.0.1", port).get("/");
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, Code::unavailable);
}

}  // namespace
}  // namespace berth::http
