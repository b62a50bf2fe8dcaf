// The fuzz targets without a fuzzer: every file of the corpus, and inputs made of them from a fixed seed. So a finding, once its
// input is in the corpus, stays fixed wherever the unit tests run.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "broker/base/encoding.hpp"
#include "tests/fuzz/targets/target.hpp"

namespace berth::fuzz {
namespace {

constexpr int kMutations = 1500;  // for each target
constexpr std::size_t kInputBytesMax = 8192;

std::vector<std::string> corpus_of(const Target& target) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(BERTH_FUZZ_CORPUS) / target.name))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> inputs;
  for (const auto& path : paths) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    inputs.push_back(text.str());
  }
  return inputs;
}

class Mutator {
 public:
  Mutator(const std::vector<std::string>& corpus, std::uint64_t seed) : corpus_(corpus), random_(seed) {}

  std::string next() {
    std::string input = any();
    for (std::size_t steps = 1 + below(4); steps > 0; --steps) step(input);
    return input.substr(0, kInputBytesMax);
  }

 private:
  // The same numbers everywhere: the standard's distributions are each library's own, and the order in which a call's arguments
  // are evaluated each compiler's, so none of them draws two.
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : static_cast<std::size_t>(random_() % bound); }
  const std::string& any() { return corpus_[below(corpus_.size())]; }

  void step(std::string& input) {
    const std::size_t at = below(input.size() + 1), length = below(std::min<std::size_t>(input.size() - at, 32) + 1);
    switch (below(6)) {
      case 0: input.insert(at, 1, static_cast<char>(below(256))); break;
      case 1: input.erase(at, length); break;
      case 2: input.insert(at, input.substr(at, length)); break;
      case 3: input.replace(at, length, piece_of(any())); break;
      case 4: {
        const std::size_t count = below(200);
        input.insert(at, count, kStructure[below(kStructure.size())]);
        break;
      }
      default:
        if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << below(8)));
    }
  }
  std::string piece_of(const std::string& other) {
    const std::size_t at = below(other.size() + 1);
    return other.substr(at, below(32));
  }

  static constexpr std::string_view kStructure =
      "[]{}()\"\\,:;=&%+*?$/.~!<>\n \x80\xff"
      "09aZ";
  const std::vector<std::string>& corpus_;
  std::mt19937_64 random_;
};

class FuzzCorpus : public testing::TestWithParam<Target> {};

void run(const Target& target, const std::string& input) {
  try {
    target.run(input);
  } catch (const std::exception& broken) {
    ADD_FAILURE() << broken.what() << "; the input, percent-encoded: " << percent_encode(input);
  }
}

TEST_P(FuzzCorpus, HoldsForEveryFile) {
  const auto corpus = corpus_of(GetParam());
  ASSERT_FALSE(corpus.empty());
  for (const std::string& input : corpus) run(GetParam(), input);
}

TEST_P(FuzzCorpus, HoldsForInputsMadeOfThem) {
  const auto corpus = corpus_of(GetParam());
  ASSERT_FALSE(corpus.empty());
  Mutator mutator(corpus, 20261123);
  for (int i = 0; i < kMutations && !HasFailure(); ++i) run(GetParam(), mutator.next());
}

INSTANTIATE_TEST_SUITE_P(Targets, FuzzCorpus, testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace berth::fuzz
