// DescriptorLimit: the soft limit of open files (RLIMIT_NOFILE) while it lives, also for what is started meanwhile.
#pragma once

#include <sys/resource.h>

namespace berth::test {

class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t descriptors) {
    getrlimit(RLIMIT_NOFILE, &before_);
    struct rlimit limit = before_;
    limit.rlim_cur = descriptors;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;
  ~DescriptorLimit() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  struct rlimit before_{};
};

}  // namespace berth::test
