#include "fuse/listing_pages.hpp"

#include <string>
#include <vector>

#include <gmock/gmock.h>

namespace berth::fuse {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

class Pages : public testing::Test {
 protected:
  static constexpr Ino kDirectory = 7;
  void begin(Handle handle, Ino directory = kDirectory, NameEpochs::Epoch epoch = 0) {
    pages_.begin(handle, directory, epoch, [&] { said_.push_back("first of " + std::to_string(directory)); });
  }
  std::optional<NameEpochs::Epoch> end(Handle handle) {
    return pages_.end(handle, [&](Ino directory) { said_.push_back("last of " + std::to_string(directory)); });
  }

  ListingPages pages_;
  std::vector<std::string> said_;
};

TEST_F(Pages, ADirectoryIsBeingTakenInFromItsFirstPageToTheEndOfItsLast) {
  begin(1);
  begin(2);
  end(1);
  EXPECT_THAT(said_, ElementsAre("first of 7"));
  end(2);
  EXPECT_THAT(said_, ElementsAre("first of 7", "last of 7"));
}

TEST_F(Pages, DirectoriesAreTakenInByThemselves) {
  begin(1, 7);
  begin(2, 8);
  end(1);
  EXPECT_THAT(said_, ElementsAre("first of 7", "first of 8", "last of 7"));
}

TEST_F(Pages, WhatIsOverIsNotOverAgain) {
  begin(1);
  end(1);
  said_.clear();
  EXPECT_EQ(end(1), std::nullopt);
  EXPECT_EQ(end(5), std::nullopt);
  EXPECT_THAT(said_, IsEmpty());
}

TEST_F(Pages, TheEpochIsThatOfThePage) {
  begin(1, kDirectory, 3);
  begin(2, kDirectory, 4);
  EXPECT_THAT(end(1), Optional(3U));
  EXPECT_THAT(end(2), Optional(4U));
}

}  // namespace
}  // namespace berth::fuse
