// Run: one scenario on one place, its own directory there, and what its checks found.
//
// A scenario makes system calls through `at`, sets the scene through `admin` (as the real root, with all rights) and observes
// through `see`. Natively these are one directory; on the share they are mounts of one file system. A check is one assertion
// on one outcome: what was got is kept as text, so that two places can be compared.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tests/posix/users.hpp"

namespace berth::posix {

// Whom the place takes a user for: an access point's user, a squashed root's, or the user.
using Effective = User (*)(const User&);

struct Place {
  std::string name;
  std::string act;
  std::string see;
  std::string admin;
  bool shared = false;  // served by Berth
  Effective effective = [](const User& user) { return user; };
};

struct Check {
  std::string what;
  std::string got;
  std::string wanted;
  bool passed() const { return got == wanted; }
};

enum class Type { file, directory, fifo, socket, character, block, link };
inline constexpr std::array<Type, 7> kTypes{Type::file,      Type::directory, Type::fifo, Type::socket,
                                            Type::character, Type::block,     Type::link};
const char* name_of(Type type);
mode_t bits_of(Type type);  // S_IFMT

struct Owned {
  mode_t mode = 0644;
  uid_t uid = 0;
  gid_t gid = 0;
};

class Run {
 public:
  Run(const Place& place, const std::string& scenario);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  bool shared() const { return place_.shared; }
  std::string at(std::string_view name) const { return fmt::format("{}/{}/{}", place_.act, directory_, name); }
  std::string seen(std::string_view name) const { return fmt::format("{}/{}/{}", place_.see, directory_, name); }
  std::string admin(std::string_view name) const { return fmt::format("{}/{}/{}", place_.admin, directory_, name); }
  bool two_mounts() const { return place_.act != place_.see; }

  // Whom the file system sees.
  User effective(const User& user) const { return place_.effective(user); }
  // As whom this place's calls are to be made, so that the file system sees `effective(user)`.
  template <class Call>
  auto as(const User& user, Call&& call) {
    const As scope(current_, acting_as(user));
    return call();
  }
  template <class Call>
  auto as_admin(Call&& call) {
    const As scope(current_, kRoot);
    return call();
  }

  // Makes a file of this type through `admin`; what was there goes. A link points to `target`.
  void put(std::string_view name, Type type, Owned owned = {}, const std::string& target = "nowhere");
  void put_content(std::string_view name, std::string_view content, Owned owned = {});
  void clear(std::string_view name);

  // Attributes through `see`; where two mounts look, whether both agree is a check. st_mode 0: not there.
  struct stat look(std::string_view name);
  // What the file holds, through `see`.
  std::string content(std::string_view name);

  void same(std::string what, std::string got, std::string wanted);
  template <class T>
    requires std::integral<T>
  void same(std::string what, T got, std::type_identity_t<T> wanted) {
    same(std::move(what), fmt::format("{}", got), fmt::format("{}", wanted));
  }
  void is(std::string what, bool holds) { same(std::move(what), holds ? "yes" : "no", "yes"); }
  void error(std::string what, int got, int wanted);
  void mode(std::string what, mode_t got, mode_t wanted);
  // The errno of this system call's result.
  void fails(std::string what, long result, int wanted) { error(std::move(what), result < 0 ? errno : 0, wanted); }
  void works(std::string what, long result) { fails(std::move(what), result, 0); }

  // What happens after this has a later time than what happened before.
  void let_time_pass() const;
  // Exactly these of a, m, c (access, modification, change) differ. Without `a` the access time is not looked at.
  void times(const std::string& what, const struct stat& before, const struct stat& after, std::string_view changed);

  std::vector<Check> take() { return std::move(checks_); }

 private:
  User acting_as(const User& user) const { return place_.shared ? user : place_.effective(user); }

  const Place& place_;
  std::string directory_;
  User current_;
  std::vector<Check> checks_;
  std::map<std::string, int> uses_;  // of a check's text: each is told from the others by number
};

inline int error_of(long result) { return result < 0 ? errno : 0; }

// A scenario: a name and what it does.
struct Scenario {
  const char* name;
  void (*run)(Run&);
};

}  // namespace berth::posix
