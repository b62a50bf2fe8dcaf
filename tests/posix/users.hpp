// Users: as whom the calling thread makes its system calls.
#pragma once

#include <sys/types.h>

#include <array>

namespace berth::posix {

struct User {
  const char* name;
  uid_t uid;
  gid_t gid;
  std::array<gid_t, 2> groups;  // supplementary; 0: none
};

inline constexpr User kRoot{"root", 0, 0, {}};
inline constexpr User kOwner{"the owner", 1001, 1001, {}};
inline constexpr User kMate{"a mate of the same group", 1002, 1001, {}};
inline constexpr User kMember{"a member by supplementary group", 1003, 1003, {5000, 1001}};
inline constexpr User kStranger{"a stranger", 1004, 1004, {5000, 0}};
inline constexpr std::array<User, 5> kUsers{kRoot, kOwner, kMate, kMember, kStranger};

bool in_group(const User& user, gid_t group);

struct Object {  // what decides who may do what with a file
  uid_t uid;
  gid_t gid;
  mode_t mode;
  bool directory = false;
};
// Whether POSIX lets `user` access the object by all bits of `wanted` (R_OK, W_OK, X_OK).
bool may(const User& user, const Object& object, int wanted);

// The thread's ids become the user's, real and effective; the saved user id stays root's, so that there is a way back.
void become(const User& user);

// The thread as another user until it dies; `current` follows.
class As {
 public:
  As(User& current, const User& user) : current_(current), back_(current) { become(current_ = user); }
  As(const As&) = delete;
  As& operator=(const As&) = delete;
  ~As() { become(current_ = back_); }

 private:
  User& current_;
  const User back_;
};

}  // namespace berth::posix
