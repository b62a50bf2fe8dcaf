#include <algorithm>

#include <gtest/gtest.h>

#include "credentials/sigv4/canonical.hpp"
#include "credentials/sigv4/sign.hpp"
#include "credentials/sigv4/verify.hpp"
#include "tests/conformance/vectors.hpp"

namespace berth::credentials {
namespace {

struct Case {
  explicit Case(const nlohmann::json& json)
      : name(json.at("name")),
        form(json.at("form")),
        service(json.at("service")),
        method(json.at("method")),
        path(json.at("path")),
        query(json.at("query")),
        body(json.at("body")),
        headers(json.at("headers").get<HeaderList>()) {}
  SignedRequest request() const { return {method, path, query, headers, body, std::nullopt}; }
  VerifyOptions options() const { return {.s3 = service == "s3", .service = service, .region = "us-east-1"}; }
  std::string name, form, service, method, path, query, body;
  HeaderList headers;
};

class Botocore : public testing::Test {
 protected:
  Botocore()
      : vectors_(berth::vectors::read_vectors("sigv4_botocore.json")), now_(*parse_time(vectors_.at("at").get<std::string>())) {
    for (const auto& json : vectors_.at("cases")) cases_.emplace_back(json);
  }
  Secret secret() const { return Secret(vectors_.at("secret").get<std::string>()); }

  nlohmann::json vectors_;
  TimePoint now_;
  std::vector<Case> cases_;
};

TEST_F(Botocore, EverySignedRequestVerifies) {
  ASSERT_GE(cases_.size(), 19U);
  for (const auto& c : cases_) {
    SCOPED_TRACE(c.name + ", " + c.form);
    const auto authorization = read_authorization(c.request());
    ASSERT_TRUE(authorization) << authorization.error().message;
    EXPECT_EQ(authorization->access_key_id, "AKIDEXAMPLE");
    EXPECT_EQ(authorization->presigned, c.form == "query");
    const auto verified = verify(c.request(), *authorization, secret(), c.options(), now_);
    EXPECT_TRUE(verified) << verified.error().message;
  }
}

TEST_F(Botocore, NoRequestVerifiesWithAnotherMethodPathQueryOrBody) {
  for (const auto& c : cases_) {
    SCOPED_TRACE(c.name + ", " + c.form);
    const auto authorization = read_authorization(c.request());
    ASSERT_TRUE(authorization);
    std::vector<Case> changed(4, c);
    changed[0].method = "PUT";
    changed[1].path += "x";
    changed[2].query += changed[2].query.empty() ? "x=1" : "&x=1";
    changed[3].body += " ";
    const bool s3 = c.service == "s3";  // presigned S3 does not sign the body
    for (std::size_t i = 0; i < (s3 ? 3U : 4U); ++i) {
      const auto verified = verify(changed[i].request(), *authorization, secret(), c.options(), now_);
      ASSERT_FALSE(verified) << "change " << i;
      EXPECT_EQ(verified.error().code, SignatureErrorCode::signature_does_not_match);
    }
  }
}

TEST_F(Botocore, OurSignerMakesTheSameSignature) {
  for (const auto& c : cases_) {
    if (c.form != "header" || c.service == "s3") continue;
    SCOPED_TRACE(c.name);
    const auto authorization = read_authorization(c.request());
    ASSERT_TRUE(authorization);
    Case bare = c;
    std::erase_if(bare.headers, [&](const auto& header) {
      const auto name = header.first;
      const bool signed_by_them =
          std::ranges::any_of(authorization->signed_headers, [&](const auto& n) { return find_header(HeaderList{header}, n); });
      return !signed_by_them || name == "X-Amz-Date" || name == "X-Amz-Security-Token";
    });
    const auto added =
        sign(bare.request(), {"AKIDEXAMPLE", secret(), authorization->session_token}, {"us-east-1", c.service}, now_);
    EXPECT_EQ(*find_header(added, "authorization"), *find_header(c.headers, "authorization"));
  }
}

// Figures from AWS's documentation of Signature Version 4 and from its published test suite.
const Secret kSuiteSecret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");

TEST(SigV4Documented, GetVanillaOfTheTestSuite) {
  const HeaderList headers = {{"Host", "example.amazonaws.com"}};
  const SignedRequest request{"GET", "/", "", headers, "", std::nullopt};
  const auto added =
      sign(request, {"AKIDEXAMPLE", kSuiteSecret, ""}, {"us-east-1", "service"}, *parse_time("2015-08-30T12:36:00Z"));
  EXPECT_EQ(*find_header(added, "authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SigV4Documented, IamListUsers) {
  const HeaderList headers = {{"Host", "iam.amazonaws.com"},
                              {"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}};
  const SignedRequest request{"GET", "/", "Action=ListUsers&Version=2010-05-08", headers, "", std::nullopt};
  const auto added = sign(request, {"AKIDEXAMPLE", kSuiteSecret, ""}, {"us-east-1", "iam"}, *parse_time("2015-08-30T12:36:00Z"));
  EXPECT_TRUE(find_header(added, "authorization")->ends_with("5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"));
}

TEST(SigV4Documented, SigningKeyOfTheExample) {
  const auto key = signing_key(kSuiteSecret, "20150830", "us-east-1", "iam");
  EXPECT_EQ(signature(key,
                      "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n"
                      "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59"),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST(SigV4Documented, S3PresignedUrl) {
  const HeaderList headers = {{"Host", "examplebucket.s3.amazonaws.com"}};
  const SignedRequest request{"GET", "/test.txt", "", headers, "", std::nullopt};
  const SigningCredentials credentials{"AKIAIOSFODNN7EXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), ""};
  const auto query = presign(request, credentials, {"us-east-1", "s3"}, *parse_time("2013-05-24T00:00:00Z"),
                             std::chrono::hours(24), {.s3 = true});
  EXPECT_TRUE(query.ends_with("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")) << query;
}

}  // namespace
}  // namespace berth::credentials
