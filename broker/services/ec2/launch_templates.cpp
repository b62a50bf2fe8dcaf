#include "broker/services/ec2/launch_templates.hpp"

#include <array>

#include "broker/base/encoding.hpp"
#include "broker/control/control_plane.hpp"
#include "broker/services/ec2/operations.hpp"

namespace berth::services::ec2 {
namespace {

using namespace cluster_sim;
using control::Control;

Json template_json(const LaunchTemplate& found) {
  Json json{{"LaunchTemplateId", found.id.str()},
            {"LaunchTemplateName", found.name},
            {"CreateTime", to_epoch_seconds(found.created)},
            {"DefaultVersionNumber", found.default_version},
            {"LatestVersionNumber", found.versions.rbegin()->first}};
  add_tags(json, found.tags);
  return json;
}

Json version_json(const LaunchTemplate& found, int version) {
  const LaunchTemplateData& data = found.versions.at(version);
  return {{"LaunchTemplateId", found.id.str()},
          {"LaunchTemplateName", found.name},
          {"VersionNumber", version},
          {"DefaultVersion", version == found.default_version},
          {"CreateTime", to_epoch_seconds(found.created)},
          {"LaunchTemplateData", Json::parse(data.document)}};
}

constexpr std::array kTemplateFilters{
    Filter<LaunchTemplate>{"launch-template-name", [](const Cluster&, const LaunchTemplate& t) { return Values{t.name}; }},
    Filter<LaunchTemplate>{"create-time", [](const Cluster&, const LaunchTemplate& t) { return Values{to_iso8601(t.created)}; }},
};

std::string without_white_space(std::string text) {
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' ' || c == '\t'; });
  return text;
}

std::optional<std::string> profile_name(const Json& input) {
  auto profile = input.find("IamInstanceProfile");
  if (profile == input.end()) return std::nullopt;
  const std::string arn = text(*profile, "Arn");
  return arn.empty() ? text(*profile, "Name") : arn.substr(arn.rfind('/') + 1);
}

}  // namespace

Outcome<LaunchTemplateData> read_launch_data(const Json& input, LaunchTemplateData data) {
  if (const std::string image = text(input, "ImageId"); !image.empty()) {
    // An image that Berth doesn't have is refused when it is to be launched, as AWS does.
    const Image* found = find_image(image);
    data.image_id = found ? std::string(found->id) : image;
  }
  if (const std::string type = text(input, "InstanceType"); !type.empty()) data.instance_type = type;
  if (const std::string key = text(input, "KeyName"); !key.empty()) data.key_name = key;
  if (auto profile = profile_name(input)) data.instance_profile = *profile;
  if (input.contains("UserData")) {
    auto decoded = base64_decode(without_white_space(text(input, "UserData")));
    if (!decoded) return api::refuse("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.");
    data.user_data = std::move(*decoded);
  }
  if (auto market = input.find("InstanceMarketOptions"); market != input.end()) data.spot = text(*market, "MarketType") == "spot";
  if (!texts(input, "SecurityGroups").empty()) {
    return api::refuse("NotImplemented", "Berth takes security groups by SecurityGroupIds and not by name");
  }
  auto groups = texts(input, "SecurityGroupIds");
  if (auto interfaces = input.find("NetworkInterfaces"); groups.empty() && interfaces != input.end() && !interfaces->empty()) {
    groups = texts(interfaces->front(), "Groups");
  }
  if (!groups.empty()) data.security_groups.clear();
  for (auto& id : groups) data.security_groups.emplace_back(std::move(id));
  data.document = input.dump();
  return data;
}

Outcome<const LaunchTemplate*> named_template(const Cluster& cluster, const Json& input) {
  const std::string id = text(input, "LaunchTemplateId"), name = text(input, "LaunchTemplateName");
  if (id.empty() == name.empty())
    return api::refuse("MissingParameter", "Either the launch template ID or the launch template name must be specified.");
  for (const auto& [key, found] : cluster.launch_templates()) {
    if (id.empty() ? found.name == name : key.str() == id) return &found;
  }
  if (id.empty()) {
    return api::refuse("InvalidLaunchTemplateName.NotFoundException",
                       fmt::format("The specified launch template, with template name {}, does not exist.", name));
  }
  return api::refuse("InvalidLaunchTemplateId.NotFound",
                     fmt::format("The specified launch template, with template ID {}, does not exist.", id));
}

Outcome<int> version_number(const LaunchTemplate& found, const std::string& version) {
  if (version.empty() || version == "$Default") return found.default_version;
  if (version == "$Latest") return found.versions.rbegin()->first;
  const int number = version.find_first_not_of("0123456789") == std::string::npos && version.size() < 9 ? std::stoi(version) : 0;
  if (!found.versions.contains(number)) {
    return api::refuse(
        "InvalidLaunchTemplateId.VersionNotFound",
        fmt::format("Could not find the specified version {} for the launch template with ID {}.", version, found.id.str()));
  }
  return number;
}

Outcome<Json> create_launch_template(ControlPlane& plane, const CallContext&, const Json& input) {
  auto tags = tags_for(input, "launch-template");
  if (!tags) return std::unexpected(tags.error());
  auto data = read_launch_data(input.at("LaunchTemplateData"), {});
  if (!data) return std::unexpected(data.error());
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto made = c.cluster.create_launch_template(c.now, c.random, text(input, "LaunchTemplateName"), *data, *tags);
    if (!made) return refuse_as(made.error(), {{Code::already_exists, "InvalidLaunchTemplateName.AlreadyExistsException"}});
    return Json{{"LaunchTemplate", template_json(c.cluster.launch_templates().at(*made))}};
  });
}

Outcome<Json> create_launch_template_version(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto found = named_template(c.cluster, input);
    if (!found) return std::unexpected(found.error());
    LaunchTemplateData base;
    Json document = input.at("LaunchTemplateData");
    if (const std::string source = text(input, "SourceVersion"); !source.empty()) {
      auto number = version_number(**found, source);
      if (!number) return std::unexpected(number.error());
      base = (*found)->versions.at(*number);
      Json merged = Json::parse(base.document);
      merged.update(document);
      document = std::move(merged);
    }
    auto data = read_launch_data(document, std::move(base));
    if (!data) return std::unexpected(data.error());
    auto version = c.cluster.create_launch_template_version((*found)->id, std::move(*data));
    if (!version) return refuse_as(version.error(), {});
    return Json{{"LaunchTemplateVersion", version_json(**found, *version)}};
  });
}

Outcome<Json> modify_launch_template(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto found = named_template(c.cluster, input);
    if (!found) return std::unexpected(found.error());
    auto number = version_number(**found, text(input, "DefaultVersion"));
    if (!number) return std::unexpected(number.error());
    LaunchTemplate* edited = c.cluster.edit((*found)->id);
    edited->default_version = *number;
    return Json{{"LaunchTemplate", template_json(*edited)}};
  });
}

Outcome<Json> delete_launch_template(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.with([&](Control& c) -> Outcome<Json> {
    auto found = named_template(c.cluster, input);
    if (!found) return std::unexpected(found.error());
    Json gone = template_json(**found);
    if (auto deleted = c.cluster.delete_launch_template(LaunchTemplateId((*found)->id)); !deleted)
      return refuse_as(deleted.error(), {});
    return Json{{"LaunchTemplate", std::move(gone)}};
  });
}

Outcome<Json> describe_launch_templates(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.read([&](const Control& c) -> Outcome<Json> {
    Json asked = input;
    if (const auto names = texts(input, "LaunchTemplateNames"); !names.empty()) {
      for (const auto& name : names) {
        auto found = named_template(c.cluster, Json{{"LaunchTemplateName", name}});
        if (!found) return std::unexpected(found.error());
        asked["LaunchTemplateIds"].push_back((*found)->id.str());
      }
    }
    return describe_records(asked, "LaunchTemplates", "LaunchTemplateIds", c.cluster, c.cluster.launch_templates(),
                            std::span<const Filter<LaunchTemplate>>(kTemplateFilters), "InvalidLaunchTemplateId.NotFound",
                            "launch template", template_json);
  });
}

Outcome<Json> describe_launch_template_versions(ControlPlane& plane, const CallContext&, const Json& input) {
  return plane.read([&](const Control& c) -> Outcome<Json> {
    auto found = named_template(c.cluster, input);
    if (!found) return std::unexpected(found.error());
    std::set<int> wanted;
    for (const auto& version : texts(input, "Versions")) {
      auto number = version_number(**found, version);
      if (!number) return std::unexpected(number.error());
      wanted.insert(*number);
    }
    Items items;
    for (const auto& [version, data] : (*found)->versions) {
      if (wanted.empty() || wanted.contains(version))
        items.emplace_back(fmt::format("{:09}", version), version_json(**found, version));
    }
    return page(input, "LaunchTemplateVersions", std::move(items));
  });
}

}  // namespace berth::services::ec2
