// Registry: the services that Berth has, each with its shape table, and the ways to find the one that a request means.
// Built at the start, then read by every thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "broker/api/operation.hpp"
#include "broker/http/message.hpp"
#include "broker/protocol/model.hpp"

namespace berth::api {

struct Entry {
  Service service;
  const protocol::Model* model = nullptr;
  std::map<std::string, const Operation*, std::less<>> rows;  // by the operation's name

  // nullptr: the table has the operation, Berth hasn't built it.
  const Operation* row(std::string_view operation) const;
  bool signs_as(std::string_view signing_name) const;
};

class Registry {
 public:
  // A service without a table, or a row that its table doesn't have, is a mistake of ours: CHECK.
  explicit Registry(std::vector<Service> services);

  const std::vector<std::unique_ptr<const Entry>>& entries() const { return entries_; }
  const Entry* by_model(std::string_view model) const;
  const Entry* by_signing_name(std::string_view name) const;
  // For requests that say nothing of a service in a signature: by X-Amz-Target, `Action` and `Version`, or the path.
  const Entry* by_content(const http::Request& request) const;
  // "ecs, elasticfilesystem, iam": for error texts.
  std::string signing_names() const;

 private:
  std::vector<std::unique_ptr<const Entry>> entries_;
};

}  // namespace berth::api
