// The records: reading, editing, putting back.

#include "cluster_sim/cluster.hpp"

#include "cluster_sim/state.hpp"

namespace berth::cluster_sim {

Cluster::Cluster(Settings settings) : state_(std::make_unique<State>(std::move(settings))) {}
Cluster::~Cluster() = default;
Cluster::Cluster(Cluster&&) noexcept = default;
Cluster& Cluster::operator=(Cluster&&) noexcept = default;

const Settings& Cluster::settings() const { return state_->settings; }

const std::map<VpcId, Vpc>& Cluster::vpcs() const { return state_->vpcs; }
const std::map<SubnetId, Subnet>& Cluster::subnets() const { return state_->subnets; }
const std::map<SecurityGroupId, SecurityGroup>& Cluster::security_groups() const { return state_->security_groups; }
const std::map<InterfaceId, Interface>& Cluster::interfaces() const { return state_->interfaces; }
const std::map<LaunchTemplateId, LaunchTemplate>& Cluster::launch_templates() const { return state_->launch_templates; }
const std::map<GroupName, AutoScalingGroup>& Cluster::groups() const { return state_->groups; }
const std::map<InstanceId, Instance>& Cluster::instances() const { return state_->instances; }
const std::map<ClusterName, EcsCluster>& Cluster::clusters() const { return state_->clusters; }
const std::map<ContainerInstanceId, ContainerInstance>& Cluster::container_instances() const {
  return state_->container_instances;
}
const std::map<TaskId, Task>& Cluster::tasks() const { return state_->tasks; }

Vpc* Cluster::edit(const VpcId& id) { return state_->edit(state_->vpcs, id); }
Subnet* Cluster::edit(const SubnetId& id) { return state_->edit(state_->subnets, id); }
SecurityGroup* Cluster::edit(const SecurityGroupId& id) { return state_->edit(state_->security_groups, id); }
Interface* Cluster::edit(const InterfaceId& id) { return state_->edit(state_->interfaces, id); }
LaunchTemplate* Cluster::edit(const LaunchTemplateId& id) { return state_->edit(state_->launch_templates, id); }
AutoScalingGroup* Cluster::edit(const GroupName& name) { return state_->edit(state_->groups, name); }
Instance* Cluster::edit(const InstanceId& id) { return state_->edit(state_->instances, id); }
EcsCluster* Cluster::edit(const ClusterName& name) { return state_->edit(state_->clusters, name); }
ContainerInstance* Cluster::edit(const ContainerInstanceId& id) { return state_->edit(state_->container_instances, id); }
Task* Cluster::edit(const TaskId& id) { return state_->edit(state_->tasks, id); }

std::vector<Effect> Cluster::take_effects() { return std::exchange(state_->effects, {}); }

std::vector<Change> Cluster::take_changes() {
  std::vector<Change> changes(state_->changes.begin(), state_->changes.end());
  state_->changes.clear();
  return changes;
}

void Cluster::restore(Vpc record) { state_->vpcs.insert_or_assign(record.id, std::move(record)); }

// Records come back in any order: a subnet finds its interfaces, an interface its subnet.
void Cluster::restore(Subnet record) {
  record.used.clear();
  for (const auto& [id, interface] : state_->interfaces) {
    if (interface.subnet == record.id) record.used.insert(interface.address);
  }
  state_->subnets.insert_or_assign(record.id, std::move(record));
}

void Cluster::restore(Interface record) {
  if (auto subnet = state_->subnets.find(record.subnet); subnet != state_->subnets.end())
    subnet->second.used.insert(record.address);
  state_->interfaces.insert_or_assign(record.id, std::move(record));
}

void Cluster::restore(SecurityGroup record) { state_->security_groups.insert_or_assign(record.id, std::move(record)); }
void Cluster::restore(LaunchTemplate record) { state_->launch_templates.insert_or_assign(record.id, std::move(record)); }
void Cluster::restore(AutoScalingGroup record) { state_->groups.insert_or_assign(record.name, std::move(record)); }
void Cluster::restore(Instance record) { state_->instances.insert_or_assign(record.id, std::move(record)); }
void Cluster::restore(EcsCluster record) { state_->clusters.insert_or_assign(record.name, std::move(record)); }
void Cluster::restore(ContainerInstance record) { state_->container_instances.insert_or_assign(record.id, std::move(record)); }

void Cluster::restore(Task record) {
  if (record.container_instance && record.last != TaskStatus::stopped)
    state_->tasks_on[*record.container_instance].insert(record.id);
  state_->tasks.insert_or_assign(record.id, std::move(record));
}

}  // namespace berth::cluster_sim
