// AWS's managed policies that Berth brings, under arn:aws:iam::aws:policy/...: those that ECS and EFS set-ups attach.
#pragma once

#include <memory>
#include <vector>

#include "credentials/identities.hpp"

namespace berth::credentials {

// Parsed once; the same records for every Identities.
const std::vector<std::shared_ptr<const ManagedPolicy>>& aws_managed_policies();

}  // namespace berth::credentials
