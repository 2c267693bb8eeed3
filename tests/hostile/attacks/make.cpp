// SPDX-License-Identifier: BSD-3-Clause
#include "tests/hostile/attacks/make.hpp"

#include <array>
#include <fcntl.h>
#include <unistd.h>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

namespace vhostx::hostile {

using namespace protocol;

namespace {
UniqueFd sure(int fd, const char* what) {
  if (fd < 0) throw tools::probe::Decided{tools::probe::failed("this machine has no {}", what)};
  return UniqueFd(fd);
}
}  // namespace

Message of_length(Request request, std::size_t bytes) {
  return make_message({id_of(request), Header::version_1, static_cast<std::uint32_t>(bytes)},
                      std::vector<std::byte>(bytes));
}

Message unknown_request(std::uint32_t request) { return make_message({request, Header::version_1, 0}, {}); }

Message number(Request request, std::uint64_t value) { return make_request(request, U64{value}); }

Message ring_state(Request request, std::uint32_t index, std::uint32_t value) {
  return make_request(request, VringState{index, value});
}

Message with_fd(Message message, UniqueFd fd) {
  message.add_fd(std::move(fd));
  return message;
}

Group::Run laid_out(std::function<void(VringAddress&, const MemoryRegion&)> change) {
  return [change = std::move(change)](Attacker& attacker) {
    Guest& guest = attacker.guest();
    guest.describe(0, 0);
    VringAddress at = guest.ring(0).addresses(0);
    change(at, guest.memory().description(0));
    guest.link().change(make_request(Request::set_vring_addr, at));
    attacker.wrong(with_fd(number(Request::set_vring_kick, 0), event_fd(1)));
  };
}

UniqueFd event_fd(unsigned value, int flags) { return sure(::eventfd(value, EFD_CLOEXEC | flags), "eventfd"); }

UniqueFd memory_file(std::size_t bytes, unsigned flags) {
  UniqueFd file = sure(::memfd_create("vhostx-hostile", MFD_CLOEXEC | flags), "memory file");
  sure(::ftruncate(file.get(), static_cast<off_t>(bytes)) == 0 ? ::dup(file.get()) : -1, "memory for a file");
  return file;
}

UniqueFd broken_pipe() {
  std::array<int, 2> ends{};
  sure(::pipe2(ends.data(), O_CLOEXEC) == 0 ? ends[0] : -1, "pipe");
  return UniqueFd(ends[1]);
}

UniqueFd socket_end() { return sure(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"); }
UniqueFd opened(const char* path, int flags) { return sure(::open(path, flags | O_CLOEXEC), path); }
UniqueFd timer_fd() { return sure(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd"); }
UniqueFd epoll_fd() { return sure(::epoll_create1(EPOLL_CLOEXEC), "epoll"); }

}  // namespace vhostx::hostile
