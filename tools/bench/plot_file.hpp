// SPDX-License-Identifier: BSD-3-Clause
// PlotFile: where a plot will be written, opened before there is one to write.
#pragma once

#include <string>
#include <string_view>

#include <vhostx/result.hpp>

#include "base/unique_fd.hpp"

namespace vhostx::tools::bench {

/// What the file held before stays until write(); a file that was made here and never written is removed.
class PlotFile {
 public:
  static Result<PlotFile> open(const std::string& path);
  ~PlotFile();
  PlotFile(PlotFile&& other) noexcept;
  PlotFile& operator=(PlotFile&&) = delete;

  /// Once, in place of what was there.
  Result<void> write(std::string_view text);

 private:
  PlotFile(std::string path, UniqueFd fd, bool made) noexcept
      : path_(std::move(path)), fd_(std::move(fd)), made_(made) {}

  std::string path_;
  UniqueFd fd_;
  bool made_;  ///< And nothing is in it yet.
};

}  // namespace vhostx::tools::bench
