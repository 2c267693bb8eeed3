// SPDX-License-Identifier: BSD-3-Clause
// ControlServer: Asio on one thread.
#include "tools/switch/control_server.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <fcntl.h>
#include <list>
#include <mutex>
#include <pthread.h>
#include <sched.h>
#include <system_error>
#include <thread>
#include <vector>

#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/post.hpp>
#include <asio/steady_timer.hpp>
#include <fmt/format.h>

#include "tools/switch/control_connection.hpp"
#include "tools/switch/metrics_address.hpp"

namespace vhostx::tools {

struct ControlServer::State {
  State(MetricsSocket where, std::function<ControlAnswer(std::string_view)> how, const Patience& limits)
      : socket(std::move(where)), answer(std::move(how)), patience(limits) {}
  ~State() { remove_file(socket); }

  void accept();
  void accept_later();
  void welcome(ControlConnection::Socket client);
  void note_change(ControlConnection& client, bool follows);
  void run() noexcept;
  void tell_all();

  const MetricsSocket socket;
  const std::function<ControlAnswer(std::string_view)> answer;
  const Patience patience;
  asio::io_context io{1};
  asio::local::stream_protocol::acceptor acceptor{io};
  asio::steady_timer pause{io};
  std::list<std::shared_ptr<ControlConnection>> clients;  // oldest first
  std::atomic<std::size_t> followers{0};
  std::mutex lock;
  std::vector<std::string> told;    // under lock: events that no client has yet
  std::size_t told_bytes = 0;       // under lock
  std::uint64_t told_left_out = 0;  // under lock: for which there was no room behind those
  bool accepts = false;
  std::thread thread;
};

void ControlServer::State::accept() {
  acceptor.async_accept([this](const std::error_code& error, ControlConnection::Socket client) {
    accepts = false;
    if (error) return accept_later();
    accept();
    welcome(std::move(client));
  });
  accepts = true;
}

/// No descriptor or no memory: trying at once would not bring any.
void ControlServer::State::accept_later() {
  pause.expires_after(std::chrono::milliseconds(100));
  pause.async_wait([this](const std::error_code& error) {
    if (!error && !accepts) accept();
  });
}

/// The oldest one goes: whoever holds connections open to keep others out keeps out nobody.
void ControlServer::State::welcome(ControlConnection::Socket socket_of_client) {
  const auto client =
      std::make_shared<ControlConnection>(std::move(socket_of_client), patience, answer,
                                          [this](ControlConnection& one, bool follows) { note_change(one, follows); });
  clients.push_back(client);
  client->read_request();
  if (clients.size() > clients_max) {
    const auto oldest = clients.front();
    oldest->end();
  }
}

void ControlServer::State::note_change(ControlConnection& client, bool follows) {
  if (follows) {
    ++followers;
    return;
  }
  if (client.follows()) --followers;
  clients.remove_if([&](const auto& one) { return one.get() == &client; });
}

void ControlServer::State::run() noexcept {
  pthread_setname_np(pthread_self(), "vhostx-ctl");
  // Workers may stand still for it: it gives way to nobody, as the thread that starts it may.
  const sched_param none{};
  if (sched_getscheduler(0) == SCHED_BATCH) sched_setscheduler(0, SCHED_OTHER, &none);
  while (!io.stopped()) {
    try {
      if (!accepts) accept_later();
      io.run();
    } catch (const std::exception&) {  // no memory: that client is lost, the others are served
    }
  }
}

void ControlServer::State::tell_all() {
  std::vector<std::string> events;
  std::uint64_t left_out = 0;
  {
    const std::lock_guard guard(lock);
    events.swap(told);
    told_bytes = 0;
    std::swap(left_out, told_left_out);
  }
  for (const auto& client : clients) {
    if (!client->follows()) continue;
    for (const auto& event : events) client->tell(event);
    client->miss(left_out);
  }
}

Result<std::unique_ptr<ControlServer>> ControlServer::open(const std::string& path,
                                                           std::function<ControlAnswer(std::string_view)> answer,
                                                           const Patience& patience) try {
  MetricsAddress address;
  address.path = path;
  auto socket = listen_at(address, "--control", 0600);
  if (!socket) return socket.error();
  auto state = std::make_unique<State>(*std::move(socket), std::move(answer), patience);
  const int listener = state->socket.fd.get();
  state->acceptor.assign(asio::local::stream_protocol(), ::fcntl(listener, F_DUPFD_CLOEXEC, 0));
  state->accept();
  auto server = std::make_unique<ControlServer>(std::move(state));
  server->state_->thread = std::thread([&served = *server->state_] { served.run(); });
  return server;
} catch (const std::system_error& error) {
  return Error{ErrorCode::system, fmt::format("--control {}: {}", path, error.what()), error.code().value()};
}

ControlServer::ControlServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

ControlServer::~ControlServer() {
  state_->io.stop();
  if (state_->thread.joinable()) state_->thread.join();
}

bool ControlServer::is_followed() const noexcept { return state_->followers.load(std::memory_order_relaxed) != 0; }

/// What the thread has not taken is bounded as well: it may be busy with a request.
void ControlServer::tell(const std::string& event) {
  {
    const std::lock_guard guard(state_->lock);
    if (state_->told_bytes + event.size() > waiting_max) {
      ++state_->told_left_out;
      return;
    }
    state_->told_bytes += event.size();
    state_->told.push_back(event);
    if (state_->told.size() != 1) return;
  }
  asio::post(state_->io, [state = state_.get()] { state->tell_all(); });
}

}  // namespace vhostx::tools
