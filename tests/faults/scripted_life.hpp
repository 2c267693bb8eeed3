// SPDX-License-Identifier: BSD-3-Clause
// A whole honest life of a port: opened, found by a front-end, used both ways, changed, left, closed. For tests in
// which something of it goes wrong.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>

#include "tests/backend/port_fixture.hpp"

namespace vhostx::test {

/// What was awaited never came, and nobody said why: the one thing that a fault may not do.
struct Hang : std::logic_error {
  using std::logic_error::logic_error;
};

struct LifeOptions {
  Role role = Role::server;
  bool zero_copy = false;
};

class ScriptedLife {
 public:
  explicit ScriptedLife(const LifeOptions& options);
  ~ScriptedLife() { close(); }

  /// Opens what is not open. Throws std::runtime_error with the library's error.
  void open();
  /// One front-end from its connection to its end. Throws std::runtime_error when the back-end refuses or hangs up,
  /// Hang when it does neither.
  void live();
  void close();

  /// All that the library has logged since.
  std::string take_log();

 private:
  FakeMachine connect();
  void use(FakeMachine& machine);
  void exchange(FakeMachine& machine);
  void change_memory(FakeMachine& machine);
  void wait_until(FakeMachine& machine, const char* what, const std::function<bool()>& holds);
  void wait_left(std::uint64_t connection);

  TemporaryFolder folder_;
  PortOptions options_;
  UniqueFd listener_;  // of the front-end, for the client role
  std::mutex lock_;
  std::string log_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<Port> port_;
};

}  // namespace vhostx::test
