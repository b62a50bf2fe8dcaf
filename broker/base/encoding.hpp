// Encodings of bytes as text: hex, base64 (RFC 4648), percent-encoding (RFC 3986), and that of the kernel's mount tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth {

std::string hex_encode(std::string_view bytes);
std::optional<std::string> hex_decode(std::string_view text);

std::string base64_encode(std::string_view bytes);
// Refuses anything that is not whole, padded base64. White space is not skipped.
std::optional<std::string> base64_decode(std::string_view text);

// Everything but A-Z a-z 0-9 - . _ ~ becomes %XX; `/` is kept where keep_slash.
std::string percent_encode(std::string_view text, bool keep_slash = false);
// `+` becomes a space where plus_is_space (forms). nullopt for a broken escape.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

// Of a field of /proc/<pid>/mounts or mountinfo, where space, tab, line break and backslash are \ooo (proc(5)). What is no such
// escape stays.
std::string mount_field_decode(std::string_view text);

// Well-formed as Unicode's table 3-7 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace berth
