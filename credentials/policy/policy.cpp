#include "credentials/policy/policy.hpp"

#include <utility>

#include "credentials/policy/statement.hpp"

namespace berth::credentials {

Policy::Policy(std::string document, PolicyKind kind, std::vector<Statement> statements)
    : document_(std::move(document)), kind_(kind), statements_(std::move(statements)) {}

Policy::~Policy() = default;

}  // namespace berth::credentials
