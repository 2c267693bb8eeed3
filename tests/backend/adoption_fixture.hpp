// SPDX-License-Identifier: BSD-3-Clause
// A port whose connection is with a keeper, and its lives.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "continuity/session_record.hpp"
#include "tests/backend/port_fixture.hpp"
#include "tests/backend/vault.hpp"

namespace vhostx::test {

inline constexpr continuity::Slot record_slot = 1;
inline constexpr continuity::Slot own_inflight_slot = 4;
inline constexpr continuity::Slot counters_slot = 5;
inline constexpr continuity::Slot state_slot = 6;

struct Continuity {
  explicit Continuity(std::uint16_t pairs = 1) : listener(must(tools::FrontEnd::listen(folder.path("port")))) {
    options.listen_fd = listener.get();
    options.queue_pairs_max = pairs;
    using P = protocol::ProtocolFeature;
    options.protocol_features_extra =
        protocol::ProtocolFeatureSet{P::backend_req, P::reset_device, P::inband_notifications, P::inflight_shmfd}
            .bits();
  }
  Life& next(BackendOptions backend_options = {}) {
    lives.push_front(std::make_unique<Life>(vault, options, std::move(backend_options), also));
    return *lives.front();
  }
  Life& killed_and_next() {
    lives.front()->die(vault);
    return next();
  }
  std::string path() const { return folder.path("port"); }
  continuity::RecordLimits limits() const {
    return {static_cast<std::uint32_t>(2 * options.queue_pairs_max), options.memory_slots_max};
  }

  TemporaryFolder folder;
  UniqueFd listener;
  PortOptions options;
  EventHandler also;  ///< Gets each event of the lives to come, on their control threads.
  Vault vault;
  std::list<std::unique_ptr<Life>> lives;  ///< The latest first, which is the first to be destroyed.
};

/// With a first life, whose front-end is there and has started its rings.
struct Served : Continuity {
  struct Started {
    Life& first;
    FakeMachine machine;
  };
  explicit Served(std::uint16_t pairs = 1) : Continuity(pairs), started{next(), FakeMachine(path())} {
    started.machine.bring_up();
    until_started(started.first);
  }
  Started started;
};

}  // namespace vhostx::test
