// SPDX-License-Identifier: BSD-3-Clause
// What is answered to whom.
#include "telemetry/requests.hpp"

#include "tests/backend/port_fixture.hpp"

namespace vhostx::telemetry {
namespace {

using test::must;

const Dict& dict_at(const Dict& dict, std::string_view name) {
  const auto* entry = dict.find(name);
  const auto* inner = entry == nullptr ? nullptr : std::get_if<Dict>(&entry->value);
  if (inner == nullptr) throw std::runtime_error("no dictionary " + std::string(name));
  return *inner;
}
template <typename T>
T value_at(const Dict& dict, std::string_view name) {
  const auto* entry = dict.find(name);
  const auto* value = entry == nullptr ? nullptr : std::get_if<T>(&entry->value);
  if (value == nullptr) throw std::runtime_error("no such value " + std::string(name));
  return *value;
}
std::uint64_t number_at(const Dict& dict, std::string_view name) { return value_at<std::uint64_t>(dict, name); }
std::string text_at(const Dict& dict, std::string_view name) { return value_at<std::string>(dict, name); }

/// A port of two queue pairs named "a", with a guest that runs the rings of one.
struct Requests : testing::Test {
  test::PortFixture fixture{[](PortOptions& options) { options.queue_pairs_max = 2; }};
  Registry registry;
  std::shared_ptr<NamedPort> named = must(registry.add("a", *fixture.port));
  test::FakeMachine machine{fixture.options.socket_path};

  void SetUp() override {
    machine.bring_up();
    for (unsigned started = 0; started < 2; ++started) fixture.events.until<VringStarted>();
  }
  std::string refusal(Request* request, std::string_view parameters) {
    const auto answer = request(registry, parameters);
    if (answer) throw std::runtime_error("answered");
    EXPECT_EQ(answer.error().code, ErrorCode::invalid_argument);
    return answer.error().message;
  }
};

TEST_F(Requests, APortIsToldOf) {
  const auto told = must(tell_port(registry, "a"));
  EXPECT_EQ(text_at(told, "socket_path"), fixture.options.socket_path);
  EXPECT_EQ(text_at(told, "role"), "server");
  EXPECT_EQ(value_at<int>(told, "connected"), 1);
  EXPECT_EQ(number_at(told, "connections"), 1U);
  EXPECT_NO_THROW(number_at(told, "releases_pending"));
  EXPECT_EQ(text_at(told, "features").substr(0, 2), "0x");
  EXPECT_NE(text_at(told, "features"), "0x0");
  EXPECT_EQ(number_at(told, "vrings"), 4U);
  EXPECT_EQ(number_at(told, "vrings_started"), 2U);
  EXPECT_EQ(number_at(told, "vrings_ready"), 2U);
  EXPECT_EQ(number_at(told, "queue_pairs_up"), 1U);
  EXPECT_EQ(value_at<int>(told, "link_up"), 1);
  EXPECT_EQ(value_at<int>(told, "driver_ok"), 0) << "no SET_STATUS has come";
  EXPECT_EQ(number_at(told, "memory_regions"), 1U);
  EXPECT_EQ(number_at(told, "memory_bytes"), 8U << 20);
  for (const auto* direction : {"from_guest", "to_guest"}) {
    const auto& counters = dict_at(told, direction);
    for (const auto& row : vring_counters)
      EXPECT_EQ(number_at(row.is_drop ? dict_at(counters, "drops") : counters, row.name), 0U) << row.name;
  }
}

TEST_F(Requests, AVringIsToldOf) {
  const auto told = must(tell_vring(registry, "a,1"));
  EXPECT_EQ(number_at(told, "vring"), 1U);
  EXPECT_EQ(text_at(told, "direction"), "from_guest");
  EXPECT_EQ(value_at<int>(told, "started"), 1);
  EXPECT_EQ(value_at<int>(told, "enabled"), 1);
  EXPECT_EQ(value_at<int>(told, "broken"), 0);
  EXPECT_EQ(value_at<int>(told, "kick_fd"), fixture.port->vring(1).kick_fd());
  EXPECT_EQ(number_at(dict_at(told, "loans"), "outstanding"), 0U);
  EXPECT_NO_THROW(dict_at(dict_at(told, "placement"), "buffers"));
  EXPECT_EQ(value_at<int>(must(tell_vring(registry, "a,2")), "started"), 0);
}

TEST_F(Requests, MemoryAndNodesAreToldOf) {
  const auto memory = must(tell_memory(registry, "a"));
  EXPECT_EQ(number_at(memory, "memory_regions"), 1U);
  EXPECT_EQ(text_at(dict_at(memory, "region_0"), "guest_address"), "0x40000000");
  EXPECT_EQ(number_at(dict_at(memory, "region_0"), "page_bytes"), 4096U);
  EXPECT_EQ(memory.find("next"), nullptr);
  EXPECT_EQ(must(tell_memory(registry, "a,1")).find("region_0"), nullptr);

  fixture.port->look_at_placement();
  const auto numa = must(tell_numa(registry, "a"));
  EXPECT_EQ(value_at<int>(dict_at(numa, "vring_1"), "wanted_node"), fixture.port->vring(1).numa_node());
  EXPECT_EQ(numa.find("vring_2"), nullptr) << "it has not started";
  EXPECT_EQ(must(tell_numa(registry, "a,1")).find("vring_0"), nullptr);
}

TEST_F(Requests, WhatCannotBeAnsweredSaysWhy) {
  for (auto* request : {tell_port, tell_vring, tell_memory, tell_numa}) {
    EXPECT_NE(refusal(request, "").find("no port is named: expected"), std::string::npos);
    EXPECT_EQ(refusal(request, "b"), "no port is named 'b'");
  }
  EXPECT_EQ(refusal(tell_vring, "a"), "no vring is named: expected NAME,INDEX");
  EXPECT_EQ(refusal(tell_vring, "a,4"), "INDEX is 4: expected 0 to 3");
  for (const auto* wrong : {"a,", "a,x", "a,-1", "a,1x", "a, 1", "a,99999999999999999999999"})
    EXPECT_NE(refusal(tell_vring, wrong).find("expected a number"), std::string::npos) << wrong;
  EXPECT_NE(refusal(tell_memory, "a,x").find("FIRST is 'x'"), std::string::npos);
  EXPECT_NE(refusal(list_ports, "x").find("FIRST is 'x'"), std::string::npos);
  EXPECT_EQ(refusal(tell_vring, "a,1,1"), "no port is named 'a,1'");
}

TEST_F(Requests, NamesMayHaveCommas) {
  const auto comma = must(registry.add("x,1", *fixture.port));
  EXPECT_EQ(number_at(must(tell_vring(registry, "x,1,3")), "vring"), 3U);
  EXPECT_EQ(number_at(must(tell_memory(registry, "x,1")), "first"), 0U);
  registry.remove(*comma);
}

TEST_F(Requests, ALongListGoesOn) {
  const std::size_t count = 300;
  for (std::size_t i = 1; i < count; ++i)
    must(registry.add(std::string(100, 'n') + std::to_string(1000 + i), *fixture.port));
  std::vector<std::string> names;
  std::string first;
  for (unsigned asked = 0; asked < 10; ++asked) {
    const auto told = must(list_ports(registry, first));
    EXPECT_LE(told.json_bytes(), 16U * 1024 - 128);
    EXPECT_EQ(number_at(told, "count"), count);
    const auto part = value_at<std::vector<std::string>>(told, "ports");
    names.insert(names.end(), part.begin(), part.end());
    if (told.find("next") == nullptr) break;
    first = std::to_string(number_at(told, "next"));
  }
  EXPECT_EQ(names, registry.names());
}

TEST(LongRequests, ManyVringsGoOn) {
  test::PortFixture fixture([](PortOptions& options) { options.queue_pairs_max = 64; });
  Registry registry;
  must(registry.add("a", *fixture.port));
  test::FakeMachine machine(fixture.options.socket_path, 128);
  machine.bring_up();
  for (unsigned started = 0; started < 128; ++started) fixture.events.until<VringStarted>();
  fixture.port->look_at_placement();
  std::size_t rows = 0;
  std::string parameters = "a";
  for (bool more = true; more;) {
    const auto told = must(tell_numa(registry, parameters));
    EXPECT_LE(told.json_bytes(), 16U * 1024 - 128);
    for (const auto& entry : told.entries()) rows += entry.name.rfind("vring_", 0) == 0 ? 1 : 0;
    more = told.find("next") != nullptr;
    if (more) parameters = "a," + std::to_string(number_at(told, "next"));
  }
  EXPECT_EQ(rows, 128U);
}

}  // namespace
}  // namespace vhostx::telemetry
