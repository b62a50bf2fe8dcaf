// Secret access keys as IAM makes them.
#pragma once

#include "broker/base/random.hpp"
#include "broker/base/secret.hpp"

namespace berth::credentials {

// 40 characters, 240 bits of chance.
inline Secret make_secret_key(Random& random) {
  return Secret(random.text(40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"));
}

}  // namespace berth::credentials
