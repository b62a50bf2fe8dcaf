#include "broker/runtime/oci_documents.hpp"

#include <gtest/gtest.h>

namespace berth::runtime {
namespace {

TEST(OciDocuments, MoreBracketsThanAStackCanHoldAreRefused) {
  std::string document = R"({"manifests":)" + std::string(200000, '[') + std::string(200000, ']') + "}";
  const auto entry = read_index(document, "", true);
  ASSERT_FALSE(entry);
  EXPECT_EQ(entry.error().message, "a document of the image nests more than 64 deep");
  EXPECT_FALSE(is_index(document));
}

TEST(OciDocuments, AMemberOfAnotherTypeIsRefusedAndNotThrown) {
  EXPECT_FALSE(read_index(R"({"manifests":[7]})", "", true));
  EXPECT_FALSE(read_index(R"({"manifests":[{"platform":"linux"}]})", "", true));
  EXPECT_FALSE(read_manifest(R"({"config":[],"layers":[{}]})"));
  EXPECT_FALSE(read_manifest(R"({"layers":["sha256:0"]})"));
  EXPECT_FALSE(read_image_config(R"({"config":{"Env":[1]}})"));
  EXPECT_FALSE(read_image_config(R"({"config":{"User":0}})"));
}

TEST(OciDocuments, OfSeveralImagesTheOneCalledLatestIsMeant) {
  const char* index = R"({"manifests":[
      {"digest":"a","annotations":{"org.opencontainers.image.ref.name":"app:1"}},
      {"digest":"b","annotations":{"org.opencontainers.image.ref.name":"latest"}},
      {"digest":"c","platform":{"os":"plan9"},"annotations":{"org.opencontainers.image.ref.name":"latest"}}]})";
  EXPECT_EQ(read_index(index, "", true)->digest, "b");
  EXPECT_EQ(read_index(index, "1", true)->digest, "a");
  EXPECT_FALSE(read_index(index, "2", true));
}

TEST(OciDocuments, AnImageWithoutLayersIsRefused) { EXPECT_FALSE(read_manifest(R"({"config":{"digest":"x"},"layers":[]})")); }

}  // namespace
}  // namespace berth::runtime
