#include "broker/launch/grants.hpp"

#include <fmt/format.h>

#include <cstdint>

#include "credentials/sts/assume_role.hpp"

namespace berth::launch {
namespace {

using credentials::AccessRequest;
using credentials::Decision;

using Judgement = std::expected<fuse::MountSpec, MountRefusal>;

std::unexpected<MountRefusal> access_denied(std::string explanation) {
  return std::unexpected(MountRefusal{.code = Code::permission_denied,
                                      .standard_error = "b'mount.nfs4: access denied by server while mounting 127.0.0.1:/'",
                                      .exit_code = 32,
                                      .explanation = std::move(explanation)});
}

// A name of a file system resolves only where a mount target answers for it.
std::unexpected<MountRefusal> not_resolved(const std::string& file_system, const std::string& region, std::string explanation) {
  return std::unexpected(MountRefusal{
      .code = Code::not_found,
      .standard_error =
          fmt::format("Failed to resolve \"{}.efs.{}.amazonaws.com\" - check that your file system ID is correct, and ensure "
                      "that the VPC has an EFS mount target for this file system ID. See "
                      "https://docs.aws.amazon.com/console/efs/mount-dns-name for more detail.",
                      file_system, region),
      .exit_code = 1,
      .explanation = std::move(explanation)});
}

// The mount helper tries three times; Berth knows at once how that ends.
std::unexpected<MountRefusal> timed_out(std::string explanation) {
  return std::unexpected(MountRefusal{
      .code = Code::unavailable,
      .standard_error = "Mount attempt 1/3 failed due to timeout after 15 sec, wait 0 sec before next attempt. Mount attempt 2/3 "
                        "failed due to timeout after 15 sec, wait 0 sec before next attempt. b'mount.nfs4: Connection timed out'",
      .exit_code = 32,
      .explanation = std::move(explanation)});
}

// Without IAM authorization nobody signs. With it the task role's session does.
credentials::Principal client_principal(const credentials::Identities& identities, const EfsVolume& volume,
                                        const MountClient& client) {
  const auto* role = identities.find_role_by_arn(client.role_arn);
  if (!volume.iam || role == nullptr) {
    credentials::Principal anonymous;
    anonymous.kind = credentials::Principal::Kind::anonymous;
    return anonymous;
  }
  return credentials::role_session(identities, *role, client.task);
}

AccessRequest client_request(const credentials::Identities& identities, const fuse::FileSystemRecord& file_system,
                             const fuse::AccessPointRecord* access_point, const EfsVolume& volume, const MountClient& client) {
  AccessRequest request{
      .principal = client_principal(identities, volume, client), .resource = file_system.arn, .now = client.now};
  request.resource_policy = file_system.policy;
  request.resource_policy_name = "file system policy";
  request.open_without_resource_policy = true;
  request.conditions.emplace("aws:SecureTransport", volume.transit_encryption ? "true" : "false");
  request.conditions.emplace("elasticfilesystem:AccessedViaMountTarget", "true");
  if (access_point != nullptr) request.conditions.emplace("elasticfilesystem:AccessPointArn", access_point->arn);
  for (const auto& [key, value] : file_system.tags) request.conditions.emplace("aws:ResourceTag/" + key, value);
  return request;
}

std::string explain_anonymous_denial(const AccessRequest& request, const EfsVolume& volume, const MountClient& client) {
  if (!volume.iam)
    return fmt::format(
        "volume `{}` mounts without IAM authorization, and the file system policy of {} does not allow {} to everyone; "
        "{}",
        volume.name, request.resource, request.action,
        client.role_hint.empty() ? "set authorizationConfig.iam to ENABLED to mount as the task role" : client.role_hint);
  return fmt::format(
      "volume `{}` asks for IAM authorization, but {}; the file system policy of {} does not allow {} to everyone", volume.name,
      client.role_arn.empty() ? "the task has no task role" : "the task role `" + client.role_arn + "` does not exist",
      request.resource, request.action);
}

// Which statement said no, or which one would have said yes.
std::string explain_statement(const AccessRequest& request, const Decision& decision, const MountClient& client) {
  if (decision.reason == Decision::Reason::explicitly_denied && !decision.determining.empty()) {
    const auto& by = decision.determining.front();
    return fmt::format("denied by statement {} of the {}",
                       by.sid.empty() ? fmt::format("{}", by.index + 1) : fmt::format("`{}`", by.sid), by.policy);
  }
  return fmt::format(R"(missing: {{"Effect": "Allow", "Action": "{}", "Resource": "{}"}} in a policy of role {})", request.action,
                     request.resource, client.role_arn);
}

std::string explain_denial(const credentials::Identities& identities, const AccessRequest& request, const Decision& decision,
                           const EfsVolume& volume, const MountClient& client) {
  if (request.principal.kind == credentials::Principal::Kind::anonymous) return explain_anonymous_denial(request, volume, client);
  std::string text = fmt::format("volume `{}`: {}; {}", volume.name, credentials::denial_message(request, decision),
                                 explain_statement(request, decision, client));
  if (!client.role_hint.empty()) return text;
  text += "; the task role is asked, not the execution role";
  if (client.execution_role_arn.empty() || client.execution_role_arn == client.role_arn) return text;
  if (const auto* role = identities.find_role_by_arn(client.execution_role_arn)) {
    AccessRequest as_execution_role = request;
    as_execution_role.principal = credentials::role_session(identities, *role, client.task);
    if (credentials::authorize(identities, as_execution_role).allowed())
      text += fmt::format(" (which is {} and would be allowed)", client.execution_role_arn);
  }
  return text;
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return hash;
}

}  // namespace

Grant decide_grant(const credentials::Identities& identities, const fuse::FileSystemRecord& file_system,
                   const fuse::AccessPointRecord* access_point, const EfsVolume& volume, const MountClient& client) {
  auto request = client_request(identities, file_system, access_point, volume, client);
  const auto decide = [&](const char* action) {
    request.action = action;
    return credentials::authorize(identities, request);
  };
  Grant grant;
  const auto mount = decide("elasticfilesystem:ClientMount");
  grant.mount = mount.allowed();
  if (!grant.mount) {
    grant.denial = explain_denial(identities, request, mount, volume, client);
    return grant;
  }
  grant.rights.write = decide("elasticfilesystem:ClientWrite").allowed();
  grant.rights.root_access = decide("elasticfilesystem:ClientRootAccess").allowed();
  return grant;
}

std::string MountRefusal::stopped_reason() const {
  return fmt::format(
      "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: stderr: {} : unsuccessful EFS "
      "utils "
      "command execution; code: {} (berth: {})",
      standard_error, exit_code, explanation);
}

MountRefusal missing_root(const EfsVolume& volume, const fuse::MountSpec& spec, const std::string& region) {
  if (!volume.access_point.empty())
    return access_denied(fmt::format("access point `{}` starts at `{}`, which does not exist, and has no CreationInfo to make it "
                                     "with",
                                     volume.access_point, spec.root))
        .error();
  const auto server =
      volume.transit_encryption ? std::string("127.0.0.1") : fmt::format("{}.efs.{}.amazonaws.com", volume.file_system, region);
  return {
      .code = Code::not_found,
      .standard_error = fmt::format("b'mount.nfs4: mounting {}:{} failed, reason given by server: No such file or directory'",
                                    server, spec.root),
      .exit_code = 32,
      .explanation = fmt::format("rootDirectory `{}` of volume `{}` does not exist in {}; without an access point nothing makes "
                                 "it",
                                 spec.root, volume.name, volume.file_system)};
}

Judgement judge_mount(const fuse::Catalog& catalog, const credentials::Identities& identities, const EfsVolume& volume,
                      const MountClient& client, const std::string& region, const std::string& backing_parent) {
  const auto* file_system = catalog.find(fuse::FileSystemId(volume.file_system));
  if (file_system == nullptr || file_system->life_cycle != fuse::LifeCycle::available)
    return not_resolved(volume.file_system, region, fmt::format("there is no available file system `{}`", volume.file_system));
  const auto* target = catalog.mount_target_in(file_system->id, client.zone);
  if (target == nullptr || target->vpc != client.vpc)
    return not_resolved(volume.file_system, region,
                        fmt::format("`{}` has no mount target in zone {} of VPC {}, where the task is", volume.file_system,
                                    client.zone, client.vpc));
  if (const auto closed = client.closed.find(volume.file_system); closed != client.closed.end()) return timed_out(closed->second);

  const fuse::AccessPointRecord* access_point = nullptr;
  if (!volume.access_point.empty()) {
    access_point = catalog.find(fuse::AccessPointId(volume.access_point));
    if (access_point == nullptr) return access_denied(fmt::format("there is no access point `{}`", volume.access_point));
    if (access_point->file_system != file_system->id)
      return access_denied(fmt::format("access point `{}` is one of `{}`, not of `{}`", volume.access_point,
                                       access_point->file_system.str(), volume.file_system));
  }

  const auto grant = decide_grant(identities, *file_system, access_point, volume, client);
  if (!grant.mount) return access_denied(grant.denial);
  fuse::MountSpec spec{.id = mount_id(client.task, volume.name), .backing_directory = backing_parent + "/" + volume.file_system};
  spec.root = access_point != nullptr ? access_point->root : volume.root;
  if (access_point != nullptr) {
    spec.creation = access_point->creation;
    spec.identity = access_point->identity;
  }
  spec.rights = grant.rights;
  // Only the replication changes its destination; no client makes a root directory there either.
  if (file_system->overwrite_protection == fuse::OverwriteProtection::replicating) {
    spec.rights.write = false;
    spec.creation.reset();
  }
  spec.file_system = volume.file_system;
  spec.ends = {.client = client.zone, .target = target->zone, .one_zone = !file_system->zone.empty()};
  // Counting every byte costs passthrough, so it is asked for.
  const auto metered = file_system->tags.find("berth:metered");
  spec.metered = metered != file_system->tags.end() && metered->second == "exact";
  const auto ring = file_system->tags.find("berth:io-uring");
  spec.io_uring = ring != file_system->tags.end() && ring->second == "on";
  return spec;
}

Result<fuse::MountSpec> decide_mount(const fuse::Catalog& catalog, const credentials::Identities& identities,
                                     const EfsVolume& volume, const MountClient& client, const std::string& region,
                                     const std::string& backing_parent) {
  auto judged = judge_mount(catalog, identities, volume, client, region, backing_parent);
  if (!judged) return fail(judged.error().code, "{}", judged.error().stopped_reason());
  return std::move(*judged);
}

fuse::MountId mount_id(const std::string& task, const std::string& volume) {
  constexpr std::size_t kMax = 63;
  auto id = task + "/" + volume;
  if (id.size() <= kMax) return fuse::MountId(id);
  const auto suffix = fmt::format("~{:016x}", fnv1a(volume));
  id.resize(kMax - suffix.size());
  return fuse::MountId(id + suffix);
}

}  // namespace berth::launch
