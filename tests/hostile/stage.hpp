// SPDX-License-Identifier: BSD-3-Clause
// Stage: a back-end, and all who behave on it: the guests that what an attacker sends arrives at, and the victims. It
// remembers how the process was before anybody attacked, and tells what an attack has changed.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "tests/hostile/back_end.hpp"
#include "tests/hostile/honest_guest.hpp"
#include "tests/hostile/process_facts.hpp"
#include "tests/hostile/victims.hpp"
#include "tools/probe/check/subject.hpp"

namespace vhostx::hostile {

using Complaints = std::vector<std::string>;

class Stage {
 public:
  /// Throws std::runtime_error where the back-end does not even serve those who behave.
  explicit Stage(const std::string& program);

  BackEnd& back_end() noexcept { return back_end_; }
  const tools::probe::Subject& subject(Socket socket) const { return subjects_[static_cast<std::size_t>(socket)]; }
  /// Who is at the other port of that pair.
  HonestGuest& peer_of(Socket socket) { return socket == Socket::lending ? *lending_peer_ : *peer_; }
  Victims& victims() noexcept { return *victims_; }

  /// What is not as it was, or does not work as it did, after an attack on this port has ended.
  Complaints aftermath(Socket attacked);
  /// The back-end ends, and has nothing to say about it.
  Complaints end();

 private:
  std::unique_ptr<HonestGuest> connect(Socket socket, const tools::probe::GuestPlan& plan);
  /// When so many mappings of guest memory are left.
  void take_snapshot(std::size_t guest_mappings);
  Complaints honest_front_end(Socket socket);
  Complaints exchange_frames(Socket socket, HonestGuest& guest);
  Complaints changes();
  Complaints sanitizer_reports() const;
  std::string differences(const ProcessFacts& now) const;

  BackEnd back_end_;
  std::array<tools::probe::Subject, socket_count> subjects_;
  std::unique_ptr<HonestGuest> peer_, lending_peer_;
  std::unique_ptr<Victims> victims_;
  ProcessFacts before_;
  std::uint64_t mbufs_before_ = 0;
};

}  // namespace vhostx::hostile
