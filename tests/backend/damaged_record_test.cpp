// SPDX-License-Identifier: BSD-3-Clause
// What a keeper holds of a port is damaged, byte by byte: the next back-end refuses it and says why, or what it adopts
// has passed all checks. Either way it serves the next front-end.
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "continuity/session_record.hpp"
#include "tests/backend/traffic.hpp"
#include "tests/backend/vault.hpp"

namespace vhostx::test {
namespace {

using continuity::SessionRecord;
using continuity::SessionState;

constexpr continuity::Slot record_slot = 1;
constexpr std::array<std::uint8_t, 3> patterns{0x01, 0x80, 0xff};

/// A file as its bytes.
class View {
 public:
  explicit View(const UniqueFd& file) {
    struct stat facts {};
    EXPECT_EQ(::fstat(file.get(), &facts), 0);
    size_ = static_cast<std::size_t>(facts.st_size);
    void* const mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (mapped == MAP_FAILED) throw std::runtime_error("mmap");
    bytes_ = static_cast<std::uint8_t*>(mapped);
  }
  ~View() { ::munmap(bytes_, size_); }
  View(const View&) = delete;
  View& operator=(const View&) = delete;
  std::uint8_t& operator[](std::size_t at) { return bytes_[at]; }
  std::size_t size() const { return size_; }

 private:
  std::uint8_t* bytes_;
  std::size_t size_;
};

class DamagedRecord : public ::testing::Test {
 protected:
  DamagedRecord() : listener_(must(tools::FrontEnd::listen(folder_.path("port")))) {
    options_.listen_fd = listener_.get();
    options_.memory_slots_max = 8;  // a short record
    start();
    connect();
  }

  void start() { life_ = std::make_unique<Life>(vault_, options_); }
  /// The back-end ends and leaves its connection with the keeper.
  void end() { life_.reset(); }
  void connect() {
    machine_ = std::make_unique<FakeMachine>(folder_.path("port"), 2,
                                             std::vector<FakeGuest::Region>{{0x4000'0000, std::size_t{8} << 20}});
    machine_->bring_up();
    while (life_->events.until<FrontEndConnected>().adopted) {  // one that was refused later
    }
    for (int i = 0; i < 2; ++i) life_->events.until<VringStarted>();
  }

  /// True: the connection goes on. The log has the reason otherwise.
  bool is_adopted() {
    if (machine_->front_end().peer_is_gone()) {
      const std::string log = life_->logged();
      EXPECT_TRUE(log.find("is closed: ") != std::string::npos || log.find("cannot go on: ") != std::string::npos)
          << "no reason: " << log;
      return false;
    }
    return true;
  }
  void expect_traffic() {
    transmit(*machine_);
    EXPECT_EQ(take_burst(life_->port->from_guest()), 1);
    EXPECT_EQ(machine_->ring(1).driver.reap().size(), 1U);
  }

  continuity::RecordLimits limits() const { return {2, options_.memory_slots_max}; }
  SessionRecord record() { return must(SessionRecord::adopt(vault_.file(record_slot), limits())); }

  TemporaryFolder folder_;
  UniqueFd listener_;
  PortOptions options_;
  Vault vault_;
  std::unique_ptr<Life> life_;
  std::unique_ptr<FakeMachine> machine_;
};

TEST_F(DamagedRecord, InEachByte) {
  const std::size_t bytes = View(vault_.file(record_slot)).size();
  std::size_t refused = 0;
  for (std::size_t at = 0; at < bytes; ++at)
    for (const std::uint8_t pattern : patterns) {
      SCOPED_TRACE("byte " + std::to_string(at) + " changed by " + std::to_string(pattern));
      end();
      View(vault_.file(record_slot))[at] ^= pattern;
      start();
      if (!is_adopted()) {
        ++refused;
        connect();
      } else {
        expect_traffic();
      }
      ASSERT_FALSE(HasFailure());
    }
  EXPECT_GT(refused, std::size_t{64}) << "the header, and what is in use of a half";
}

TEST_F(DamagedRecord, IsReplacedSoThatTheNextConnectionGoesOn) {
  for (const std::size_t at : {std::size_t{0}, std::size_t{8}}) {  // its version, and how many rings it is for
    end();
    View(vault_.file(record_slot))[at] ^= 1;
    start();
    EXPECT_FALSE(is_adopted()) << at;
    connect();
    end();
    start();
    EXPECT_TRUE(is_adopted()) << at;
    expect_traffic();
  }
}

/// Parts of a state, as bytes.
std::vector<std::span<std::uint8_t>> parts_of(SessionState& state) {
  std::vector<std::span<std::uint8_t>> parts;
  const auto add = [&parts](auto& part) { parts.emplace_back(reinterpret_cast<std::uint8_t*>(&part), sizeof part); };
  add(state.features);
  add(state.protocol_features);
  add(state.features_set);
  add(state.protocol_features_set);
  add(state.status);
  add(state.mtu);
  add(state.log_bytes);
  add(state.log_offset);
  add(state.log);
  add(state.log_signal);
  add(state.back_end_socket);
  for (auto& region : state.regions) add(region);
  for (auto& ring : state.rings) add(ring);
  return parts;
}

/// With the right sum: by somebody who may write it.
TEST_F(DamagedRecord, InEachByteThatIsForged) {
  SessionState any = must(record().read());
  std::size_t adopted = 0;
  for (std::size_t part = 0; part < parts_of(any).size(); ++part)
    for (std::size_t at = 0; at < parts_of(any)[part].size(); ++at)
      for (const std::uint8_t pattern : patterns) {
        SCOPED_TRACE("byte " + std::to_string(at) + " of part " + std::to_string(part) + " changed by " +
                     std::to_string(pattern));
        end();
        SessionState state = must(record().read());
        parts_of(state)[part][at] ^= pattern;
        must(record().write(state));
        start();
        if (is_adopted()) {
          ++adopted;
          take_burst(life_->port->from_guest());  // whatever its rings are now
          machine_->front_end().disconnect();
          life_->events.until<FrontEndDisconnected>();
        }
        connect();
        expect_traffic();
        ASSERT_FALSE(HasFailure());
      }
  EXPECT_GT(adopted, 0U) << "a counter of a ring, for instance";
}

}  // namespace
}  // namespace vhostx::test
