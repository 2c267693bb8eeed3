// SPDX-License-Identifier: BSD-3-Clause
// Guests whose back-end is cut off at any instant of a burst, and whose connections a next one adopts.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "tests/backend/traffic.hpp"
#include "tests/backend/vault.hpp"

namespace vhostx::test {

using Frame = std::vector<std::uint8_t>;

/// Frame `number` of a test: no two are equal, nor parts of them.
Frame numbered_frame(int number, std::size_t bytes);

/// How a guest lays out what it posts, and what it has negotiated.
struct GuestShape {
  std::string name;
  protocol::FeatureSet features = usual_features;
  int packets = 4;                  ///< Of the burst that is cut off. At most 32.
  std::size_t frame_bytes = 60;     ///< At least 14.
  std::uint32_t buffer_bytes = 80;  ///< Of a chain of the receiver, at least 13.
  bool header_apart = false;        ///< The net header has a descriptor of its own.
  bool indirect = false;
  bool kicks = false;  ///< The back-end has asked for kicks.

  friend void PrintTo(const GuestShape& shape, std::ostream* out) { *out << shape.name; }
};

/// A guest of 64 KiB, and the back-ends that serve it, each after the other. Ring 0 receives, ring 1 transmits.
class KeptGuest {
 public:
  explicit KeptGuest(const GuestShape& shape, PortOptions port_options = {});

  /// The first back-end has died between two messages. Bursts may still be made on its port, in a process that ends.
  Port& dead_port() { return *first_.port; }
  /// The next one goes on, until it ends.
  Port& adopt();
  void end_next() { next_.reset(); }

  void transmit(int first, int count);
  /// As many as its ring takes.
  void post_buffers();
  void disable(std::uint16_t ring);
  /// After what is above, before the burst.
  void kill_first();

  FakeGuest& memory() { return machine_.guest(); }

  /// What the guest's driver finds when it looks; the test fails where a buffer came back twice or was never posted.
  /// Both may be called again, at another instant: they look from the begin.
  std::size_t given_back();
  std::vector<int> received();

 private:
  FakeDriver& driver(std::uint16_t ring) { return machine_.ring(ring).driver; }
  std::vector<UsedElement> reap(std::uint16_t ring);
  void publish(FakeDriver::Chain chain, std::uint16_t ring);

  GuestShape shape_;
  TemporaryFolder folder_;
  UniqueFd listener_;
  PortOptions options_;
  Vault vault_;
  Life first_;  // destroyed after its successors
  FakeMachine machine_;
  std::unique_ptr<Life> next_;
  std::vector<std::uint16_t> posted_[2];  // heads, by ring, in their order
};

/// Guests' memory at each instant of something that changes it.
class Instants {
 public:
  explicit Instants(std::vector<KeptGuest*> guests) : guests_(std::move(guests)) {}

  /// Has a child process run `burst`, one instruction at a time. False: this machine cannot.
  bool record(const std::function<void()>& burst);
  /// Calls `check` with the memory of each instant, where it differs from that of the instant before.
  void each(const std::function<void()>& check);

  std::size_t instructions() const { return instructions_; }
  std::size_t states() const { return images_.size(); }

 private:
  using Image = std::vector<std::uint8_t>;  // of all guests, one after the other
  bool differs(const Image& image) const;
  Image copy() const;
  void restore(const Image& image) const;

  std::vector<KeptGuest*> guests_;
  std::list<Image> images_;
  std::size_t instructions_ = 0;
};

}  // namespace vhostx::test
