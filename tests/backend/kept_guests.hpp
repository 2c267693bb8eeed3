// SPDX-License-Identifier: BSD-3-Clause
// Guests whose back-end is cut off at any instant of a burst, and whose connections a next one adopts.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/backend/traffic.hpp"
#include "tests/backend/vault.hpp"
#include "tests/support/inflight_file.hpp"
#include "virtqueue/any_layout.hpp"
#include "virtqueue/inflight_area.hpp"

namespace vhostx::test {

using Frame = std::vector<std::uint8_t>;

/// Frame `number` of a test: no two are equal, nor parts of them.
Frame numbered_frame(int number, std::size_t bytes);

/// From `first` on, `count` of them.
std::vector<int> numbers(int first, int count);

inline constexpr protocol::FeatureSet without_mergeable{protocol::VirtioFeature::version_1,
                                                        protocol::VirtioFeature::indirect_desc};
inline constexpr protocol::FeatureSet with_event_idx{
    protocol::VirtioFeature::version_1, protocol::VirtioFeature::net_mrg_rxbuf, protocol::VirtioFeature::event_idx};
inline constexpr protocol::FeatureSet with_event_idx_and_indirect{
    protocol::VirtioFeature::version_1, protocol::VirtioFeature::net_mrg_rxbuf, protocol::VirtioFeature::event_idx,
    protocol::VirtioFeature::indirect_desc};

/// How a guest lays out what it posts, and what it has negotiated.
struct GuestShape {
  std::string name;
  protocol::FeatureSet features = usual_features;
  int packets = 4;                  ///< Of the burst that is cut off. At most 32.
  std::size_t frame_bytes = 60;     ///< At least 14.
  std::size_t odd_frame_bytes = 0;  ///< The same of frames with odd numbers; 0: as the others.
  std::uint32_t buffer_bytes = 80;  ///< Of a chain of the receiver, at least 13.
  bool header_apart = false;        ///< The net header has a descriptor of its own.
  bool indirect = false;
  bool pieces = false;    ///< A frame or buffer is in two descriptors.
  bool kicks = false;     ///< The back-end has asked for kicks.
  bool recorded = false;  ///< The port may lend, and copies all the same: it keeps a record of what is in flight.

  /// Frames from this number on are small, in all shapes.
  static constexpr int small_from = 1000;
  static constexpr std::size_t small_bytes = 20;
  std::size_t bytes_of(int number) const {
    if (number >= small_from) return small_bytes;
    return number % 2 != 0 && odd_frame_bytes != 0 ? odd_frame_bytes : frame_bytes;
  }
  friend void PrintTo(const GuestShape& shape, std::ostream* out) { *out << shape.name; }
};

/// A guest of 64 KiB, and the back-ends that serve it, each after the other. Ring 0 receives, ring 1 transmits.
class KeptGuest {
 public:
  explicit KeptGuest(const GuestShape& shape, PortOptions port_options = {});
  ~KeptGuest();
  KeptGuest(const KeptGuest&) = delete;
  KeptGuest& operator=(const KeptGuest&) = delete;

  // ---- the driver, before the burst
  void transmit(int first, int count);
  /// As many as its ring takes, or as are wanted.
  void post_buffers(std::size_t count = 64);
  void disable(std::uint16_t ring);

  // ---- the back-ends
  /// After what is above: the one that serves the guest dies between two messages.
  void kill();
  /// Of the one that was killed. Bursts may still be made on it, in a process that ends.
  Port& dead_port() { return *lives_.front()->port; }
  /// The next one goes on, and has called the driver for what was used and not signalled.
  Port& adopt();
  /// It ends in order.
  void end_next() { lives_.pop_front(); }

  // ---- what the driver finds when it looks
  // The test fails where a buffer came back twice or was never posted; where nothing is lent, also if one came
  // out of order. All may be called again, at another instant: they look from the begin.
  std::size_t given_back() { return given_back_numbers().size(); }
  /// The packets whose buffers came back, in that order; their numbers must have been those from 0 on.
  std::vector<int> given_back_numbers();
  std::vector<int> received();
  std::size_t posted(std::uint16_t ring) const { return posted_[ring].size(); }
  /// Receive buffers that came back, whatever is in them, and those with nothing.
  std::size_t used_buffers() { return reap(0).size(); }
  std::size_t empty_buffers();

  /// What the next back-end does with the record before its first burst on the ring, in a child process: prepares it,
  /// and recovers what is in flight.
  void prepare_recovery(std::uint16_t ring);
  void recover();

  /// What a next back-end finds: the guest's memory, and the record of what is in flight. After kill().
  std::vector<std::span<std::uint8_t>> kept_memory();

 private:
  FakeDriver& driver(std::uint16_t ring) { return machine_.ring(ring).driver; }
  std::vector<UsedElement> reap(std::uint16_t ring);
  void publish(FakeDriver::Chain chain, std::uint16_t ring);
  void find_record();

  GuestShape shape_;
  TemporaryFolder folder_;
  UniqueFd listener_;
  PortOptions options_;
  bool lends_;
  Vault vault_;
  std::list<std::unique_ptr<Life>> lives_;  // the latest first, which is the first to be destroyed
  FakeMachine machine_;
  std::unique_ptr<InflightFile> record_;               // null: the port has none
  std::shared_ptr<const memory::GuestMemory> mapped_;  // as the next back-end maps it, with what follows
  std::shared_ptr<const virtqueue::InflightArea> area_;
  virtqueue::AnyLayout layout_{};
  std::vector<std::uint16_t> posted_[2];  // heads, by ring, in their order
};

/// What back-ends leave behind at each instant of something that changes it.
class Instants {
 public:
  /// Guests whose back-ends were killed.
  explicit Instants(const std::vector<KeptGuest*>& guests);

  /// Has a child process run `burst`, one instruction at a time, after `before`. False: this machine cannot.
  bool record(
      const std::function<void()>& burst, const std::function<void()>& before = [] {});
  /// Calls `check` with the memory of each instant, where it differs from that of the instant before.
  void each(const std::function<void()>& check);

  std::size_t instructions() const { return instructions_; }
  std::size_t states() const { return images_.size(); }

 private:
  using Image = std::vector<std::uint8_t>;  // of all areas, one after the other
  bool differs(const Image& image) const;
  Image copy() const;
  void restore(const Image& image) const;

  std::vector<std::span<std::uint8_t>> areas_;
  std::list<Image> images_;
  std::size_t instructions_ = 0;
};

#define RECORD_OR_SKIP(instants, ...) \
  if (!(instants).record(__VA_ARGS__)) GTEST_SKIP() << "no process may trace another one here"

}  // namespace vhostx::test
