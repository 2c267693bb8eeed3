// SPDX-License-Identifier: BSD-3-Clause
#include "systemd/notify_socket.hpp"

#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string_view>
#include <system_error>
#include <systemd/sd-daemon.h>

#include "base/error.hpp"
#include "systemd/stored_name.hpp"

namespace vhostx::systemd {
namespace {

/// Of libsystemd's calls: more than 0 was sent, 0 is "no NOTIFY_SOCKET".
Result<void> sent(int returned, const char* what) {
  if (returned > 0) return {};
  if (returned == 0) return make_error(ErrorCode::closed, "{}: NOTIFY_SOCKET is not set any more", what);
  if (returned == -ETIMEDOUT) return make_error(ErrorCode::timed_out, "{}: systemd has not read it in time", what);
  return make_system_error(-returned, "{}", what);
}

/// As libsystemd allocates it, with all names.
class NameList {
 public:
  NameList() = default;
  NameList(const NameList&) = delete;
  NameList& operator=(const NameList&) = delete;
  ~NameList() {
    for (char** name = names_; name != nullptr && *name != nullptr; ++name) std::free(*name);
    std::free(names_);
  }
  char*** out() noexcept { return &names_; }
  const char* operator[](std::size_t index) const noexcept { return names_[index]; }

 private:
  char** names_ = nullptr;
};

}  // namespace

// FDPOLL=0: else a front-end could have its own descriptors dropped (an eventfd that overflows), and the next process
// would find a part of the connection.
Result<void> NotifySocket::store(const std::string& name, int fd) {
  const std::string message = "FDSTORE=1\nFDPOLL=0\nFDNAME=" + name;
  return sent(::sd_pid_notify_with_fds(0, 0, message.c_str(), &fd, 1), "giving systemd a descriptor");
}

Result<void> NotifySocket::remove(const std::string& name) {
  const std::string message = "FDSTOREREMOVE=1\nFDNAME=" + name;
  return sent(::sd_notify(0, message.c_str()), "having systemd remove a descriptor");
}

Result<void> NotifySocket::settle() {
  return sent(::sd_notify_barrier(0, static_cast<std::uint64_t>(settle_max_.count())), "a message to systemd");
}

Result<std::size_t> places_of_environment() {
  const char* const socket = std::getenv("NOTIFY_SOCKET");
  if (socket == nullptr || *socket == '\0')
    return make_error(ErrorCode::unsupported,
                      "systemd keeps nothing for this process: NOTIFY_SOCKET is not set; expected a service with "
                      "FileDescriptorStoreMax= and NotifyAccess=main");
  const char* const given = std::getenv("FDSTORE");
  if (given == nullptr) return std::numeric_limits<std::size_t>::max();
  const std::string_view text(given);
  std::size_t places = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), places);
  if (error != std::errc{} || end != text.data() + text.size() || places == 0)
    return make_error(ErrorCode::unsupported,
                      "systemd keeps nothing for this process: FDSTORE is '{}', expected the number of places that "
                      "FileDescriptorStoreMax= in its unit says",
                      text);
  return places;
}

Result<std::vector<Stored>> take_stored() {
  static std::atomic<bool> taken{false};
  if (taken.exchange(true))
    return make_error(ErrorCode::busy, "systemd's descriptor store was opened in this process before");
  NameList names;
  const int count = ::sd_listen_fds_with_names(0, names.out());
  if (count < 0)
    return invalid_argument("what systemd has kept cannot be read: LISTEN_FDS or LISTEN_FDNAMES: {}",
                            std::generic_category().message(-count));
  std::vector<Stored> stored;
  for (int i = 0; i < count; ++i)
    if (const std::string name = names[static_cast<std::size_t>(i)]; is_name_of_ours(name))
      stored.push_back({name, UniqueFd(SD_LISTEN_FDS_START + i)});
  return stored;
}

}  // namespace vhostx::systemd
