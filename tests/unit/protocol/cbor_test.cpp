#include "broker/protocol/cbor.hpp"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "broker/base/encoding.hpp"
#include "broker/protocol/codec.hpp"

namespace berth::protocol {
namespace {

using Json = nlohmann::json;
using namespace std::string_literals;

// RFC 8949, appendix A.
TEST(Cbor, ReadsTheExamplesOfItsStandard) {
  const auto read = [](const std::string& hex) { return parse_cbor(hex_decode(hex).value()).value(); };
  EXPECT_EQ(read("17"), 23);
  EXPECT_EQ(read("1903e8"), 1000);
  EXPECT_EQ(read("1b000000e8d4a51000"), 1000000000000);
  EXPECT_EQ(read("3903e7"), -1000);
  EXPECT_EQ(read("f93e00"), 1.5);
  EXPECT_EQ(read("f90001"), 5.960464477539063e-8);
  EXPECT_EQ(read("fa47c35000"), 100000.0);
  EXPECT_EQ(read("fb3ff199999999999a"), 1.1);
  EXPECT_EQ(read("f5"), true);
  EXPECT_EQ(read("f6"), nullptr);
  EXPECT_EQ(read("c11a514b67b0"), 1363896240);
  EXPECT_EQ(read("4401020304"), "AQIDBA==");
  EXPECT_EQ(read("6449455446"), "IETF");
  EXPECT_EQ(read("7f657374726561646d696e67ff"), "streaming");
  EXPECT_EQ(read("83010203"), (Json{1, 2, 3}));
  EXPECT_EQ(read("9f018202039f0405ffff"), (Json{1, {2, 3}, {4, 5}}));
  EXPECT_EQ(read("a26161016162820203"), (Json{{"a", 1}, {"b", {2, 3}}}));
  EXPECT_EQ(read("bf6346756ef563416d7421ff"), (Json{{"Fun", true}, {"Amt", -2}}));
}

TEST(Cbor, RefusesWhatIsCutShortTooDeepOrNotText) {
  for (const std::string& bad :
       {""s, "\x19\x03"s, "\x64IET"s, "\x83\x01"s, "\x9f\x01"s,
        "\xbf\x61"
        "a"s,
        "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"s, "\x9b\xff\xff\xff\xff\xff\xff\xff\xff"s, "\xa1\x01\x02"s, "\x01\x02"s,
        "\x62\xc3\x28"s, "\xf9\x7c\x00"s, "\x3b\xff\xff\xff\xff\xff\xff\xff\xff"s, "\x1c"s,
        "\x7f\x41"
        "ff\xff"s}) {
    EXPECT_FALSE(parse_cbor(bad)) << hex_encode(bad);
  }
  EXPECT_FALSE(parse_cbor(std::string(100'000, '\x81') + "\x01"));
  EXPECT_FALSE(parse_cbor(std::string(100'000, '\xc1') + "\x01"));
}

http::Request cbor_request(const std::string& operation, const std::string& body) {
  http::Request request;
  request.method = "POST";
  request.target = "/service/GraniteServiceVersion20100801/operation/" + operation;
  request.headers = {{"Smithy-Protocol", "rpc-v2-cbor"}, {"Content-Type", "application/cbor"}};
  request.body = body;
  return request;
}

TEST(RpcCbor, AServiceThatHasItIsSpokenToByBothWires) {
  const Model& model = *Model::find("cloudwatch");
  EXPECT_EQ(model.protocol(), Protocol::query);
  // {"StartTime": 1(1363896240), "Namespace": "AWS/EFS"}
  const auto request = cbor_request("GetMetricStatistics", hex_decode("a2695374617274"
                                                                      "54696d65c11a514b67b0694e616d6573706163656741"
                                                                      "57532f454653")
                                                               .value());
  EXPECT_EQ(wire_of(model, request), Wire::cbor);
  const auto operation = operation_of(model, request);
  ASSERT_TRUE(operation);
  EXPECT_EQ((*operation)->name, "GetMetricStatistics");
  EXPECT_EQ(decode(model, **operation, request).value(), (Json{{"StartTime", 1363896240}, {"Namespace", "AWS/EFS"}}));

  http::Request form;
  form.method = "POST";
  form.target = "/";
  form.body = "Action=ListMetrics&Version=2010-08-01&Namespace=AWS/EFS";
  EXPECT_EQ(wire_of(model, form), Wire::own);
  EXPECT_EQ((*operation_of(model, form))->name, "ListMetrics");
}

TEST(RpcCbor, AnAnswerIsReadBackAsItWas) {
  const Model& model = *Model::find("cloudwatch");
  const Json answer{{"Label", "x"}, {"Datapoints", {{{"Timestamp", 1363896240.5}, {"Sum", 3.0}, {"Unit", "Bytes"}}}}};
  const auto response = encode(model, *model.operation("GetMetricStatistics"), answer, "id", Wire::cbor);
  EXPECT_EQ(*http::find_header(response.headers, "Smithy-Protocol"), "rpc-v2-cbor");
  EXPECT_EQ(parse_cbor(response.body).value(), answer);
  EXPECT_NE(response.body.find("\xc1\xfb"), std::string::npos);  // the time is tagged as one
}

TEST(RpcCbor, AndByAwsJsonWithQuerysCodesBesideItsOwn) {
  const Model& model = *Model::find("cloudwatch");
  http::Request request;
  request.method = "POST";
  request.target = "/";
  request.headers = {{"X-Amz-Target", "GraniteServiceVersion20100801.ListMetrics"}};
  request.body = R"({"Namespace": "AWS/EFS"})";
  EXPECT_EQ(wire_of(model, request), Wire::json);
  const auto operation = operation_of(model, request);
  ASSERT_TRUE(operation);
  EXPECT_EQ(decode(model, **operation, request).value(), (Json{{"Namespace", "AWS/EFS"}}));
  const auto response = encode_error(model, {"InvalidParameterValue", "no", nullptr, 0}, "id", Wire::json);
  EXPECT_EQ(*http::find_header(response.headers, "Content-Type"), "application/x-amz-json-1.0");
  EXPECT_EQ(*http::find_header(response.headers, "x-amzn-query-error"), "InvalidParameterValue;Sender");
  EXPECT_EQ(wire_of(*Model::find("ecs"), request), Wire::own);
}

TEST(RpcCbor, AnErrorHasItsShapesNameAndQuerysCode) {
  const Model& model = *Model::find("cloudwatch");
  const auto response = encode_error(model, {"InvalidParameterValue", "no", nullptr, 0}, "id", Wire::cbor);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(parse_cbor(response.body).value(), (Json{{"__type", "InvalidParameterValueException"}, {"message", "no"}}));
  EXPECT_EQ(*http::find_header(response.headers, "x-amzn-query-error"), "InvalidParameterValue;Sender");
}

}  // namespace
}  // namespace berth::protocol
