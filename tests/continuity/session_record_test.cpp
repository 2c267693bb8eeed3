// SPDX-License-Identifier: BSD-3-Clause
// SessionRecord: what one process wrote, another reads; and whatever else is there is refused.
#include "continuity/session_record.hpp"

#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace vhostx::continuity {
namespace {

constexpr RecordLimits limits{.rings = 4, .regions = 3};

SessionState some_state(std::uint32_t seed) {
  SessionState state;
  state.features = seed;
  state.features_set = 1;
  state.log_bytes = 4096 + seed;
  state.back_end_socket = seed;
  state.own_inflight = 2 * seed;
  state.inflight = {seed, 64, 2, 256, 3 * seed};
  state.rings.resize(4);
  state.rings[seed % 4].size = 256;
  state.rings[seed % 4].kick = seed + 1;
  state.regions.resize(seed % 4, RegionState{{seed, 1, 2, 3}, seed, 1});
  return state;
}

UniqueFd another_fd(const SessionRecord& record) { return UniqueFd(::fcntl(record.fd(), F_DUPFD_CLOEXEC, 0)); }

TEST(SessionRecord, AnotherProcessReadsWhatWasWrittenLast) {
  auto record = SessionRecord::create(limits);
  ASSERT_TRUE(record);
  const auto other = SessionRecord::adopt(another_fd(*record), limits);
  ASSERT_TRUE(other) << other.error().message;
  ASSERT_TRUE(other->read());
  EXPECT_EQ(other->read()->features_set, 0U);
  for (std::uint32_t seed = 1; seed < 20; ++seed) {
    ASSERT_TRUE(record->write(some_state(seed)));
    EXPECT_EQ(*other->read(), some_state(seed));
  }
}

TEST(SessionRecord, AMessageInWorkIsRefused) {
  auto record = SessionRecord::create(limits);
  record->begin_message();
  ASSERT_TRUE(record->write(some_state(1)));
  EXPECT_NE(record->read().error().message.find("in the midst of a message"), std::string::npos);
  record->end_message();
  EXPECT_TRUE(record->read());
}

std::vector<std::byte> copy_of(const SessionRecord& record) {
  std::vector<std::byte> copy(SessionRecord::bytes_most());
  const ssize_t got = ::pread(record.fd(), copy.data(), copy.size(), 0);
  copy.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
  return copy;
}

TEST(SessionRecord, ACopyIsReadWithoutKnowingItsLimits) {
  auto record = SessionRecord::create(limits);
  ASSERT_TRUE(record->write(some_state(2)));
  const auto seen = SessionRecord::read_copy(copy_of(*record));
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_EQ(seen->state, some_state(2));
  EXPECT_EQ(seen->limits, limits);
  EXPECT_FALSE(seen->has_message);
}

TEST(SessionRecord, ACopyShowsWhatWasBeforeTheMessageInWork) {
  auto record = SessionRecord::create(limits);
  ASSERT_TRUE(record->write(some_state(2)));
  record->begin_answer();
  const auto seen = SessionRecord::read_copy(copy_of(*record));
  ASSERT_TRUE(seen) << seen.error().message;
  EXPECT_TRUE(seen->has_message);
  EXPECT_EQ(seen->state, some_state(2));
}

TEST(SessionRecord, TheLargestRecordIsCopiedWhole) {
  const auto record = SessionRecord::create({.rings = 256, .regions = 4096});
  EXPECT_EQ(copy_of(*record).size(), SessionRecord::bytes_most());
  EXPECT_TRUE(SessionRecord::read_copy(copy_of(*record)));
}

TEST(SessionRecord, ACopyThatIsNotWholeOrDamagedIsRefused) {
  auto record = SessionRecord::create(limits);
  ASSERT_TRUE(record->write(some_state(3)));
  const auto whole = copy_of(*record);
  for (std::size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(SessionRecord::read_copy(std::span(whole).first(length))) << length;
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const unsigned pattern : {0x01U, 0x80U, 0xffU}) {
      auto damaged = whole;
      damaged[at] ^= static_cast<std::byte>(pattern);
      const auto seen = SessionRecord::read_copy(damaged);
      if (!seen) continue;
      EXPECT_TRUE(seen->state == some_state(3) || seen->state.features_set == 0) << "byte " << at << ": neither half";
      EXPECT_EQ(seen->limits, limits) << at;
    }
  auto longer = whole;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(SessionRecord::read_copy(longer));
}

TEST(SessionRecord, NothingIsRepeatedWithoutABound) {
  auto record = SessionRecord::create(limits);
  for (const std::uint32_t additions : {0U, 129U, UINT32_MAX}) {
    SessionState state = some_state(1);
    state.regions[0].additions = additions;
    ASSERT_TRUE(record->write(state));
    EXPECT_NE(record->read().error().message.find("times: expected 1 to 128"), std::string::npos) << additions;
  }
}

TEST(SessionRecord, ThereIsRoomForWhatWasSaid) {
  auto record = SessionRecord::create(limits);
  SessionState large = some_state(1);
  large.regions.resize(4);
  EXPECT_EQ(record->write(large).error().code, ErrorCode::limit);
  EXPECT_EQ(record->read()->features_set, 0U) << "the one before is shown";
  EXPECT_FALSE(SessionRecord::create({.rings = 0, .regions = 1}));
  EXPECT_FALSE(SessionRecord::create({.rings = 257, .regions = 1}));
}

TEST(SessionRecord, AnotherPortsRecordIsRefused) {
  auto record = SessionRecord::create(limits);
  const auto other = SessionRecord::adopt(another_fd(*record), {.rings = 2, .regions = 3});
  EXPECT_NE(other.error().message.find("bytes, expected"), std::string::npos) << other.error().message;
  UniqueFd loose(::memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_NE(SessionRecord::adopt(std::move(loose), limits).error().message.find("not sealed"), std::string::npos);
}

/// A byte that is damaged anywhere in what is in use is noticed.
TEST(SessionRecord, DamageIsNoticed) {
  auto record = SessionRecord::create(limits);
  ASSERT_TRUE(record->write(some_state(3)));
  struct stat facts {};
  ASSERT_EQ(::fstat(record->fd(), &facts), 0);
  const auto size = static_cast<std::size_t>(facts.st_size);
  auto* const view =
      static_cast<unsigned char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, record->fd(), 0));
  ASSERT_NE(view, MAP_FAILED);
  unsigned noticed = 0;
  for (std::size_t at = 0; at < size; ++at)
    for (const auto bit : std::initializer_list<unsigned char>{0x01, 0x80}) {
      view[at] = static_cast<unsigned char>(view[at] ^ bit);
      const auto read = record->read();
      if (!read)
        ++noticed;
      else
        EXPECT_TRUE(*read == some_state(3) || read->features_set == 0) << "byte " << at << ": neither half";
      view[at] = static_cast<unsigned char>(view[at] ^ bit);
    }
  EXPECT_GT(noticed, size / 2) << "two bits a byte, in the half that is in use";
  EXPECT_EQ(*record->read(), some_state(3));
  ::munmap(view, size);
}

}  // namespace
}  // namespace vhostx::continuity
