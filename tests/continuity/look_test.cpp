// SPDX-License-Identifier: BSD-3-Clause
// Clients that look at what they do not own: they get copies of a port's own records, and nothing else.
#include <array>
#include <cstring>
#include <fcntl.h>
#include <numeric>
#include <unistd.h>

#include <sys/mman.h>

#include "base/event_fd.hpp"
#include "continuity/packet_socket.hpp"
#include "continuity/session_state.hpp"
#include "keeper_fixture.hpp"

namespace vhostx::continuity {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::size_t plenty = 1 << 20;

UniqueFd sealed_file(const Bytes& bytes) {
  UniqueFd file(::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
  return file;
}

Bytes numbered(std::size_t count) {
  Bytes bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i % 251);
  return bytes;
}

class LookTest : public KeeperTest {
 protected:
  LookTest() : keeper_(options()), owner_(client()) { EXPECT_TRUE(owner_.claim("port", ClaimHow::now).ok()); }

  void hold(std::uint32_t slot, int fd) {
    ASSERT_TRUE(owner_.hold("port", slot, fd).ok());
    settle(owner_);
  }
  std::string refusal(std::uint32_t slot, const std::string& name = "port") const {
    const auto seen = client().look(name, slot, 0, plenty);
    if (seen) return "";
    EXPECT_EQ(seen.error().code, ErrorCode::invalid_argument);
    return seen.error().message;
  }

  KeeperThread keeper_;
  KeeperClient owner_;
};

TEST_F(LookTest, AnybodySeesAFileOfAnySize) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, shown_bytes_max, 3 * shown_bytes_max + 7}) {
    hold(record_slot, sealed_file(numbered(size)).get());
    auto other = client();
    const auto seen = other.look("port", record_slot, 0, plenty);
    ASSERT_TRUE(seen.ok()) << seen.error().message;
    EXPECT_EQ(*seen, numbered(size));
    EXPECT_FALSE(*other.next_event());
  }
}

TEST_F(LookTest, APartIsSeenAsAskedFor) {
  const auto all = numbered(2 * shown_bytes_max);
  hold(own_inflight_slot, sealed_file(all).get());
  auto other = client();
  EXPECT_EQ(*other.look("port", own_inflight_slot, 100, 16), Bytes(all.begin() + 100, all.begin() + 116));
  EXPECT_EQ(*other.look("port", own_inflight_slot, all.size() - 3, 16), Bytes(all.end() - 3, all.end()));
  for (const std::uint64_t offset : {std::uint64_t{all.size()}, UINT64_MAX / 2, UINT64_MAX})
    EXPECT_TRUE(other.look("port", own_inflight_slot, offset, 16)->empty()) << offset;
  EXPECT_TRUE(other.look("port", own_inflight_slot, 0, 0)->empty());
}

TEST_F(LookTest, TheOwnerAndWhoComesAfterItLookToo) {
  hold(record_slot, sealed_file(numbered(9)).get());
  EXPECT_EQ(*owner_.look("port", record_slot, 0, plenty), numbered(9));
  ASSERT_TRUE(owner_.release("port").ok());
  settle(owner_);
  EXPECT_EQ(*client().look("port", record_slot, 0, plenty), numbered(9));
  EXPECT_EQ(client().claim("port", ClaimHow::now)->size(), 1u) << "looking is not owning";
}

TEST_F(LookTest, OnlySealedMemoryIsShown) {
  const auto [one, two] = socket_pair();
  const auto event = EventFd::create().value();
  const UniqueFd folder(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd zero(::open("/dev/zero", O_RDWR | O_CLOEXEC));
  const UniqueFd program(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  const UniqueFd path(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const UniqueFd pipe(ends[0]);
  const UniqueFd other_end(ends[1]);
  const auto loose = memory_file();
  for (const int fd :
       {one.get(), event.get(), folder.get(), zero.get(), program.get(), path.get(), pipe.get(), loose.get()}) {
    hold(record_slot, fd);
    EXPECT_EQ(refusal(record_slot), "slot 1 has no memory file that is sealed against shrinking") << fd;
  }
  EXPECT_EQ(refusal(own_inflight_slot), "slot 4 has no memory file that is sealed against shrinking") << "it is empty";
}

TEST_F(LookTest, NothingElseIsShown) {
  for (const std::uint32_t slot : {front_end_slot, 2U, 5U, 6U, first_message_slot, 4711U, UINT32_MAX}) {
    hold(slot, sealed_file(numbered(9)).get());
    EXPECT_EQ(refusal(slot), "slot " + std::to_string(slot) + " is not shown, expected 1 or 4");
  }
}

TEST_F(LookTest, ABundleThatIsNotThereIsNotMade) {
  EXPECT_EQ(refusal(record_slot, "other"), "there is no such bundle");
  EXPECT_EQ(owner_.list()->size(), 1u);
}

TEST_F(LookTest, AFileThatCannotBeReadIsRefused) {
  const auto file = sealed_file(numbered(9));
  const std::string link = "/proc/self/fd/" + std::to_string(file.get());
  const UniqueFd write_only(::open(link.c_str(), O_WRONLY | O_CLOEXEC));
  hold(record_slot, write_only.get());
  const auto seen = client().look("port", record_slot, 0, plenty);
  ASSERT_FALSE(seen.ok());
  EXPECT_EQ(seen.error().message, "reading its file: Bad file descriptor");
}

TEST_F(LookTest, NoDescriptorIsGivenOrLeft) {
  hold(record_slot, sealed_file(numbered(20000)).get());
  auto other = client();
  const auto before = open_descriptors();
  for (int round = 0; round < 500; ++round) ASSERT_EQ(other.look("port", record_slot, 0, plenty)->size(), 20000u);
  expect_open_descriptors(before);
}

TEST_F(LookTest, WhoNeverReadsItsAnswersHoldsUpNobody) {
  hold(record_slot, sealed_file(numbered(shown_bytes_max)).get());
  std::vector<UniqueFd> lookers;
  for (int i = 0; i < 8; ++i) {
    lookers.push_back(make_packet_socket().value());
    ASSERT_EQ(connect_to_path(lookers.back().get(), path_), 0);
    const auto say = [&](const Request& request) {
      return send_packet(lookers.back().get(), encode(Tagged<Request>{1, request}), {});
    };
    ASSERT_EQ(say(Hello{}), 0);
    while (say(Look{"port", record_slot, 0}) == 0) {
    }
  }
  EXPECT_EQ(client().look("port", record_slot, 0, plenty)->size(), shown_bytes_max);
  const auto file = sealed_file(numbered(3));
  hold(record_slot, file.get());
  EXPECT_EQ(client().look("port", record_slot, 0, plenty)->size(), 3u);
}

}  // namespace
}  // namespace vhostx::continuity
