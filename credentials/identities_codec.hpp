// Identity records as text for the store, one record a (kind, key). The text is versioned JSON and holds access keys' secrets:
// whoever stores it keeps it from others' eyes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "credentials/identities.hpp"

namespace berth::credentials {

// nullopt where the record is gone: delete it.
std::optional<std::string> encode(const Identities& identities, const Change& change);

// Puts the record back; notes no change. An unknown kind or a damaged text is an error.
Result<> restore(Identities& identities, std::string_view kind, std::string_view key, std::string_view text);

}  // namespace berth::credentials
