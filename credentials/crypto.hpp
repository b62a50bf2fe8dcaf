// The few primitives that Berth needs of OpenSSL; crypto.cpp is the only file that includes it.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "broker/base/secret.hpp"

namespace berth::credentials {

using Digest = std::array<char, 32>;
inline std::string_view view(const Digest& digest) { return {digest.data(), digest.size()}; }

Digest sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);
Digest hmac_sha256(std::string_view key, std::string_view bytes);

inline constexpr std::size_t kSealKeyBytes = 32;
inline constexpr std::size_t kSealNonceBytes = 12;
inline constexpr std::size_t kSealTagBytes = 16;

// AES-256-GCM: cipher text and tag. A nonce must never serve twice with one key. `also` is bound to the seal, not hidden.
std::string seal(const Secret& key, std::string_view nonce, std::string_view also, std::string_view plain);
// nullopt where a bit of it is not as it was sealed.
std::optional<Secret> unseal(const Secret& key, std::string_view nonce, std::string_view also, std::string_view sealed);

}  // namespace berth::credentials
