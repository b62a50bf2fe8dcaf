#include "broker/runtime/oci_config.hpp"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <algorithm>

#include "broker/runtime/capabilities.hpp"
#include "broker/runtime/seccomp_profile.hpp"

namespace berth::runtime {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

struct OciConfig : ::testing::Test {
  OciConfig() {
    container.name = "app";
    container.command = {"serve", "--now"};
    spec.container = &container;
    spec.root_path = "/state/rootfs";
    spec.network_namespace = "/state/netns/t";
    spec.cgroup_path = "/berth/t/app";
    spec.hostname = "ip-10-0-1-17";
    spec.open_files_max = 20000;
  }
  json config() const { return json::parse(oci_config(spec).value()); }
  json mount_at(const std::string& destination) const {
    const json whole = config();
    for (const json& mount : whole["mounts"])
      if (mount["destination"] == destination) return mount;
    return nullptr;
  }

  Container container;
  BundleSpec spec;
};

TEST_F(OciConfig, HasDockersFourteenCapabilities) {
  const json sets = config()["process"]["capabilities"];
  EXPECT_EQ(sets["bounding"].size(), 14u);
  EXPECT_EQ(sets["bounding"], sets["effective"]);
  EXPECT_FALSE(sets.contains("inheritable"));
  EXPECT_FALSE(sets.contains("ambient"));
  EXPECT_EQ(config()["process"]["noNewPrivileges"], false);
}

TEST_F(OciConfig, AUserOtherThanRootGetsTheBoundingSetOnly) {
  spec.user.uid = 1000;
  const json sets = config()["process"]["capabilities"];
  EXPECT_EQ(sets["bounding"].size(), 14u);
  EXPECT_TRUE(sets["effective"].empty());
}

TEST_F(OciConfig, TheContainersEnvironmentWinsOverTheImages) {
  spec.image.environment = {{"COLOR", "blue"}, {"PATH", "/image/bin"}};
  container.environment = {{"COLOR", "red"}};
  const auto environment = config()["process"]["env"].get<std::vector<std::string>>();
  EXPECT_THAT(environment, Contains("COLOR=red"));
  EXPECT_THAT(environment, Contains("PATH=/image/bin"));
  EXPECT_THAT(environment, Contains("HOSTNAME=ip-10-0-1-17"));
  EXPECT_THAT(environment, Not(Contains("COLOR=blue")));
}

TEST_F(OciConfig, SharesTheTasksNetworkAndNoOtherNamespace) {
  const json spaces = config()["linux"]["namespaces"];
  for (const json& space : spaces) EXPECT_EQ(space.contains("path"), space["type"] == "network") << space;
  EXPECT_EQ(spaces.size(), 6u);
}

TEST_F(OciConfig, MasksWhatDockerMasks) {
  EXPECT_THAT(config()["linux"]["maskedPaths"], Contains("/proc/kcore"));
  EXPECT_THAT(config()["linux"]["maskedPaths"], Contains("/sys/firmware"));
  EXPECT_THAT(config()["linux"]["readonlyPaths"], Contains("/proc/sys"));
  EXPECT_THAT(mount_at("/dev/shm")["options"], Contains("size=65536k"));
  EXPECT_THAT(mount_at("/sys")["options"], Contains("ro"));
}

TEST_F(OciConfig, LimitsAreGivenInTheKernelsUnits) {
  container.cpu = 256;
  container.memory_mib = 128;
  container.memory_reservation_mib = 64;
  spec.limit_swap = true;
  const json resources = config()["linux"]["resources"];
  EXPECT_EQ(resources["cpu"]["shares"], 256);
  EXPECT_EQ(resources["memory"]["limit"], 134217728);
  EXPECT_EQ(resources["memory"]["swap"], 134217728);
  EXPECT_EQ(resources["memory"]["reservation"], 67108864);
  EXPECT_EQ(resources["pids"]["limit"], 4096);
  EXPECT_EQ(resources["devices"][0]["allow"], false);
}

TEST_F(OciConfig, WithoutCpuUnitsTheContainerHasTheKernelsLeastShare) {
  EXPECT_EQ(config()["linux"]["resources"]["cpu"]["shares"], 2);
}

TEST_F(OciConfig, OpenFilesAreWhatTheHostAllowsUnlessTheTaskSays) {
  EXPECT_EQ(config()["process"]["rlimits"], json::parse(R"([{"type":"RLIMIT_NOFILE","soft":20000,"hard":20000}])"));
  container.ulimits = {{"nofile", 64, 128}};
  EXPECT_EQ(config()["process"]["rlimits"], json::parse(R"([{"type":"RLIMIT_NOFILE","soft":64,"hard":128}])"));
}

TEST_F(OciConfig, ReadOnlyVolumesAreMountedReadOnly) {
  spec.binds = {{"/state/volumes/a", "/a", true}, {"/state/volumes/b", "/b", false}};
  EXPECT_EQ(mount_at("/a")["options"], json::parse(R"(["rbind","ro","rprivate"])"));
  EXPECT_EQ(mount_at("/b")["options"], json::parse(R"(["rbind","rw","rprivate"])"));
}

TEST_F(OciConfig, TextThatIsNotUtf8IsNotAnError) {
  container.environment = {{"BYTES", "\xff\xfe"}};
  EXPECT_TRUE(oci_config(spec));
}

TEST_F(OciConfig, RefusesPrivilegedContainersAndThoseWithoutACommand) {
  container.privileged = true;
  EXPECT_EQ(oci_config(spec).error().code, Code::permission_denied);
  container.privileged = false;
  container.command.clear();
  EXPECT_EQ(oci_config(spec).error().message, "no command specified");
}

TEST(ContainerArguments, AnEntryPointOfItsOwnReplacesTheImagesCommand) {
  ImageConfig image;
  image.entry_point = {"/entry"};
  image.command = {"default"};
  Container container;
  EXPECT_THAT(container_arguments(container, image), ElementsAre("/entry", "default"));
  container.command = {"mine"};
  EXPECT_THAT(container_arguments(container, image), ElementsAre("/entry", "mine"));
  container.entry_point = {"/own"};
  container.command.clear();
  EXPECT_THAT(container_arguments(container, image), ElementsAre("/own"));
}

TEST(ContainerCapabilities, AreAddedAndDroppedByName) {
  EXPECT_THAT(container_capabilities({"SYS_PTRACE"}, {"ALL"}).value(), ElementsAre("CAP_SYS_PTRACE"));
  EXPECT_THAT(container_capabilities({}, {"MKNOD"}).value(), Not(Contains("CAP_MKNOD")));
}

TEST(ContainerCapabilities, ThoseThatLeadOutOfAContainerAreRefused) {
  for (const char* name : {"SYS_ADMIN", "SYS_MODULE", "DAC_READ_SEARCH", "SYS_RAWIO", "BPF", "ALL"})
    EXPECT_EQ(container_capabilities({name}, {}).error().code, Code::permission_denied) << name;
  EXPECT_EQ(container_capabilities({"FLY"}, {}).error().code, Code::invalid_argument);
  EXPECT_EQ(container_capabilities({}, {"FLY"}).error().code, Code::invalid_argument);
}

TEST(SeccompProfile, AllowsNoCallThatDockerBlocks) {
  const auto calls = always_allowed_syscalls();
  EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
  for (const char* blocked :
       {"acct",           "add_key",         "bpf",        "clock_settime", "create_module", "delete_module",
        "finit_module",   "fsconfig",        "fsmount",    "fsopen",        "init_module",   "io_uring_enter",
        "io_uring_setup", "ioperm",          "iopl",       "kexec_load",    "keyctl",        "lookup_dcookie",
        "mount",          "mount_setattr",   "move_mount", "move_pages",    "nfsservctl",    "open_by_handle_at",
        "open_tree",      "perf_event_open", "pivot_root", "quotactl",      "reboot",        "request_key",
        "setns",          "settimeofday",    "swapoff",    "swapon",        "syslog",        "umount2",
        "unshare",        "userfaultfd",     "vhangup",    "clone",         "clone3",        "personality",
        "socket"})
    EXPECT_FALSE(std::binary_search(calls.begin(), calls.end(), std::string_view(blocked))) << blocked;
}

TEST(SeccompProfile, FiltersByArgumentWhereTheCallHasAGoodUse) {
  const json profile = seccomp_profile({});
  EXPECT_EQ(profile["defaultAction"], "SCMP_ACT_ERRNO");
  EXPECT_EQ(profile["defaultErrnoRet"], 1);
  json clone, clone3;
  for (const json& rule : profile["syscalls"]) {
    if (rule["names"][0] == "clone") clone = rule;
    if (rule["names"][0] == "clone3") clone3 = rule;
  }
  EXPECT_EQ(clone["args"][0]["value"], 0x7E020000);
  EXPECT_EQ(clone["args"][0]["op"], "SCMP_CMP_MASKED_EQ");
  EXPECT_EQ(clone3["errnoRet"], 38);
}

TEST(SeccompProfile, ACapabilityBringsItsCalls) {
  const auto names = [](const json& profile) { return profile.dump(); };
  EXPECT_THAT(names(seccomp_profile({"CAP_SYS_CHROOT"})), HasSubstr("\"chroot\""));
  EXPECT_THAT(names(seccomp_profile({})), Not(HasSubstr("\"chroot\"")));
}

}  // namespace
}  // namespace berth::runtime
