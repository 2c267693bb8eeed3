// SPDX-License-Identifier: BSD-3-Clause
// A file that is there as a whole or as it was.
#pragma once

#include <string>

#include <vhostx/result.hpp>

namespace vhostx::tools::probe {

/// Puts `text` in the place of the file at `path`, which keeps what it has until all of it is written. What is there
/// and no file (a pipe, /dev/null) is written to as it is; a link's target is replaced, not the link.
Result<void> write_page(const std::string& path, const std::string& text);

}  // namespace vhostx::tools::probe
