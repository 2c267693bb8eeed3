// SPDX-License-Identifier: BSD-3-Clause
// RingWatch: the rings of some connections over time: what their memory says, how fast they go, which of them are
// stuck.
//
//   watch.take(event, decoded, session.state(), std::move(fds));  // each event, or watch.set(facts, memory)
//
//   watch.look(now);  // as often as can be afforded
//
//   for (const RingRow& row : watch.sample(now)) ...  // once a second
//
// The time is whatever the caller says. Not for several threads. Guest memory is read, never written.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "tools/probe/rings/guest_memory.hpp"
#include "tools/probe/rings/log_sample.hpp"
#include "tools/probe/rings/ring_facts.hpp"
#include "tools/probe/rings/ring_history.hpp"
#include "tools/probe/rings/ring_sample.hpp"
#include "tools/probe/session/event.hpp"
#include "tools/probe/session/session.hpp"

namespace vhostx::tools::probe {

struct RingWatchOptions {
  std::chrono::milliseconds stuck_after{2000};
  /// Rings that the device fills wait for as long as nothing comes, which is no fault: they are not called stuck. True:
  /// they are all the same.
  bool receive_too = false;
};

/// One ring at one moment.
struct RingRow {
  std::uint32_t connection = 0;
  std::string name;  ///< The connection's, see ConnectionFacts.
  std::uint32_t ring = 0;
  bool receive = false;  ///< The device fills it: a network device's even ones (VIRTIO 1.2, 5.1.2).
  std::optional<std::uint32_t> size;
  bool packed = false;
  bool enabled = false;
  bool started = false;
  bool logging = false;                      ///< VHOST_F_LOG_ALL
  std::optional<std::uint64_t> logged_at{};  ///< See RingFacts.
  RingSample sample;                         ///< Its `problem` is set also where the ring was not configured yet.
  RingRates rates;
  std::optional<ProbeTime> stuck_for;
  std::vector<std::string> notes;  ///< For people: stuck, findings.
};

class RingWatch {
 public:
  explicit RingWatch(RingWatchOptions options = {}) : options_(options) {}

  /// An event of a connection, what a Session made of it, and that session's state afterwards. `fds` are the message's,
  /// in its order (of a message without any, none): those that the state's regions are in are kept, the others closed.
  /// The files of regions that are gone are closed too; `closed` closes all of them and forgets the connection.
  void take(const Event& event, const Decoded& decoded, const SessionState& state, std::vector<UniqueFd> fds);

  /// The relay's own count, where it is between driver and device: so many more. Of connections that are not there
  /// nothing is counted.
  void count(std::uint32_t connection, std::uint32_t ring, std::uint64_t kicks, std::uint64_t calls);

  /// A connection as somebody else knows it, in place of what was known of it. `memory` may be null: nothing can be
  /// read.
  /// The same of `log`, see log_memory_of().
  void set(ConnectionFacts facts, std::shared_ptr<const GuestMemory> memory,
           std::shared_ptr<const GuestMemory> log = nullptr);
  void forget(std::uint32_t connection) { connections_.erase(connection); }
  /// Forgets connections that are none of these.
  void keep_only(const std::vector<std::uint32_t>& connections);

  /// Reads how far rings have got, so that rates are right: a number of 16 bits has to be looked at before it has gone
  /// half round. At 20 million packets a second that is after 1.6 ms. Packed rings of more than 1024 descriptors are
  /// left to sample(), because all of their descriptors have to be read.
  void look(ProbeTime now);
  /// Looks at one packed ring, each time at the next one, again and again for 100 microseconds, at least twice.
  void look_closely(const std::function<ProbeTime()>& clock);
  /// As look(), and everything about each ring, by connection and number. Rates are those since the last call.
  std::vector<RingRow> sample(ProbeTime now);
  /// The dirty logs of connections whose guest migrates, by connection.
  std::vector<LogRow> logs() const;

  /// What is known, for publishing; descriptors are this process's.
  std::vector<ConnectionFacts> facts() const;

 private:
  using FdKey = std::pair<std::uint64_t, std::size_t>;  // RegionView::event, RegionView::fd

  struct Ring {
    RingFacts facts;
    std::optional<RingPlace> place;
    RingHistory history;
  };
  struct Connection {
    ConnectionFacts facts;  // without rings
    std::shared_ptr<const GuestMemory> memory;
    std::shared_ptr<const GuestMemory> log;
    std::map<std::uint32_t, Ring> rings;
    std::map<FdKey, UniqueFd> files;
    std::map<std::uint32_t, RingCounts> counts;  // take() and count()
  };

  void update(Connection& connection, ConnectionFacts facts, std::shared_ptr<const GuestMemory> memory);
  static RingSample sample_of(const Connection& connection, const Ring& ring);
  static RingSample look_at(const Connection& connection, Ring& ring, ProbeTime now);
  /// Started packed rings, of all connections.
  std::vector<std::pair<const Connection*, Ring*>> packed_rings();
  RingRow row_of(const Connection& connection, Ring& ring, ProbeTime now) const;
  void add_notes(const Ring& ring, ProbeTime now, RingRow& row) const;

  RingWatchOptions options_;
  std::map<std::uint32_t, Connection> connections_;
  std::size_t next_close_ = 0;
};

}  // namespace vhostx::tools::probe
