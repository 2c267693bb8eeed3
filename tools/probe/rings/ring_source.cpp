// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/rings/ring_source.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <functional>
#include <map>

#include "base/error.hpp"
#include "tools/probe/processes.hpp"
#include "tools/probe/rings/port_notices.hpp"
#include "tools/probe/rings/published.hpp"
#include "tools/probe/rings/qmp_client.hpp"
#include "tools/probe/rings/qmp_rings.hpp"
#include "tools/probe/session/event_text.hpp"

namespace vhostx::tools::probe {
namespace {

constexpr std::chrono::milliseconds qmp_timeout{5000};

std::string text_of_process(int pid) {
  const std::string program = printable(program_of(pid));  // it chose its name
  return program.empty() ? fmt::format("process {}", pid) : fmt::format("{} ({})", program, pid);
}

Error prefixed(const std::string& name, Error error) {
  error.message = fmt::format("{}: {}", name, error.message);
  return error;
}

struct Memories {
  std::shared_ptr<const GuestMemory> guest;
  std::shared_ptr<const GuestMemory> log{};
};

void set_all(RingWatch& watch, std::vector<ConnectionFacts> connections,
             const std::function<Memories(const ConnectionFacts&)>& memory) {
  std::vector<std::uint32_t> numbers;
  for (ConnectionFacts& facts : connections) {
    numbers.push_back(facts.connection);
    auto [guest, log] = memory(facts);
    watch.set(std::move(facts), std::move(guest), std::move(log));
  }
  watch.keep_only(numbers);
}

/// `vhostx-probe trace` or `listen`.
class RelaySource final : public RingSource {
 public:
  explicit RelaySource(int pid) : pid_(pid), name_(text_of_process(pid)) {}

  Result<void> refresh(RingWatch& watch, const Look&) override {
    auto connections = read_published(pid_);
    if (!connections) return prefixed(name_, connections.error());
    set_all(watch, *std::move(connections), [this](const ConnectionFacts& facts) {
      auto memory = std::make_shared<const PublishedMemory>(pid_, facts);
      return Memories{memory, std::shared_ptr<const GuestMemory>(memory, memory->log())};
    });
    return {};
  }
  std::string name() const override { return name_; }

 private:
  int pid_;
  std::string name_;
};

/// A piece of another process's memory, from address 0 on.
class PieceOfMemory final : public GuestMemory {
 public:
  PieceOfMemory(std::shared_ptr<const GuestMemory> memory, std::uint64_t begin)
      : memory_(std::move(memory)), begin_(begin) {}
  bool read(std::uint64_t address, std::span<std::byte> into) const override {
    return memory_->read(begin_ + address, into);
  }

 private:
  std::shared_ptr<const GuestMemory> memory_;
  std::uint64_t begin_;
};

/// An application on vhostx, whose memory is read at its own addresses.
class PortSource final : public RingSource {
 public:
  /// `socket`: the port to watch; empty: all.
  PortSource(int pid, ProcessMemory memory, std::string socket)
      : pid_(pid),
        memory_(std::make_shared<const ProcessMemory>(std::move(memory))),
        socket_(std::move(socket)),
        name_(text_of_process(pid)) {}

  Result<void> refresh(RingWatch& watch, const Look&) override {
    auto ports = read_port_notices(pid_, *memory_);
    if (!ports) return prefixed(name_, ports.error());
    remarks_.clear();
    // The kernel chooses the notices' addresses, mostly downwards.
    std::sort(ports->begin(), ports->end(),
              [](const NoticedPort& a, const NoticedPort& b) { return a.socket_path < b.socket_path; });
    std::vector<ConnectionFacts> connections;
    std::map<std::uint32_t, std::uint64_t> logs;  // their addresses
    for (NoticedPort& port : *ports) {
      const std::uint32_t number = number_of(port.address);
      if (!socket_.empty() && port.socket_path != socket_) continue;
      add_remark(port);
      port.facts.connection = number;
      logs[number] = port.log_address;
      port.facts.name = port.socket_path;
      if (port.front_end_pid > 0) port.facts.name += ", front-end " + text_of_process(port.front_end_pid);
      connections.push_back(std::move(port.facts));
    }
    std::erase_if(numbers_, [&ports](const auto& each) {
      return std::none_of(ports->begin(), ports->end(), [&](const NoticedPort& p) { return p.address == each.first; });
    });
    if (connections.empty() && !socket_.empty()) return make_error(ErrorCode::closed, "{} has closed this port", name_);
    set_all(watch, std::move(connections), [&, this](const ConnectionFacts& facts) {
      return Memories{memory_, std::make_shared<const PieceOfMemory>(memory_, logs[facts.connection])};
    });
    return {};
  }
  std::string name() const override { return name_; }
  std::vector<std::string> remarks() const override { return remarks_; }

 private:
  /// A port keeps its number while others come and go.
  std::uint32_t number_of(std::uint64_t address) {
    const auto [place, is_new] = numbers_.try_emplace(address, next_number_);
    if (is_new) ++next_number_;
    return place->second;
  }
  void add_remark(const NoticedPort& port) {
    if (!port.connected)
      remarks_.push_back(port.socket_path + ": no front-end is connected");
    else if (port.facts.rings.empty())
      remarks_.push_back(port.socket_path + ": a front-end is connected, and no driver has set up a ring yet");
  }

  int pid_;
  std::shared_ptr<const ProcessMemory> memory_;
  std::string socket_;
  std::string name_;
  std::map<std::uint64_t, std::uint32_t> numbers_;  // of the notices that are there
  std::uint32_t next_number_ = 1;
  std::vector<std::string> remarks_;
};

class Qemu final : public RingSource {
 public:
  Qemu(QmpClient qmp, ProcessMemory memory, int pid)
      : qmp_(std::move(qmp)),
        memory_(std::make_shared<const ProcessMemory>(std::move(memory))),
        name_(text_of_process(pid)) {}

  Result<void> refresh(RingWatch& watch, const Look& look) override {
    qmp_.while_waiting(look);
    auto connections = ask_rings(qmp_);
    if (!connections) return connections.error();
    set_all(watch, *std::move(connections), [this](const ConnectionFacts&) { return Memories{memory_}; });
    return {};
  }
  std::string name() const override { return name_; }

 private:
  QmpClient qmp_;
  std::shared_ptr<const ProcessMemory> memory_;
  std::string name_;
};

std::optional<int> process_number(const std::string& text) {
  int pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() && end == text.data() + text.size() && pid > 0 ? std::optional(pid) : std::nullopt;
}

/// Other processes can be looked into by their user, where no security module forbids it.
Error not_readable(int pid, Error error) {
  if (error.system_errno == ESRCH) return error;  // it names the process
  error = prefixed(text_of_process(pid), std::move(error));
  if (error.system_errno == EACCES || error.system_errno == EPERM) error.message += ": run as root, or as its user";
  return error;
}

Error no_rings_in(int pid, const std::string& socket) {
  const std::string program = text_of_process(pid);
  const std::string subject = socket.empty() ? program + " shows" : program + " listens there, and shows";
  return make_error(
      ErrorCode::unsupported,
      "{} no rings: it is neither a back-end on vhostx nor `vhostx-probe trace`. For QEMU (7.2 or later) use --qmp "
      "SOCK, its monitor; for a back-end that connects to QEMU, give the back-end's process number; otherwise put "
      "`vhostx-probe trace --listen SOCK --connect BACKEND` between front-end and back-end",
      subject);
}

Result<std::unique_ptr<RingSource>> open_ports(int pid, const std::string& socket) {
  auto memory = ProcessMemory::open(pid);
  if (!memory) return not_readable(pid, memory.error());
  const auto ports = read_port_notices(pid, *memory);
  if (!ports) return not_readable(pid, ports.error());
  const bool there = std::any_of(ports->begin(), ports->end(), [&socket](const NoticedPort& port) {
    return socket.empty() || port.socket_path == socket;
  });
  if (!there) return no_rings_in(pid, socket);
  return std::unique_ptr<RingSource>(std::make_unique<PortSource>(pid, *std::move(memory), socket));
}

/// `socket`: as for PortSource.
Result<std::unique_ptr<RingSource>> open_either(int pid, const std::string& socket) {
  if (const auto published = read_published(pid); published || published.error().code != ErrorCode::unsupported) {
    if (!published) return not_readable(pid, published.error());
    return std::unique_ptr<RingSource>(std::make_unique<RelaySource>(pid));
  }
  return open_ports(pid, socket);
}

}  // namespace

Result<std::unique_ptr<RingSource>> open_process(const std::string& pid_or_socket) {
  if (const auto pid = process_number(pid_or_socket)) return open_either(*pid, {});
  const auto listeners = find_listeners(pid_or_socket);
  if (!listeners) return listeners.error();
  for (const int pid : *listeners)
    if (auto source = open_either(pid, pid_or_socket); source || pid == listeners->back()) return source;
  return make_error(ErrorCode::invalid_argument, "nobody listens there");
}

Result<std::unique_ptr<RingSource>> open_qemu(const std::string& qmp_socket, std::optional<int> pid) {
  auto qmp = QmpClient::connect(qmp_socket, qmp_timeout);
  if (!qmp) return qmp.error();
  if (!pid) {
    const auto owner = qmp->socket_owner();
    if (!owner) return owner.error();
    pid = *owner;
  }
  auto memory = ProcessMemory::open(*pid);
  if (!memory) return memory.error();
  return std::unique_ptr<RingSource>(std::make_unique<Qemu>(*std::move(qmp), *std::move(memory), *pid));
}

}  // namespace vhostx::tools::probe
