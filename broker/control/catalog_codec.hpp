// The catalog's records as text (JSON) for the store.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "broker/base/error.hpp"
#include "fuse/catalog.hpp"

namespace berth::control {

// The record that a change names, as it is now; nullopt where it is gone.
std::optional<std::string> encode_catalog_record(const fuse::Catalog& catalog, const fuse::Catalog::Change& change);

// Puts a stored record back. Fails for text that is not what encode_catalog_record() wrote, or a kind that is not the catalog's.
Result<> restore_catalog_record(fuse::Catalog& catalog, std::string_view kind, std::string_view text);

// "file-system", "mount-target" or "access-point".
bool is_catalog_kind(std::string_view kind);

}  // namespace berth::control
