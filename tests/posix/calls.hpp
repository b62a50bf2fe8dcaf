// Every system call that takes a path, as a table: what a path must lead to, and which rights it asks for.
#pragma once

#include <vector>

#include "tests/posix/run.hpp"

namespace berth::posix {

enum class Wants { file, directory, link, nothing };  // what the path is to lead to

struct PathCall {
  const char* name;
  Wants wants;
  bool follows = true;      // a symlink at the end of the path
  bool changes = false;     // the directory that holds the name
  bool owner_only = false;  // EPERM for all others but root
  bool uses_up = false;     // afterwards the scene is another
  // `aside`: a path in a directory open to all, free or a file as the call needs it. Gives the errno.
  int (*call)(const char* path, const char* aside);
};

const std::vector<PathCall>& path_calls();

// Makes what the call wants at `name` and what it needs at "aside"; all of it owned by `owned`.
void set_scene(Run& run, const PathCall& call, const std::string& name, Owned owned);

}  // namespace berth::posix
