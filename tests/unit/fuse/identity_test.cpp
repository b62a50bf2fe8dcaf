#include "fuse/identity.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>

#include <gtest/gtest.h>

#include "fuse/grant.hpp"

namespace berth::fuse {
namespace {

constexpr Rights kAll{.write = true, .root_access = true};
constexpr Rights kNoRoot{.write = true, .root_access = false};
constexpr Caller kAlice{.uid = 1001, .gid = 1002, .pid = 1};
constexpr Caller kRoot{.uid = 0, .gid = 0, .pid = 1};

TEST(EffectiveIdentity, OfACallerWithoutAccessPointIsItsOwn) {
  const Identity identity = effective_identity(kAlice, std::nullopt, kNoRoot);
  EXPECT_EQ(identity.uid, 1001U);
  EXPECT_EQ(identity.gid, 1002U);
  EXPECT_FALSE(identity.groups_known);
}

TEST(EffectiveIdentity, OfRootIsRootOnlyWithRootAccess) {
  EXPECT_EQ(effective_identity(kRoot, std::nullopt, kAll).uid, 0U);
  const Identity squashed = effective_identity(kRoot, std::nullopt, kNoRoot);
  EXPECT_EQ(squashed.uid, kNobody);
  EXPECT_EQ(squashed.gid, kNobody);
  EXPECT_TRUE(squashed.groups.empty());
  EXPECT_TRUE(squashed.groups_known) << "root's groups must not come back by the second try";
}

TEST(EffectiveIdentity, OnAnAccessPointIsItsUserWithItsGroupsWhoeverAsks) {
  const PosixUser user{.uid = 5000, .gid = 5001, .secondary_gids = {6000, 6001}};
  for (const Caller& caller : {kAlice, kRoot}) {
    const Identity identity = effective_identity(caller, user, kNoRoot);
    EXPECT_EQ(identity.uid, 5000U);
    EXPECT_EQ(identity.gid, 5001U);
    EXPECT_EQ(identity.groups, user.secondary_gids);
    EXPECT_TRUE(identity.groups_known);
  }
}

TEST(EffectiveIdentity, OfAnAccessPointOfRootIsSquashedTooWithItsGroups) {
  const PosixUser user{.uid = 0, .gid = 0, .secondary_gids = {0}};
  const Identity squashed = effective_identity(kAlice, user, kNoRoot);
  EXPECT_EQ(squashed.uid, kNobody);
  EXPECT_TRUE(squashed.groups.empty());
  EXPECT_EQ(effective_identity(kAlice, user, kAll).uid, 0U);
}

TEST(GroupsOf, AThreadThatDoesNotExistAreNone) { EXPECT_TRUE(groups_of(0x7ffffff0).empty()); }

TEST(GroupsOf, ThisProcessAreThoseOfGetgroups) {
  std::vector<gid_t> groups(static_cast<std::size_t>(getgroups(0, nullptr)));
  ASSERT_GE(getgroups(static_cast<int>(groups.size()), groups.data()), 0);
  EXPECT_EQ(groups_of(getpid()), groups);
}

TEST(HasSignal, IsTrueWhileOneWaitsForTheThread) {
  const pid_t child = fork();
  if (child == 0) {
    while (true) pause();
  }
  ASSERT_EQ(kill(child, SIGSTOP), 0);
  ASSERT_EQ(waitpid(child, nullptr, WUNTRACED), child);
  EXPECT_FALSE(has_signal(child));
  ASSERT_EQ(kill(child, SIGUSR1), 0);  // waits for it to go on
  EXPECT_TRUE(has_signal(child));
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(has_signal(child));
}

TEST(RunAs, AnswersEpermWhereTheIdentityCannotBeTaken) {
  const pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && setresuid(kNobody, kNobody, kNobody) != 0) _exit(2);
    const auto answered = run_as(Identity{geteuid() - 1, getegid(), {}, true}, getpid(), []() -> Answer<> { return {}; });
    _exit(!answered && answered.error() == Errno{EPERM} ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(RunAs, TriesADeniedOperationAgainOnlyWhereGroupsAreUnknown) {
  for (const bool known : {true, false}) {
    int tries = 0;
    const auto answered = run_as(Identity{geteuid(), getegid(), {}, known}, getpid(), [&]() -> Answer<> {
      ++tries;
      return refuse(EACCES);
    });
    EXPECT_FALSE(answered);
    EXPECT_EQ(tries, known ? 1 : 2);
  }
}

TEST(Grant, KeepsItsRightsInTheMemoryItWasGiven) {
  std::atomic<std::uint32_t> memory{encode_rights(kNoRoot)};
  Grant grant(std::nullopt, memory);
  EXPECT_TRUE(grant.rights().write);
  EXPECT_FALSE(grant.rights().root_access);
  EXPECT_FALSE(grant.names_cacheable()) << "the kernel would let root through names that a user looked up";
  grant.set_rights({.write = false, .root_access = true});
  EXPECT_FALSE(decode_rights(memory).write);
  EXPECT_TRUE(decode_rights(memory).root_access);
  EXPECT_TRUE(grant.names_cacheable());
}

}  // namespace
}  // namespace berth::fuse
