// SPDX-License-Identifier: BSD-3-Clause
// Registry: the published ports by name.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <vhostx/port.hpp>
#include <vhostx/result.hpp>

namespace vhostx::telemetry {

/// A port and its name. The name stays after the port was withdrawn. Any thread.
class NamedPort {
 public:
  NamedPort(std::string name, Port& port) noexcept : name_(std::move(name)), port_(&port) {}

  const std::string& name() const noexcept { return name_; }
  /// Calls `use` with the port, which exists until that returns. False: the port was withdrawn, `use` is not called.
  bool with_port(const std::function<void(Port&)>& use);
  /// Waits until with_port() has returned.
  void withdraw() noexcept;

 private:
  const std::string name_;
  std::mutex lock_;  // one for each port, so that a request delays only its own port's withdrawal
  Port* port_;
};

/// Any thread.
class Registry {
 public:
  /// Errors: invalid_argument (1 to 127 bytes of printable ASCII are expected), busy.
  Result<std::shared_ptr<NamedPort>> add(std::string name, Port& port);
  void remove(NamedPort& named) noexcept;

  /// Null: there is none.
  std::shared_ptr<NamedPort> find(std::string_view name) const;
  std::vector<std::string> names() const;  ///< Sorted.

 private:
  mutable std::mutex lock_;
  std::map<std::string, std::shared_ptr<NamedPort>, std::less<>> ports_;
};

}  // namespace vhostx::telemetry
