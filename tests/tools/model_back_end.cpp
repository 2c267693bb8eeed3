// SPDX-License-Identifier: BSD-3-Clause
// One connection after the other, each with rings of its own.
#include "model_back_end.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <poll.h>
#include <stdexcept>

#include <sys/socket.h>

#include "model_session.hpp"
#include "tools/front_end/front_end.hpp"

namespace vhostx::test {
namespace {

/// Serves the connection until it ends. False: the model ends with it.
bool serve(Fault fault, UniqueFd socket, unsigned number, int stop) {
  ModelSession session(fault, std::move(socket), number);
  try {
    while (true) {
      // Rings are polled: a kick is looked at when it can start something.
      std::array<pollfd, 2> watched{{{session.fd(), POLLIN, 0}, {stop, POLLIN, 0}}};
      ::poll(watched.data(), watched.size(), 1);
      if (watched[1].revents != 0) return false;
      if (watched[0].revents != 0) session.serve_message();
      session.turn();
    }
  } catch (const ModelOver& over) {
    return !over.for_good && fault != Fault::serves_once;
  }
}

}  // namespace

ModelBackEnd::ModelBackEnd(Fault fault) : fault_(fault), directory_("/tmp/vhostx-model-XXXXXX") {
  if (::mkdtemp(directory_.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = directory_ + "/socket";
  listener_ = tools::FrontEnd::listen(path_).value();
  stop_ = EventFd::create().value();
  thread_ = std::thread([this] { run(); });
}

ModelBackEnd::~ModelBackEnd() {
  stop_.signal();
  thread_.join();
  std::filesystem::remove_all(directory_);
}

void ModelBackEnd::run() {
  std::array<pollfd, 2> watched{{{listener_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}}};
  for (unsigned number = 0;; ++number) {
    ::poll(watched.data(), watched.size(), -1);
    if (watched[1].revents != 0) return;
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket && !serve(fault_, std::move(socket), number, stop_.get())) break;
  }
  listener_.reset();
}

}  // namespace vhostx::test
