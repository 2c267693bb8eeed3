// SPDX-License-Identifier: BSD-3-Clause
// One connection of ModelBackEnd.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "model_rings.hpp"
#include "protocol/codec.hpp"
#include "protocol/features.hpp"

namespace vhostx::test {

/// Thrown: the front-end, or the model, breaks off.
struct ModelOver {
  bool for_good = false;
};

class ModelSession {
 public:
  ModelSession(Fault fault, UniqueFd socket, unsigned number)
      : fault_(fault), number_(number), socket_(std::move(socket)), data_(fault) {}

  int fd() const noexcept { return socket_.get(); }
  void serve_message();
  void turn() { data_.turn(); }

 private:
  struct Outcome {
    bool good = true;
    std::optional<protocol::Message> reply{};
  };

  void read(std::span<std::byte> into, protocol::FdList& fds);
  void write(protocol::Message message);
  void answer(const protocol::Message& request, Outcome outcome);
  void acknowledge(const protocol::Header& request, bool good);
  Outcome handle(protocol::Message& m);
  bool takes_size(std::uint32_t size) const noexcept;
  Outcome handle_ring(protocol::Message& m);
  Outcome handle_fd(protocol::Message& m);
  Outcome handle_memory(protocol::Message& m);
  Outcome handle_device(protocol::Message& m);
  Outcome number(const protocol::Message& m, std::uint64_t value) {
    return {true, protocol::make_reply(m.header(), protocol::U64{value})};
  }
  Outcome get_config(const protocol::Message& m);
  Outcome get_inflight(const protocol::Message& m);
  Outcome answer_question(const protocol::Message& m);
  Outcome set_log(protocol::Message& m);
  Outcome begin_state(protocol::Message& m);
  Outcome check_state(const protocol::Message& m);
  bool is_good_state() const;
  Outcome set_status(std::uint64_t status);
  void set_features(std::uint64_t bits);
  void reset();

  protocol::FeatureSet features() const;
  protocol::ProtocolFeatureSet protocol_features() const;

  Fault fault_;
  unsigned number_;  ///< Of the connection, from 0.
  UniqueFd socket_;
  UniqueFd channel_;
  ModelRings data_;
  protocol::FeatureSet agreed_;
  protocol::ProtocolFeatureSet protocol_;
  std::uint64_t status_ = 0;
  UniqueFd loading_;  ///< Where the front-end writes a state.
  UniqueFd unfinished_;
  unsigned asked_ = 0;
};

}  // namespace vhostx::test
