// SPDX-License-Identifier: BSD-3-Clause
// Rings that QEMU tells of: a monitor that answers as some version does, badly, or not at all.
#include <array>
#include <functional>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>

#include "tests/tools/probe_ring_file.hpp"
#include "tools/probe/rings/qmp_rings.hpp"
#include "tools/probe/rings/ring_source.hpp"

namespace vhostx::test {
namespace {

using namespace tools::probe;
using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

std::string greeting_of(unsigned major, unsigned minor) {
  return Json{{"QMP", {{"version", {{"qemu", {{"major", major}, {"minor", minor}}}}}}}}.dump() + "\r\n";
}

/// A monitor in a thread: greets, and answers each line with what `answer` says; an empty answer ends it.
class Monitor {
 public:
  using Answer = std::function<std::string(const Json&)>;

  explicit Monitor(Answer answer, std::string greeting = greeting_of(7, 2)) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) throw std::runtime_error("socketpair");
    client_ = UniqueFd(ends[0]);
    thread_ = std::thread([end = ends[1], answer = std::move(answer), greeting = std::move(greeting)] {
      const UniqueFd own(end);
      serve(end, greeting, answer);
    });
  }
  ~Monitor() { thread_.join(); }
  UniqueFd take_client() { return std::move(client_); }

 private:
  static void say(int socket, const std::string& text) { ::send(socket, text.data(), text.size(), MSG_NOSIGNAL); }
  static void serve(int socket, const std::string& greeting, const Answer& answer) {
    say(socket, greeting);
    std::string line;
    for (char byte = 0; ::recv(socket, &byte, 1, 0) == 1;) {
      if (byte != '\n') {
        line += byte;
        continue;
      }
      const std::string said = answer(Json::parse(line));
      line.clear();
      if (said.empty()) return;
      say(socket, said);
    }
  }

  UniqueFd client_;
  std::thread thread_;
};

std::string returns(const Json& request, const Json& value) {
  return Json{{"return", value}, {"id", request["id"]}}.dump() + "\r\n";
}
std::string refuses(const Json& request, const std::string& why) {
  return Json{{"error", {{"class", "GenericError"}, {"desc", why}}}, {"id", request["id"]}}.dump() + "\r\n";
}

/// QEMU with a virtio-net device of two queue pairs and a control queue, as it answers.
std::string answer_as_qemu(const Json& request, const RingFile& file) {
  const std::string command = request["execute"];
  const Json arguments = request.value("arguments", Json::object());
  if (command == "qmp_capabilities")
    return R"({"event": "RESUME"})"
           "\r\n" +
           returns(request, Json::object());
  if (command == "x-query-virtio")
    return returns(request, {{{"name", "virtio-net"}, {"path", "/machine/n0/virtio-backend"}}});
  if (command == "x-query-virtio-status")
    return returns(request, {{"name", "virtio-net"},
                             {"vhost-dev", {{"nvqs", 2}, {"vq-index", 0}}},
                             {"guest-features",
                              {{"transports", {"VIRTIO_RING_F_EVENT_IDX: Used & avail. event fields enabled"}}}}});
  if (command == "qom-get") {
    EXPECT_EQ(arguments["path"], "/machine/n0");
    return returns(request, arguments["property"] == "event_idx");
  }
  const int queue = arguments.value("queue", 0);
  if (command == "x-query-virtio-vhost-queue-status") {
    if (queue >= 2) return refuses(request, "Invalid vhost virtqueue number " + std::to_string(queue));
    const auto at = file.addresses();
    return returns(
        request,
        {{"desc", at.descriptor}, {"avail", at.available}, {"used", at.used}, {"num", 256}, {"desc-phys", 0x10000}});
  }
  if (command == "x-query-virtio-queue-status") {
    EXPECT_GE(queue, 2) << "QEMU would stop the ring to answer";
    if (queue > 4) return refuses(request, "Invalid virtqueue number " + std::to_string(queue));
    if (queue == 3) return returns(request, {{"vring-num", 256}, {"vring-desc", 0}});
    return returns(request,
                   {{"vring-num", 128}, {"vring-desc", 0x1000}, {"vring-avail", 0x2000}, {"vring-used", 0x3000}});
  }
  if (command == "human-monitor-command") {
    const std::string line = arguments["command-line"];
    const std::string address = line.substr(line.find("0x"));
    return returns(request, "Host virtual address for " + address + " (m0) is 0x7f" + address.substr(2) + "0\r\n");
  }
  return refuses(request, "The command " + command + " has not been found");
}

Result<std::vector<ConnectionFacts>> ask(Monitor& monitor, std::chrono::milliseconds timeout = 20s) {
  auto client = QmpClient::over(monitor.take_client(), timeout);
  if (!client) return client.error();
  return ask_rings(*client);
}

TEST(Qmp, HasTheRingsOfAVhostDevice) {
  const RingFile file;
  Monitor monitor([&file](const Json& request) { return answer_as_qemu(request, file); });
  const auto asked = ask(monitor);
  ASSERT_TRUE(asked) << asked.error().message;
  ASSERT_EQ(asked->size(), 1U);
  const ConnectionFacts& facts = asked->front();
  EXPECT_EQ(facts.name, "virtio-net /machine/n0/virtio-backend");
  EXPECT_TRUE(facts.features.has(protocol::VirtioFeature::event_idx));
  ASSERT_EQ(facts.rings.size(), 3U) << "the control queue is QEMU's";
  EXPECT_EQ(facts.rings[0].addresses, file.addresses());
  EXPECT_EQ(facts.rings[1].size, 256U);
  EXPECT_EQ(facts.rings[2].index, 2U);
  EXPECT_EQ(facts.rings[2].size, 128U);
  EXPECT_EQ(facts.rings[2].addresses, (RingAddresses{0x7f10000, 0x7f20000, 0x7f30000}));
}

TEST(Qmp, AsksNewerOnesForNothingThatWasNotTried) {
  const RingFile file;
  Monitor monitor(
      [&file](const Json& request) {
        EXPECT_NE(request["execute"], "x-query-virtio-status");
        if (request["execute"] == "x-query-virtio-vhost-queue-status" && request["arguments"]["queue"] < 2)
          return returns(request, {{"num", 256}, {"desc-phys", 0x4000}, {"avail-phys", 0x5000}, {"used-phys", 0x6000}});
        return answer_as_qemu(request, file);
      },
      greeting_of(10, 1));
  const auto asked = ask(monitor);
  ASSERT_TRUE(asked) << asked.error().message;
  ASSERT_EQ(asked->size(), 1U);
  EXPECT_EQ(asked->front().name, "virtio-net /machine/n0/virtio-backend (features: as offered)");
  EXPECT_EQ(asked->front().features, protocol::FeatureSet{protocol::VirtioFeature::event_idx});
  ASSERT_EQ(asked->front().rings.size(), 3U);
  EXPECT_EQ(asked->front().rings[1].addresses, (RingAddresses{0x7f40000, 0x7f50000, 0x7f60000}));
}

TEST(Qmp, HasNoneOfADeviceThatIsNotStarted) {
  const RingFile file;
  Monitor monitor([&file](const Json& request) {
    if (request["execute"] == "x-query-virtio-status") return returns(request, {{"name", "virtio-net"}});
    return answer_as_qemu(request, file);
  });
  EXPECT_TRUE(ask(monitor)->empty());
  Monitor newer(
      [&file](const Json& request) {
        if (request["execute"] == "x-query-virtio-vhost-queue-status") return refuses(request, "has not started yet");
        return answer_as_qemu(request, file);
      },
      greeting_of(11, 1));
  EXPECT_TRUE(ask(newer)->empty());
}

TEST(Qmp, SaysThatQemuIsTooOld) {
  Monitor monitor([](const Json& request) {
    return request["execute"] == "qmp_capabilities" ? returns(request, Json::object()) : refuses(request, "not found");
  });
  const auto asked = ask(monitor);
  ASSERT_FALSE(asked);
  EXPECT_NE(asked.error().message.find("QEMU 7.2"), std::string::npos);
}

TEST(Qmp, SurvivesAnswersOfTheWrongKind) {
  const RingFile file;
  const std::vector<Json> rubbish{Json(),
                                  1,
                                  -1,
                                  "x",
                                  Json::array(),
                                  Json::object(),
                                  {{"path", 1}},
                                  {{{"path", 1}}},
                                  {{"vhost-dev", 7}, {"guest-features", {{"transports", {1, "x"}}}}}};
  for (const char* command : {"x-query-virtio", "x-query-virtio-status", "x-query-virtio-vhost-queue-status",
                              "x-query-virtio-queue-status", "human-monitor-command"})
    for (const Json& value : rubbish) {
      Monitor monitor([&](const Json& request) {
        return request["execute"] == command ? returns(request, value) : answer_as_qemu(request, file);
      });
      const auto asked = ask(monitor);
      if (asked) {
        for (const auto& facts : *asked) EXPECT_LE(facts.rings.size(), 256U);
      }
    }
}

TEST(Qmp, SaysWhatIsWrongWithTheConnection) {
  using Code = ErrorCode;
  const auto well = [](const Json& request) { return returns(request, Json::object()); };
  const auto code_of = [&](const std::string& greeting, const Monitor::Answer& answer) {
    Monitor monitor(answer, greeting);
    const auto asked = ask(monitor, 200ms);
    return asked ? Code::busy : asked.error().code;
  };
  const std::string greeting = R"({"QMP": {}})"
                               "\n";
  EXPECT_EQ(code_of("", well), Code::timed_out);
  EXPECT_EQ(code_of("SSH-2.0\n", well), Code::protocol_violation);
  EXPECT_EQ(code_of("{}\n", well), Code::protocol_violation);
  EXPECT_EQ(code_of(greeting, [](const Json&) { return ""; }), Code::closed);
  EXPECT_EQ(code_of(greeting, [](const Json&) { return "\n"; }), Code::protocol_violation);
  EXPECT_EQ(code_of(greeting,
                    [](const Json&) {
                      return R"({"return": {}, "id": 77})"
                             "\n";
                    }),
            Code::protocol_violation);
  EXPECT_EQ(code_of(greeting,
                    [](const Json&) {
                      return R"({"event": 1})"
                             "\n";
                    }),
            Code::timed_out);
  EXPECT_EQ(code_of(greeting, [](const Json&) { return std::string((1 << 20) + 70000, 'x'); }),
            Code::protocol_violation);
}

TEST(Qmp, LetsOthersGoOnWhileItWaits) {
  const RingFile file;
  Monitor monitor([&file](const Json& request) { return answer_as_qemu(request, file); });
  auto client = QmpClient::over(monitor.take_client(), 20s);
  ASSERT_TRUE(client);
  int turns = 0;
  client->while_waiting([&turns] { ++turns; });
  ASSERT_TRUE(ask_rings(*client));
  EXPECT_GT(turns, 0);
}

TEST(QemuSource, NamesTheTroubleWithItsSocket) {
  EXPECT_EQ(open_qemu("/nowhere", {}).error().system_errno, ENOENT);
  EXPECT_EQ(open_qemu(std::string(200, 'x'), {}).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace vhostx::test
