// SPDX-License-Identifier: BSD-3-Clause
#include "systemd/stored_files.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <unistd.h>
#include <utility>

#include <linux/kcmp.h>
#include <sys/syscall.h>

#include "base/error.hpp"
#include "systemd/stored_name.hpp"

namespace vhostx::systemd {
namespace {

/// 0: the same open file; 1: the first comes before the second; 2: after it; -1: errno.
long compare_files(int a, int b) noexcept {
  const pid_t self = ::getpid();
  return ::syscall(SYS_kcmp, self, self, KCMP_FILE, a, b);
}

UniqueFd duplicate_of(int fd, ReleaseTicket ticket) noexcept {
  return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0), std::move(ticket));
}

}  // namespace

Result<void> check_kcmp() {
  const UniqueFd a(::open("/", O_PATH | O_CLOEXEC));
  if (compare_files(a.get(), a.get()) == 0) return {};
  return make_error(ErrorCode::unsupported, "kcmp(2) is needed to know what systemd has stored: {}",
                    std::generic_category().message(errno));
}

bool StoredFiles::Order::operator()(int a, int b) const noexcept { return compare_files(a, b) == 1; }

void StoredFiles::found(std::uint32_t number, UniqueFd fd) {
  room_.found(name_of_file(number));
  reserve(number);
  const auto file = files_.emplace(number, File{std::move(fd), 0}).first;
  numbers_.emplace(file->second.fd.get(), number);
}

Result<std::uint32_t> StoredFiles::use(int fd, Releases& releases) {
  if (const auto known = numbers_.find(fd); known != numbers_.end()) {
    ++files_.at(known->second).uses;
    return known->second;
  }
  if (last_number_ == std::numeric_limits<std::uint32_t>::max())
    return make_error(ErrorCode::limit, "systemd's store has had {} descriptors, which are all that have a name",
                      last_number_);
  UniqueFd duplicate = duplicate_of(fd, releases.ticket());
  if (!duplicate) return make_system_error(errno, "duplicating a descriptor");
  const std::uint32_t number = last_number_ + 1;
  const auto file = files_.emplace(number, File{std::move(duplicate), 1}).first;
  numbers_.emplace(file->second.fd.get(), number);
  last_number_ = number;
  auto stored = room_.store(name_of_file(number), fd);
  if (stored) return number;
  forget(file);
  return stored.error();
}

bool StoredFiles::use(std::uint32_t number) noexcept {
  const auto file = files_.find(number);
  if (file == files_.end()) return false;
  ++file->second.uses;
  return true;
}

Result<void> StoredFiles::unuse(std::uint32_t number) {
  const auto file = files_.find(number);
  if (file == files_.end() || --file->second.uses != 0) return {};
  return remove(file);
}

Result<void> StoredFiles::remove_unused() {
  Result<void> done;
  for (auto file = files_.begin(); file != files_.end();) {
    const auto next = std::next(file);
    if (file->second.uses == 0)
      if (auto removed = remove(file); !removed) done = std::move(removed);
    file = next;
  }
  return done;
}

void StoredFiles::reserve(std::uint32_t number) noexcept { last_number_ = std::max(last_number_, number); }

Result<UniqueFd> StoredFiles::duplicate(std::uint32_t number) const {
  const auto file = files_.find(number);
  if (file == files_.end()) return UniqueFd();
  UniqueFd fd = duplicate_of(file->second.fd.get(), {});
  if (!fd) return make_system_error(errno, "duplicating a descriptor");
  return fd;
}

Result<void> StoredFiles::remove(Files::iterator file) {
  const std::string name = name_of_file(file->first);
  forget(file);
  return room_.remove(name);
}

// What was found may be one open file under two numbers.
void StoredFiles::forget(Files::iterator file) noexcept {
  const auto number = numbers_.find(file->second.fd.get());
  if (number != numbers_.end() && number->second == file->first) numbers_.erase(number);
  files_.erase(file);
}

}  // namespace vhostx::systemd
