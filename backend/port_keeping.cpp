// SPDX-License-Identifier: BSD-3-Clause
// PortCore: its connection comes from a keeper, and goes there.
#include <exception>
#include <utility>

#include "backend/port_core.hpp"
#include "base/error.hpp"
#include "base/peer_process.hpp"

namespace vhostx::backend {
namespace {

/// What such a port knows of its rings would be nowhere after a kill: lent buffers, the answer to a call in-band, and a
/// record that only its front-end brings. Null: it can be kept.
const char* cannot_be_kept(const PortOptions& options) noexcept {
  using protocol::ProtocolFeature;
  const protocol::ProtocolFeatureSet extra(options.protocol_features_extra);
  if (options.zero_copy) return "zero_copy";
  if (extra.has(ProtocolFeature::inband_notifications)) return "INBAND_NOTIFICATIONS";
  if (extra.has(ProtocolFeature::inflight_shmfd)) return "INFLIGHT_SHMFD";
  return nullptr;
}

}  // namespace

Result<void> PortCore::open_keeping() {
  if (!loop_->keepers()) return {};
  const PortOptions& options = parts_.options;
  if (const char* const reason = cannot_be_kept(options))
    return invalid_argument("{}: a keeper cannot hold a port with {}, expected one without", options.socket_path,
                            reason);
  auto keeper = loop_->keepers()(options.socket_path);
  if (!keeper) return make_error(keeper.error().code, "{}: {}", options.socket_path, keeper.error().message);
  auto keeping = SessionKeeping::open(std::move(keeper).value(), {vring_count(), options.memory_slots_max}, parts_.log);
  if (!keeping) return make_error(keeping.error().code, "{}: {}", options.socket_path, keeping.error().message);
  keeping_ = std::move(keeping).value();
  return {};
}

void PortCore::take_over(SessionKeeping::Found found) noexcept {
  const auto self = shared_from_this();
  front_end_pid_ = peer_pid(found.socket.get());
  Result<void> adopted;
  try {
    UniqueFd socket(found.socket.release(), parts_.releases->ticket());
    session_ = std::make_unique<Session>(*this, parts_, std::move(socket), keeping_.get());
    ++connections_;
    emit(FrontEndConnected{.adopted = true}, {});
    adopted = session_->adopt(found.state, found.files);
    keeping_->go_on(found.state);
  } catch (const std::exception& error) {
    adopted = make_error(ErrorCode::out_of_memory, "{}", error.what());
  }
  if (adopted) {
    parts_.log.info("the connection of a process before goes on");
    return turn_done();
  }
  end_session(
      make_error(adopted.error().code, "the connection of a process before cannot go on: {}", adopted.error().message));
}

void PortCore::leave_to_keeper() {
  const auto grace = loop_->keeper_grace();
  if (keeping_ == nullptr || session_ == nullptr || farewell_ || grace.count() == 0) return;
  session_->leave();
  publish_memory({});
  session_.reset();
  keeping_->park(grace);
  emit(FrontEndDisconnected{make_error(ErrorCode::closed, "the port was closed, and its keeper holds the connection")},
       {});
  publish_info();
  deliver();
}

}  // namespace vhostx::backend
