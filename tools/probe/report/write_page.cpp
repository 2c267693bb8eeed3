// SPDX-License-Identifier: BSD-3-Clause
#include "tools/probe/report/write_page.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <memory>
#include <string_view>
#include <unistd.h>

#include <sys/stat.h>

#include "base/error.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::tools::probe {
namespace {

Result<void> write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return make_system_error(errno, "cannot write it");
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

std::string resolved(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : path;
}

// What the file had, or else what any new file gets: mkstemp(3) makes files that nobody else may read.
::mode_t mode_for(const struct stat* existing) {
  if (existing != nullptr) return existing->st_mode & 07777;
  const ::mode_t mask = ::umask(0);
  ::umask(mask);
  return 0666 & ~mask;
}

Result<void> write_in_place(const std::string& path, const std::string& text) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return make_system_error(errno, "cannot open it for writing");
  return write_all(fd.get(), text);
}

Result<void> fill(int fd, ::mode_t mode, const std::string& text) {
  if (auto written = write_all(fd, text); !written) return written;
  if (::fchmod(fd, mode) != 0) return make_system_error(errno, "cannot set its mode");
  // Else a crash of the machine could leave an empty file under the name.
  if (::fsync(fd) != 0) return make_system_error(errno, "cannot write it to the disk");
  return {};
}

Result<void> replace(const std::string& path, ::mode_t mode, const std::string& text) {
  std::string temporary = path + ".XXXXXX";
  const UniqueFd fd(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return make_system_error(errno, "cannot create a file beside it");
  auto done = fill(fd.get(), mode, text);
  if (done && ::rename(temporary.c_str(), path.c_str()) != 0) done = make_system_error(errno, "cannot put it in place");
  if (!done) ::unlink(temporary.c_str());
  return done;
}

}  // namespace

Result<void> write_page(const std::string& path, const std::string& text) {
  struct stat status {};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) return write_in_place(path, text);
  return replace(exists ? resolved(path) : path, mode_for(exists ? &status : nullptr), text);
}

}  // namespace vhostx::tools::probe
