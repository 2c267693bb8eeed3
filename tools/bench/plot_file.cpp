// SPDX-License-Identifier: BSD-3-Clause
#include "tools/bench/plot_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "base/error.hpp"
#include "tools/common/paths.hpp"

namespace vhostx::tools::bench {

Result<PlotFile> PlotFile::open(const std::string& path) {
  constexpr int flags = O_WRONLY | O_CREAT | O_CLOEXEC;
  constexpr mode_t mode = 0666;
  UniqueFd fd(::open(path.c_str(), flags | O_EXCL, mode));
  const bool made = static_cast<bool>(fd);
  if (!made && errno == EEXIST) fd = UniqueFd(::open(path.c_str(), flags, mode));
  if (!fd) {
    const int error = errno;
    return Error{ErrorCode::system, "--plot " + path + ": " + why_not(path, error), error};
  }
  return PlotFile(path, std::move(fd), made);
}

PlotFile::PlotFile(PlotFile&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::move(other.fd_)), made_(std::exchange(other.made_, false)) {}

PlotFile::~PlotFile() {
  if (made_) ::unlink(path_.c_str());
}

Result<void> PlotFile::write(std::string_view text) {
  made_ = false;
  // A pipe or a terminal has no length.
  if (::ftruncate(fd_.get(), 0) != 0 && errno != EINVAL) return make_system_error(errno, "--plot {}", path_);
  while (!text.empty()) {
    const ssize_t written = ::write(fd_.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return make_system_error(errno, "--plot {}", path_);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace vhostx::tools::bench
