#include "broker/services/ecs/roles.hpp"

#include "broker/services/ecs/errors.hpp"
#include "credentials/sts/assume_role.hpp"

namespace berth::services::ecs {

std::string role_arn(const Home& home, const std::string& name_or_arn) {
  return name_or_arn.starts_with("arn:") ? name_or_arn : fmt::format("arn:aws:iam::{}:role/{}", home.account, name_or_arn);
}

api::Outcome<void> check_role(const credentials::Identities& identities, const std::string& account, const std::string& arn,
                              TimePoint now) {
  credentials::AssumeRoleRequest request;
  request.principal = credentials::service_principal(kTasksService, account);
  request.role_arn = arn;
  request.now = now;
  if (identities.find_role_by_arn(arn) != nullptr && credentials::authorize_assume_role(identities, request).allowed()) return {};
  return client_error(
      "ECS was unable to assume the role '{}' that was provided for this task. Please verify that the role being passed has the "
      "proper trust "
      "relationship and permissions and that your IAM user has permissions to pass this role.",
      arn);
}

}  // namespace berth::services::ecs
