// What a file's attributes say that must be the same on both sides; tree comparison.
#pragma once

#include <sys/stat.h>

#include <string>

namespace berth::parity {

// All but device, inode number and times, which are told apart only as "set by a program" (then exactly) or "by the clock".
std::string text_of(const struct stat& attributes, bool access_time);

// The whole tree: names, attributes, contents, link targets, and which names are one inode.
std::string snapshot(const std::string& root, bool access_times);

}  // namespace berth::parity
