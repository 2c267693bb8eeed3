// SPDX-License-Identifier: BSD-3-Clause
// VhostEndpoint: a guest on a vhost-user-net socket: memory, one or more queue pairs, and the connection.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "protocol/features.hpp"
#include "tools/bench/endpoint.hpp"
#include "tools/driver/driver_ring.hpp"
#include "tools/driver/shared_memory.hpp"
#include "tools/front_end/front_end.hpp"

namespace vhostx::tools::bench {

struct GuestOptions {
  std::string path;
  bool listen = false;  ///< The back-end connects to us.
  std::uint16_t queue_pairs = 1;
  std::uint16_t ring_size = 256;
  bool packed = false;  ///< Rings; else split.
  ChainLayout layout = ChainLayout::one;
  bool mergeable = true;
  bool event_idx = false;
  bool legacy = false;
  bool offload = false;                    ///< Checksum and TSO, both ways.
  std::uint32_t frame_bytes_max = 64;      ///< The largest that is sent or must be received.
  std::uint32_t receive_buffer_bytes = 0;  ///< 0: chosen.
  bool rewrite = false;                    ///< Write all that the back-end reads again for each packet.
  unsigned regions = 1;
  bool huge_pages = true;  ///< If enough are free.
  bool migrates = false;   ///< Asks for a dirty log, and for RARP frames where it arrives.
  std::chrono::milliseconds timeout{10000};
};

class VhostEndpoint final : public Endpoint {
 public:
  /// Connects, negotiates, shares memory, starts the rings. The error names the step.
  static Result<std::unique_ptr<VhostEndpoint>> open(const GuestOptions& options);
  /// The connection alone, with what is negotiated there.
  static Result<FrontEnd> reach(const GuestOptions& options);
  /// Stops the rings.
  ~VhostEndpoint() override;

  const std::string& name() const noexcept override { return options_.path; }
  unsigned queue_count() const noexcept override { return options_.queue_pairs; }
  std::span<const SendSlot> send_buffers(unsigned queue) const noexcept override { return queues_[queue]->slots; }
  unsigned reserve(unsigned queue, std::span<SendSlot> slots) noexcept override;
  unsigned send(unsigned queue, unsigned count, std::uint32_t frame_bytes) noexcept override;
  std::uint64_t taken(unsigned queue) noexcept override;
  unsigned receive(unsigned queue, std::span<ReceivedFrame> frames) noexcept override;
  void release(unsigned queue) noexcept override;
  void notify() noexcept override;
  std::uint32_t capacity(std::uint32_t frame_bytes) const noexcept override;
  std::vector<int> wait_fds() const override;
  bool arm(bool wanted) noexcept override;
  Result<void> health() override;
  Result<void> can_send(std::uint32_t frame_bytes, bool tso) const override;
  Result<void> can_receive(std::uint32_t frame_bytes, bool tso) const override;
  std::string describe() const override;

  protocol::FeatureSet features() const noexcept { return front_end_.features(); }
  SharedMemory& memory() noexcept { return *memory_; }

  // ---- for a guest that migrates
  FrontEnd& front_end() noexcept { return front_end_; }
  const GuestOptions& options() const noexcept { return options_; }
  /// Has the back-end log its writes to rings and buffers from now on, or no more.
  Result<void> log_rings(bool wanted);
  /// Stops each ring. The bases: where each goes on.
  Result<std::vector<std::uint32_t>> stop_rings();
  /// Goes on at another back-end, whose connection reach() made; the old one ends.
  Result<void> go_on_at(const GuestOptions& options, FrontEnd front_end, const std::vector<std::uint32_t>& bases);
  /// Calls written(at, bytes) for each piece of memory that the guest itself writes.
  template <typename F>
  void for_each_written(F written) const {
    for (const auto& queue : queues_) {
      queue->receive.for_each_written(written);
      queue->transmit.for_each_written(written);
    }
  }

 private:
  struct Queue {
    Queue(DriverRing receive_ring, DriverRing transmit_ring)
        : receive(std::move(receive_ring)), transmit(std::move(transmit_ring)) {}

    DriverRing receive;
    DriverRing transmit;
    std::vector<SendSlot> slots;  ///< By chain.
    std::vector<std::uint16_t>
        free_chains;  ///< A queue in a ring of its own (a power of two), so that buffers are used in turn.
    std::uint64_t free_head = 0;
    std::uint64_t free_tail = 0;
    std::uint64_t taken = 0;
    unsigned refused = 0;                ///< How often reserve() waited for more buffers to be free.
    std::uint16_t fetched = 0;           ///< Used entries ahead whose buffers were prefetched.
    bool incomplete = false;             ///< receive() ended before a packet whose buffers had not all come.
    std::uint16_t held = 0;              ///< Receive buffers that release() returns.
    std::vector<std::uint16_t> holding;  ///< Their chains.
    std::vector<std::uint8_t> scratch;   ///< For packets whose buffers are not contiguous.
    std::size_t scratch_used = 0;
    std::uint64_t malformed = 0;  ///< Packets with an impossible num_buffers or length.
  };

  VhostEndpoint(GuestOptions options, FrontEnd front_end) noexcept
      : options_(std::move(options)), front_end_(std::move(front_end)) {}

  void take_features() noexcept;
  Result<void> build_queues();
  Result<void> share_memory();
  /// Where rings begin that no device has seen.
  std::vector<std::uint32_t> bases() noexcept;
  void fill_receive_rings() noexcept;
  Result<void> start_rings(const std::vector<std::uint32_t>& bases);
  Result<void> start_ring(std::uint32_t vring, std::uint32_t base);
  DriverRing& ring_at(std::uint32_t vring) noexcept {
    return vring % 2 == 0 ? queues_[vring / 2]->receive : queues_[vring / 2]->transmit;
  }
  std::uint32_t ring_count() const noexcept { return static_cast<std::uint32_t>(2 * queues_.size()); }
  DriverRingOptions ring_options(bool device_writes) const noexcept;
  static void reclaim(Queue& queue) noexcept;
  static void fetch_to_write(const Queue& queue, unsigned count) noexcept;
  /// The frame of one buffer at used entry `at`; false: it is not a simple one.
  bool single(const DriverRing& ring, unsigned at, ReceivedFrame& frame) const noexcept;
  void fetch_to_read(Queue& queue, unsigned waiting, std::size_t burst) const noexcept;
  /// The frame at used entry `at` of `waiting`. Returns how many entries it takes; 0: not all are there yet.
  unsigned gather(Queue& queue, unsigned at, unsigned waiting, ReceivedFrame& frame) noexcept;
  const std::uint8_t* linearize(Queue& queue, unsigned at, unsigned count, std::uint32_t length) noexcept;

  GuestOptions options_;
  FrontEnd front_end_;
  std::uint32_t net_header_bytes_ = 12;
  bool mergeable_ = false;  ///< As negotiated.
  std::unique_ptr<SharedMemory> memory_;
  std::vector<std::unique_ptr<Queue>> queues_;
};

}  // namespace vhostx::tools::bench
