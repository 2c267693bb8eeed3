// SPDX-License-Identifier: BSD-3-Clause
#include "tests/bench/bench_cases.hpp"

#include <algorithm>
#include <vector>

namespace vhostx::bench {
namespace {

constexpr BenchOptions not_mergeable() {
  BenchOptions options;
  options.features &= ~mergeable_feature;
  return options;
}

constexpr BenchOptions packed(BenchOptions options) {
  options.packed = true;
  return options;
}

void add_packed_cases(std::vector<BenchCase>& cases, Call call) {
  cases.push_back({call, "packed", packed({.packet_bytes = 64}), 32, 0.5});
  cases.push_back({call, "packed", packed({.packet_bytes = 256}), 32, 0.5});
  cases.push_back({call, "packed", packed({.packet_bytes = 1518}), 32, 0.75});
  cases.push_back({call, "packed_two_descriptors", packed({.shape = Shape::two_descriptors}), 32, 0.5});
  cases.push_back({call, "packed_indirect", packed({.shape = Shape::indirect}), 32, 0.5});
  cases.push_back({call, "packed_not_mergeable", packed(not_mergeable()), 32, 0.5});
  cases.push_back({call, "packed_in_order", packed({.in_order = true}), 32, 0.5});
  cases.push_back({call, "packed_burst_1", packed({}), 1, 0.6});
}

std::vector<BenchCase> make_cases() {
  std::vector<BenchCase> cases;
  for (const Call call : {Call::dequeue, Call::enqueue}) {
    cases.push_back({call, "", {.packet_bytes = 64}, 32, 0.5});
    cases.push_back({call, "", {.packet_bytes = 256}, 32, 0.6});
    cases.push_back({call, "", {.packet_bytes = 1518}, 32, 0.9});
    cases.push_back({call, "two_descriptors", {.shape = Shape::two_descriptors}, 32, 0.7});
    cases.push_back({call, "indirect", {.shape = Shape::indirect}, 32, 0.7});
    cases.push_back({call, "not_mergeable", not_mergeable(), 32, 0.6});
    cases.push_back({call, "burst_1", {}, 1, 0.7});
    cases.push_back({call, "509_regions", {.regions = 509}, 32, 1.1});
  }
  cases.push_back({Call::dequeue, "logged", {.logged = true}, 32, 1});
  cases.push_back({Call::enqueue, "logged", {.logged = true}, 32, 1});
  cases.push_back({Call::enqueue, "logged", {.packet_bytes = 1518, .logged = true}, 32, 1});
  cases.push_back({Call::dequeue, "recorded", {.recorded = true}, 32, 1});
  cases.push_back({Call::enqueue, "recorded", {.recorded = true}, 32, 1});
  cases.push_back({Call::idle, "", {}});
  add_packed_cases(cases, Call::dequeue);
  add_packed_cases(cases, Call::enqueue);
  cases.push_back({Call::idle, "packed", packed({})});
  return cases;
}

}  // namespace

std::string BenchCase::name() const {
  std::string text = "idle";
  if (call != Call::idle)
    text = (call == Call::dequeue ? "dequeue_" : "enqueue_") + std::to_string(options.packet_bytes);
  if (*shape != '\0') text.append("_").append(shape);
  return text;
}

std::span<const BenchCase> bench_cases() {
  static const std::vector<BenchCase> cases = make_cases();
  return cases;
}

const BenchCase* find_bench_case(const std::string& name) {
  const auto cases = bench_cases();
  const auto found =
      std::find_if(cases.begin(), cases.end(), [&](const BenchCase& each) { return each.name() == name; });
  return found == cases.end() ? nullptr : &*found;
}

}  // namespace vhostx::bench
