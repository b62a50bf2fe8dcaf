// What every call answers to a path that leads nowhere.
#include <unistd.h>

#include <climits>
#include <cstring>

#include "tests/posix/calls.hpp"
#include "tests/posix/scenarios.hpp"

namespace berth::posix {
namespace {

constexpr Owned kOpenToAll{0777, kOwner.uid, kOwner.gid};

int run_call(const PathCall& call, const std::string& path, const std::string& aside) {
  return call.call(path.c_str(), aside.c_str());
}

void for_each_call(Run& run, void (*body)(Run&, const PathCall&, const std::string& aside)) {
  run.put("aside", Type::directory, kOpenToAll);
  for (const PathCall& call : path_calls()) {
    set_scene(run, call, "x", {0666, kOwner.uid, kOwner.gid});
    body(run, call, run.at("aside/other"));
  }
}

// Each kind of file in a directory's place, in the middle of the path.
void not_a_directory(Run& run) {
  for (const Type type : {Type::file, Type::fifo, Type::socket, Type::character, Type::block}) {
    run.put(fmt::format("no-{}", static_cast<int>(type)), type, kOpenToAll);
  }
  run.put("dangling", Type::link, {}, "missing");
  run.put("to-file", Type::link, {}, "no-0");
  for_each_call(run, [](Run& r, const PathCall& call, const std::string& aside) {
    for (const Type type : {Type::file, Type::fifo, Type::socket, Type::character, Type::block}) {
      const std::string path = r.at(fmt::format("no-{}/x", static_cast<int>(type)));
      r.error(fmt::format("{} below {}", call.name, name_of(type)), run_call(call, path, aside), ENOTDIR);
    }
    r.error(fmt::format("{} below a symlink to a file", call.name), run_call(call, r.at("to-file/x"), aside), ENOTDIR);
    r.error(fmt::format("{} below a symlink to nothing", call.name), run_call(call, r.at("dangling/x"), aside), ENOENT);
    r.error(fmt::format("{} below nothing", call.name), run_call(call, r.at("missing/x"), aside), ENOENT);
    r.error(fmt::format("{} of an empty path", call.name), run_call(call, "", aside), ENOENT);
    r.error(fmt::format("{} of a path at a wrong address", call.name), call.call(reinterpret_cast<const char*>(1), aside.c_str()),
            EFAULT);
  });
}

void loops(Run& run) {
  run.put("loop", Type::link, {}, "loop");
  run.put("ping", Type::link, {}, "pong");
  run.put("pong", Type::link, {}, "ping");
  for_each_call(run, [](Run& r, const PathCall& call, const std::string& aside) {
    for (const char* name : {"loop/x", "ping/x"}) {
      r.error(fmt::format("{} of {}", call.name, name), run_call(call, r.at(name), aside), ELOOP);
    }
    if (!call.follows || call.wants == Wants::nothing) return;
    r.error(fmt::format("{} of a symlink to itself", call.name), run_call(call, r.at("loop"), aside), ELOOP);
  });
}

// 40 symlinks are followed on the way, not 41.
void chains_of_links(Run& run) {
  run.put("end", Type::directory, kOpenToAll);
  run.put("end/x", Type::file, {0644, kOwner.uid, kOwner.gid});
  run.put("l0", Type::link, {}, "end");
  for (int i = 1; i <= 41; ++i) run.put(fmt::format("l{}", i), Type::link, {}, fmt::format("l{}", i - 1));
  struct stat found{};
  run.works("stat through 40 symlinks", stat(run.at("l39/x").c_str(), &found));
  run.fails("stat through 41 symlinks", stat(run.at("l40/x").c_str(), &found), ELOOP);
}

void existing_calls_find_nothing(Run& run) {
  run.put("dangling", Type::link, {}, "missing");
  for_each_call(run, [](Run& r, const PathCall& call, const std::string& aside) {
    if (call.wants == Wants::nothing) return;
    r.error(fmt::format("{} of nothing", call.name), run_call(call, r.at("missing"), aside), ENOENT);
    if (call.follows)
      r.error(fmt::format("{} of a dangling symlink", call.name), run_call(call, r.at("dangling"), aside), ENOENT);
  });
}

void making_calls_find_something(Run& run) {
  for (const Type type : kTypes) run.put(fmt::format("there-{}", static_cast<int>(type)), type, kOpenToAll);
  for_each_call(run, [](Run& r, const PathCall& call, const std::string& aside) {
    const std::string_view name{call.name};
    if (call.wants != Wants::nothing || name == "rename to" || name == "open O_CREAT") return;
    for (const Type type : kTypes) {
      const std::string path = r.at(fmt::format("there-{}", static_cast<int>(type)));
      r.error(fmt::format("{} where {} is", call.name, name_of(type)), run_call(call, path, aside), EEXIST);
    }
  });
}

void slash_after_a_file(Run& run) {
  for_each_call(run, [](Run& r, const PathCall& call, const std::string& aside) {
    if (call.wants == Wants::file) {
      r.error(fmt::format("{} of a file with a slash after it", call.name), run_call(call, r.at("x/"), aside), ENOTDIR);
    }
    if (call.wants == Wants::directory) {
      r.error(fmt::format("{} of a directory with a slash after it", call.name), run_call(call, r.at("x/"), aside), 0);
    }
  });
  run.clear("new");
  run.works("mkdir with a slash after it", mkdir(run.at("new/").c_str(), 0755));
  run.fails("mkfifo with a slash after it", mkfifo(run.at("p/").c_str(), 0644), ENOENT);
  run.fails("symlink with a slash after it", symlink("t", run.at("p/").c_str()), ENOENT);
  run.works("rename of a directory with slashes", rename(run.at("new/").c_str(), run.at("newer/").c_str()));
}

void dots(Run& run) {
  run.put("d", Type::directory, kOpenToAll);
  run.fails("rmdir of .", rmdir(run.at("d/.").c_str()), EINVAL);
  run.fails("rmdir of ..", rmdir(run.at("d/..").c_str()), ENOTEMPTY);
  run.fails("mkdir of .", mkdir(run.at("d/.").c_str(), 0755), EEXIST);
  run.fails("rename of .", rename(run.at("d/.").c_str(), run.at("e").c_str()), EBUSY);
  run.fails("rename to ..", rename(run.at("d").c_str(), run.at("d/..").c_str()), EBUSY);
  run.fails("unlink of .", unlink(run.at("d/.").c_str()), EISDIR);
}

void names_of_255_bytes(Run& run) {
  for_each_call(run, [](Run& r, const PathCall& call, const std::string& aside) {
    const std::string longest(NAME_MAX, 'n');
    set_scene(r, call, longest, {0666, kOwner.uid, kOwner.gid});
    r.error(fmt::format("{} of a name of 255 bytes", call.name), run_call(call, r.at(longest), aside), 0);
    r.clear(longest);
    set_scene(r, call, "x", {0666, kOwner.uid, kOwner.gid});
    r.error(fmt::format("{} of a name of 256 bytes", call.name), run_call(call, r.at(longest + "n"), aside), ENAMETOOLONG);
    r.error(fmt::format("{} below a name of 256 bytes", call.name), run_call(call, r.at(longest + "n/x"), aside), ENAMETOOLONG);
  });
}

void paths_of_4095_bytes(Run& run) {
  for_each_call(run, [](Run& r, const PathCall& call, const std::string& aside) {
    const std::string head = r.at("");
    const std::string longest = head + std::string(PATH_MAX - 1 - head.size() - 1, '/') + "x";
    r.error(fmt::format("{} of a path of 4096 bytes", call.name), run_call(call, "/" + longest, aside), ENAMETOOLONG);
    r.error(fmt::format("{} of a path of 4095 bytes", call.name), run_call(call, longest, aside), 0);
  });
}

}  // namespace

std::vector<Scenario> path_scenarios() {
  return {{"NotADirectory", not_a_directory},
          {"Loops", loops},
          {"ChainsOfLinks", chains_of_links},
          {"NothingThere", existing_calls_find_nothing},
          {"SomethingThere", making_calls_find_something},
          {"SlashAfterTheName", slash_after_a_file},
          {"Dots", dots},
          {"LongestName", names_of_255_bytes},
          {"LongestPath", paths_of_4095_bytes}};
}

}  // namespace berth::posix
