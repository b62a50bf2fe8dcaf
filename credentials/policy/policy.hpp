// Policy: one policy document, parsed and compiled. Immutable, so it may be read from any thread.
//
// Parsing is strict: an element, operator, variable or ARN that the evaluator does not know is refused when the policy is
// put, never ignored later; the message says which statement and which element.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/base/error.hpp"

namespace berth::credentials {

struct Statement;  // policy/statement.hpp

// Which elements a document must and may have.
enum class PolicyKind {
  identity,  // on a user or role, session policy, permissions boundary: Resource, no Principal
  resource,  // on a file system, a bucket: Principal and Resource
  trust,     // on a role: Principal, no Resource
};

class Policy {
 public:
  // Error messages are IAM's kind of sentence, fit for MalformedPolicyDocument.
  static Result<std::shared_ptr<const Policy>> parse(std::string_view document, PolicyKind kind);

  // The document as it was put, byte for byte.
  const std::string& document() const { return document_; }
  PolicyKind kind() const { return kind_; }
  const std::vector<Statement>& statements() const { return statements_; }

  Policy(std::string document, PolicyKind kind, std::vector<Statement> statements);
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  ~Policy();

 private:
  std::string document_;
  PolicyKind kind_;
  std::vector<Statement> statements_;
};

using PolicyPtr = std::shared_ptr<const Policy>;

}  // namespace berth::credentials
