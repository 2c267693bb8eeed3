// SPDX-License-Identifier: BSD-3-Clause
// Rings that another process holds: what a relay publishes, whole and damaged, and a monitor that answers well, badly,
// or not at all.
#include <array>
#include <functional>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/protocol/open_fds.hpp"
#include "tests/tools/probe_ring_file.hpp"
#include "tools/probe/options.hpp"
#include "tools/probe/processes.hpp"
#include "tools/probe/rings/published.hpp"
#include "tools/probe/rings/qmp_rings.hpp"
#include "tools/probe/rings/ring_source.hpp"

namespace vhostx::test {
namespace {

using namespace tools::probe;
using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

// ---- the command line

const RingsOptions& rings_of(const std::variant<Options, tools::EarlyExit>& parsed) {
  return std::get<RingsOptions>(std::get<Options>(parsed));
}

TEST(RingsOptions, AreRead) {
  const auto parsed =
      parse_options({"rings", "/tmp/a", "--interval", "0.5", "--stuck", "3", "--once", "--json", "--stuck-receive"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed)) << std::get<tools::EarlyExit>(parsed).text;
  const RingsOptions& options = rings_of(parsed);
  EXPECT_EQ(options.relay, "/tmp/a");
  EXPECT_EQ(options.interval, 500ms);
  EXPECT_EQ(options.stuck, 3s);
  EXPECT_EQ(options.count, 1U);
  EXPECT_TRUE(options.json && options.stuck_receive);
  const auto qmp = parse_options({"rings", "--qmp", "/tmp/q", "--pid", "7"});
  EXPECT_EQ(rings_of(qmp).qmp, "/tmp/q");
  EXPECT_EQ(rings_of(qmp).pid, 7);
}

TEST(RingsOptions, AreRefused) {
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"rings"},
                                                {"rings", "a", "--qmp", "b"},
                                                {"rings", "a", "--once", "--count", "2"},
                                                {"rings", "a", "--interval", "0"},
                                                {"rings", "a", "--pid", "3"},
                                                {"rings", "--qmp", "a", "--pid", "0"}})
    EXPECT_TRUE(std::holds_alternative<tools::EarlyExit>(parse_options(wrong))) << wrong.back();
}

// ---- published

ConnectionFacts example(const RingFile& file) {
  struct stat status {};
  ::fstat(file.fd(), &status);
  ConnectionFacts facts;
  facts.connection = 3;
  facts.name = "qemu (1)";
  facts.features = {protocol::VirtioFeature::event_idx};
  facts.regions = {{{0x1000, RingFile::bytes, ring_file_address, 0}, file.fd(), status.st_dev, status.st_ino},
                   {{~std::uint64_t{0}, 1, 2, 3}, -1, 0, 0}};
  facts.rings = {{0, {}, {}, false, false, {}, {}}, {1, 256, file.addresses(), true, true, RingCounts{4, 5}, {}}};
  return facts;
}

TEST(Published, ComesBackAsItWas) {
  const RingFile file;
  auto other = example(file);
  other.connection = 4;
  other.guest_addresses = true;
  other.network = false;
  const std::vector<ConnectionFacts> all{example(file), other};
  const auto read = connections_of(document_of(all));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, all);
  EXPECT_TRUE(connections_of(document_of({}))->empty());
}

TEST(Published, IsRefusedWhereItIsDamaged) {
  const RingFile file;
  const Json whole = Json::parse(document_of({example(file)}));
  EXPECT_TRUE(connections_of(whole.dump()));
  const auto damaged = [&whole](const char* pointer, const Json& value) {
    Json document = whole;
    document[Json::json_pointer(pointer)] = value;
    return document.dump();
  };
  const auto long_list = [](std::size_t count) { return Json(std::vector<Json>(count, Json::object())); };
  for (const std::string& document : {std::string(),
                                      std::string("[]"),
                                      std::string("null"),
                                      std::string(100000, '['),
                                      document_of({example(file)}).substr(0, 100),
                                      damaged("/format", "else"),
                                      damaged("/version", 2),
                                      damaged("/version", "1"),
                                      damaged("/connections", 1),
                                      damaged("/connections", long_list(1025)),
                                      damaged("/connections/0", 7),
                                      damaged("/connections/0/connection", -1),
                                      damaged("/connections/0/connection", 1ULL << 32),
                                      damaged("/connections/0/name", nullptr),
                                      damaged("/connections/0/features", 1.5),
                                      damaged("/connections/0/guest_addresses", 1),
                                      damaged("/connections/0/regions", long_list(1025)),
                                      damaged("/connections/0/regions/0/fd", -2),
                                      damaged("/connections/0/regions/0/fd", 1ULL << 31),
                                      damaged("/connections/0/regions/0/size", "1"),
                                      damaged("/connections/0/rings", long_list(257)),
                                      damaged("/connections/0/rings/1/size", -1),
                                      damaged("/connections/0/rings/1/addresses", Json::object()),
                                      damaged("/connections/0/rings/1/counts/kicks", {}),
                                      damaged("/connections/0/rings/1/enabled", "yes")})
    EXPECT_FALSE(connections_of(document)) << document.substr(0, 200);
}

TEST(Published, IsFoundAndReadThroughProc) {
  RingFile file;
  file.available(9).used(4);
  const auto before = open_fds();
  {
    Publisher publisher;
    EXPECT_EQ(read_published(::getpid()).error().code, ErrorCode::unsupported);
    ASSERT_TRUE(publisher.publish({example(file)}));
    ASSERT_TRUE(publisher.publish({example(file)}));
    EXPECT_EQ(open_fds(), before + 1) << "one memfd, whatever was published before";
    const auto read = read_published(::getpid());
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_EQ(read->size(), 1U);
    const PublishedMemory memory(::getpid(), read->front());
    EXPECT_EQ(sample_ring(memory, *place_of(read->front(), read->front().rings[1])).in_flight, 5U);
    ASSERT_TRUE(publisher.publish({}));
    EXPECT_TRUE(read_published(::getpid())->empty());
  }
  EXPECT_EQ(open_fds(), before);
  EXPECT_EQ(read_published(::getpid()).error().code, ErrorCode::unsupported);
  EXPECT_EQ(read_published(INT_MAX).error().system_errno, ESRCH);
}

TEST(Published, IsSealed) {
  Publisher publisher;
  ASSERT_TRUE(publisher.publish({}));
  const auto fds = descriptors_of(::getpid());
  int published = -1;
  for (const auto& each : *fds)
    if (each.target == "/memfd:vhostx-probe-rings (deleted)") published = each.fd;
  ASSERT_GE(published, 0);
  EXPECT_EQ(::write(published, "x", 1), -1);
  EXPECT_EQ(::ftruncate(published, 0), -1);
}

TEST(Published, IsNoGuestMemoryOfThatName) {
  const UniqueFd memory(::memfd_create(published_name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const std::string document = document_of({});
  ASSERT_GT(::write(memory.get(), document.data(), document.size()), 0);
  const auto read = read_published(::getpid());
  ASSERT_FALSE(read) << "not sealed";
  EXPECT_EQ(read.error().code, ErrorCode::unsupported);
}

TEST(Published, MemoryThatIsAnotherFileByNowIsNotRead) {
  RingFile file, other;
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]), writer(ends[1]);
  auto facts = example(file);
  for (const int fd : {other.fd(), reader.get(), INT_MAX, -1}) {
    facts.regions[0].fd = fd;
    const PublishedMemory memory(::getpid(), facts);
    EXPECT_FALSE(memory.load<std::uint16_t>(ring_file_address)) << fd;
  }
}

TEST(RelaySource, SaysWhatToDoWithoutARelay) {
  const auto source = open_relay(std::to_string(::getpid()));
  ASSERT_TRUE(source);
  RingWatch watch;
  const auto refreshed = (*source)->refresh(watch, [] {});
  ASSERT_FALSE(refreshed);
  EXPECT_NE(refreshed.error().message.find("vhostx-probe trace"), std::string::npos);
  EXPECT_NE(refreshed.error().message.find("--qmp"), std::string::npos);
  EXPECT_NE(refreshed.error().message.find(std::to_string(::getpid())), std::string::npos);
}

// ---- sockets

/// A listening socket with a path of its own.
class Listener {
 public:
  Listener() : path_("/tmp/vhostx-probe-" + std::to_string(::getpid()) + ".sock") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink(path_.c_str());
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::listen(fd_.get(), 1))
      throw std::runtime_error("bind");
  }
  ~Listener() { ::unlink(path_.c_str()); }
  const std::string& path() const noexcept { return path_; }
  int fd() const noexcept { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

TEST(RelaySource, IsFoundByItsSocket) {
  const Listener listener;
  const auto pid = find_listener(listener.path());
  ASSERT_TRUE(pid) << pid.error().message;
  EXPECT_EQ(*pid, ::getpid());
  RingFile file;
  Publisher publisher;
  ASSERT_TRUE(publisher.publish({example(file)}));
  const auto source = open_relay(listener.path());
  ASSERT_TRUE(source);
  RingWatch watch;
  ASSERT_TRUE((*source)->refresh(watch, [] {}));
  EXPECT_EQ(watch.sample(1s).size(), 2U);
  ASSERT_TRUE(publisher.publish({}));
  ASSERT_TRUE((*source)->refresh(watch, [] {}));
  EXPECT_TRUE(watch.sample(2s).empty());
  EXPECT_EQ(find_listener("/nowhere").error().message, "nobody listens there");
}

// ---- QMP

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
