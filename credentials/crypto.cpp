#include "credentials/crypto.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <memory>

#include "broker/base/check.hpp"
#include "broker/base/encoding.hpp"

namespace berth::credentials {

namespace {

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

// With keys and nonces of the right size these calls fail only where memory does.
void must(int result) { BERTH_CHECK(result == 1); }

Cipher make_cipher(const Secret& key, std::string_view nonce, bool encrypt) {
  BERTH_CHECK(key.reveal().size() == kSealKeyBytes && nonce.size() == kSealNonceBytes);
  Cipher cipher(EVP_CIPHER_CTX_new());
  BERTH_CHECK(cipher != nullptr);
  must(EVP_CipherInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes(key.reveal()), bytes(nonce), encrypt ? 1 : 0));
  return cipher;
}

}  // namespace

Digest sha256(std::string_view text) {
  Digest digest;
  must(SHA256(bytes(text), text.size(), reinterpret_cast<unsigned char*>(digest.data())) != nullptr);
  return digest;
}

std::string sha256_hex(std::string_view text) { return hex_encode(view(sha256(text))); }

Digest hmac_sha256(std::string_view key, std::string_view text) {
  Digest digest;
  unsigned length = 0;
  must(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes(text), text.size(),
            reinterpret_cast<unsigned char*>(digest.data()), &length) != nullptr);
  return digest;
}

std::string seal(const Secret& key, std::string_view nonce, std::string_view also, std::string_view plain) {
  const auto cipher = make_cipher(key, nonce, true);
  std::string sealed(plain.size() + kSealTagBytes, '\0');
  int length = 0;
  must(EVP_EncryptUpdate(cipher.get(), nullptr, &length, bytes(also), static_cast<int>(also.size())));
  must(EVP_EncryptUpdate(cipher.get(), bytes(sealed), &length, bytes(plain), static_cast<int>(plain.size())));
  must(EVP_EncryptFinal_ex(cipher.get(), bytes(sealed) + length, &length));
  must(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(kSealTagBytes), sealed.data() + plain.size()));
  return sealed;
}

std::optional<Secret> unseal(const Secret& key, std::string_view nonce, std::string_view also, std::string_view sealed) {
  if (sealed.size() < kSealTagBytes) return std::nullopt;
  const auto cipher = make_cipher(key, nonce, false);
  const auto hidden = sealed.substr(0, sealed.size() - kSealTagBytes);
  std::string tag(sealed.substr(hidden.size()));
  std::string plain(hidden.size(), '\0');
  int length = 0;
  must(EVP_DecryptUpdate(cipher.get(), nullptr, &length, bytes(also), static_cast<int>(also.size())));
  must(EVP_DecryptUpdate(cipher.get(), bytes(plain), &length, bytes(hidden), static_cast<int>(hidden.size())));
  must(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(kSealTagBytes), tag.data()));
  if (EVP_DecryptFinal_ex(cipher.get(), bytes(plain) + length, &length) != 1) return std::nullopt;
  return Secret(std::move(plain));
}

}  // namespace berth::credentials
