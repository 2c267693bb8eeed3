// SPDX-License-Identifier: BSD-3-Clause
// vhostx-probe's parts: command line, /proc/net/unix, and back-ends that answer well, badly, or not at all.
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <sys/un.h>

#include "protocol/codec.hpp"
#include "tools/probe/options.hpp"
#include "tools/probe/query/query.hpp"
#include "tools/probe/query/query_report.hpp"
#include "tools/probe/socket_users.hpp"

namespace vhostx::test {
namespace {

using namespace protocol;
using namespace tools::probe;
using tools::EarlyExit;
using tools::FrontEnd;

TEST(ProbeOptions, AreRead) {
  const auto parsed = parse_options({"query", "/tmp/a", "--json", "--force", "--timeout", "0.5"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed));
  const auto& options = std::get<QueryOptions>(std::get<Options>(parsed));
  EXPECT_EQ(options.path, "/tmp/a");
  EXPECT_TRUE(options.json);
  EXPECT_TRUE(options.force);
  EXPECT_EQ(options.timeout.count(), 500);
}

TEST(ProbeOptions, AreRefusedWithALine) {
  for (const std::vector<std::string>& wrong :
       {std::vector<std::string>{}, {"query"}, {"ask", "/tmp/a"}, {"query", "/tmp/a", "--timeout", "-1"}}) {
    const auto parsed = parse_options(wrong);
    ASSERT_TRUE(std::holds_alternative<EarlyExit>(parsed));
    EXPECT_EQ(std::get<EarlyExit>(parsed).code, 2);
    EXPECT_EQ(std::get<EarlyExit>(parsed).text.rfind("vhostx-probe: ", 0), 0U);
  }
  const auto help = std::get<EarlyExit>(parse_options({"query", "--help"}));
  EXPECT_EQ(help.code, 0);
  EXPECT_NE(help.text.find("vhostx-probe query /tmp/vm0.sock"), std::string::npos);
}

constexpr const char* table = R"(Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 20001 /tmp/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 20002 /tmp/a b.sock
0000000000000000: 00000003 00000000 00000000 0001 03 20003
0000000000000000: 00000002 00000000 00010000 0001 01 20004 /tmp/other
0000000000000000: 00000003 00000000 00000000 0001 02 20005 /tmp/other
rubbish
)";

TEST(SocketUsers, AreCountedByPath) {
  const auto users = [](const char* path) {
    std::istringstream text(table);
    return count_users(text, path);
  };
  EXPECT_TRUE(users("/tmp/a b.sock").listening);
  EXPECT_EQ(users("/tmp/a b.sock").connected, 1U);
  EXPECT_TRUE(users("/tmp/other").listening);
  EXPECT_EQ(users("/tmp/other").connected, 0U) << "connecting, not connected";
  EXPECT_FALSE(users("/tmp/nobody").listening);
}

// One that has left is no reason to refuse, as soon as the back-end has closed its end; one that stays is.
TEST(SocketUsers, MayLeave) {
  std::string folder = "/tmp/vhostx-XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string path = folder + "/socket";
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const auto* const at = reinterpret_cast<const sockaddr*>(&address);
  const UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(listener.get(), at, sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  UniqueFd front_end(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::connect(front_end.get(), at, sizeof address), 0);
  UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));

  EXPECT_TRUE(in_use(path, std::chrono::milliseconds(20)));
  front_end = UniqueFd();
  EXPECT_TRUE(in_use(path, std::chrono::milliseconds(0))) << "still seen: else there is nothing to wait for";
  std::thread back_end([&accepted] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    accepted = UniqueFd();
  });
  EXPECT_FALSE(in_use(path, std::chrono::minutes(1)));
  back_end.join();
  ::unlink(path.c_str());
  ::rmdir(folder.c_str());
}

/// A back-end in a thread that does to its end of the connection what it is told.
class BackEndThread {
 public:
  explicit BackEndThread(std::function<void(int)> act) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) throw std::runtime_error("socketpair");
    front_end_ = UniqueFd(ends[0]);
    thread_ = std::thread([end = ends[1], act = std::move(act)] {
      const UniqueFd own(end);
      act(end);
    });
  }
  ~BackEndThread() { thread_.join(); }
  FrontEnd connect() { return FrontEnd(std::move(front_end_), std::chrono::seconds(20)); }

 private:
  UniqueFd front_end_;
  std::thread thread_;
};

/// Answers each question with this number, until the front-end leaves; GET_CONFIG as `config` says.
void answer_all(int socket, std::uint64_t value, std::span<const std::byte> config) {
  std::array<std::byte, message_header_bytes> bytes;
  while (::recv(socket, bytes.data(), bytes.size(), MSG_WAITALL) == static_cast<ssize_t>(bytes.size())) {
    Header header = decode_header(bytes);
    std::vector<std::byte> payload(header.size);
    if (!payload.empty()) ::recv(socket, payload.data(), payload.size(), MSG_WAITALL);
    const auto request = static_cast<FrontEndRequest>(header.request);
    if (request == FrontEndRequest::set_protocol_features) continue;
    const bool asks_config = request == FrontEndRequest::get_config;
    const auto answer = asks_config ? config : std::as_bytes(std::span(&value, 1));
    header.flags = Header::version_1 | Header::reply;
    header.size = static_cast<std::uint32_t>(answer.size());
    const auto out = encode_header(header);
    ::send(socket, out.data(), out.size(), MSG_NOSIGNAL);
    ::send(socket, answer.data(), answer.size(), MSG_NOSIGNAL);
  }
}

/// What is known of a back-end that answers so.
Result<BackEndFacts> ask(std::uint64_t value, std::span<const std::byte> config) {
  BackEndThread back_end([=](int socket) { answer_all(socket, value, config); });
  auto front_end = back_end.connect();
  auto facts = query(front_end);
  front_end.disconnect();
  return facts;
}

TEST(Query, ReadsEverything) {
  std::array<std::byte, 24> config{};
  config[4] = std::byte{12};
  config[12] = std::byte{0x52};
  config[20] = std::byte{7};
  config[22] = std::byte{0xdc};
  config[23] = std::byte{0x05};
  const auto facts = ask(~std::uint64_t{0}, config);
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->queue_pairs.value, ~std::uint64_t{0});
  ASSERT_TRUE(facts->config.value) << facts->config.problem;
  EXPECT_EQ(facts->config.value->as_net().mac[0], 0x52);
  EXPECT_EQ(facts->config.value->as_net().queue_pairs_max, 7);
  EXPECT_EQ(facts->config.value->as_net().mtu, 1500);
  const auto json = nlohmann::json::parse(json_of("/tmp/a\xff", *facts));
  EXPECT_EQ(json["features"]["bits"], "0xffffffffffffffff");
  EXPECT_EQ(json["features"]["unknown"][0], 4);
  EXPECT_EQ(json["config"]["mac"], "52:00:00:00:00:00");
  const std::string text = text_of("/tmp/a", *facts);
  EXPECT_NE(text.find("   0  VIRTIO_NET_F_CSUM"), std::string::npos) << text;
  EXPECT_NE(text.find("   4  unknown"), std::string::npos);
  EXPECT_NE(text.find("bit 21 is GPA_ADDRESSES"), std::string::npos);
}

// A disk: CONFIG and bits that mean something else there.
TEST(Query, GivesBitsOfOtherDevicesNoNames) {
  const std::uint64_t bits = FeatureSet{VirtioFeature::vhost_user_protocol_features, VirtioFeature::version_1}.bits() |
                             ProtocolFeatureSet{ProtocolFeature::config}.bits() | std::uint64_t{1} << 5 |
                             std::uint64_t{1} << 14;
  std::array<std::byte, 24> config{};
  config[4] = std::byte{12};
  config[12] = std::byte{0x80};
  const auto facts = ask(bits, config);
  ASSERT_TRUE(facts);
  EXPECT_FALSE(facts->net);
  const std::string text = text_of("/tmp/a", *facts);
  EXPECT_EQ(text.find("VIRTIO_NET_F"), std::string::npos) << text;
  EXPECT_EQ(text.find("MAC"), std::string::npos) << text;
  EXPECT_NE(text.find("  14  unknown"), std::string::npos) << text;
  EXPECT_NE(text.find("VIRTIO_F_VERSION_1"), std::string::npos) << text;
  EXPECT_NE(text.find("config space    80000000"), std::string::npos) << text;
  const auto json = nlohmann::json::parse(json_of("/tmp/a", *facts));
  EXPECT_EQ(json["device"], "other");
  EXPECT_EQ(json["config"]["bytes"], "800000000000000000000000");
}

TEST(Query, DoesNotAskWhatIsNotOffered) {
  const auto facts = ask(1, {});
  ASSERT_TRUE(facts);
  EXPECT_FALSE(facts->protocol_features.asked);
  EXPECT_FALSE(facts->config.asked);
  EXPECT_NE(text_of("/tmp/a", *facts).find("config space    not offered"), std::string::npos);
  EXPECT_TRUE(nlohmann::json::parse(json_of("/tmp/a", *facts))["protocol_features"].is_null());
}

TEST(Query, SaysWhichQuestionFailed) {
  const auto facts = ask(~std::uint64_t{0}, {});  // GET_CONFIG: too short
  ASSERT_TRUE(facts);
  EXPECT_TRUE(facts->status.value);
  EXPECT_FALSE(facts->config.value);
  EXPECT_NE(facts->config.problem, "");
  EXPECT_EQ(nlohmann::json::parse(json_of("/tmp/a", *facts))["problems"]["config"], facts->config.problem);
}

TEST(Query, SurvivesRubbishAndAnEnd) {
  BackEndThread rubbish([](int socket) {
    std::array<std::uint8_t, 64> bytes;
    bytes.fill(0xa5);
    ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::recv(socket, bytes.data(), 12, MSG_WAITALL);
  });
  auto front_end = rubbish.connect();
  const auto facts = query(front_end);
  ASSERT_FALSE(facts);
  EXPECT_EQ(facts.error().code, ErrorCode::protocol_violation);

  BackEndThread leaving([](int socket) {
    std::array<std::uint8_t, 12> bytes;
    ::recv(socket, bytes.data(), bytes.size(), MSG_WAITALL);
  });
  auto other = leaving.connect();
  const auto none = query(other);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "the back-end closed the connection");
}

TEST(Conflicts, AreFound) {
  using P = ProtocolFeature;
  EXPECT_TRUE(find_conflicts({VirtioFeature::net_mtu}, {P::mq, P::mtu, P::reply_ack}).empty());
  EXPECT_EQ(find_conflicts({}, {P::mtu}).size(), 1U);
  EXPECT_EQ(find_conflicts({}, {P::inband_notifications, P::reply_ack}).size(), 1U);
  EXPECT_EQ(find_conflicts({}, {P::backend_send_fd}).size(), 1U);
  EXPECT_EQ(find_conflicts({}, {P::get_vring_base_inflight}).size(), 1U);
  EXPECT_EQ(find_conflicts({}, {P::get_vring_base_inflight, P::inflight_shmfd}).size(), 0U);
  EXPECT_EQ(find_conflicts({}, {P::get_vring_base_skip_drain, P::inflight_shmfd}).size(), 1U);
  EXPECT_EQ(find_conflicts({}, {P::pagefault, P::configure_mem_slots}).size(), 1U);
  EXPECT_EQ(find_conflicts({}, {P::pagefault}).size(), 0U);
  EXPECT_EQ(find_conflicts({}, {P::gpa_addresses}).size(), 1U) << "its number has meant something else";
}

}  // namespace
}  // namespace vhostx::test
