// SPDX-License-Identifier: BSD-3-Clause
// Names of descriptors in systemd's store (FDNAME): at most 255 printable ASCII characters without ':'.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <vhostx/result.hpp>

namespace vhostx::systemd {

/// Of an open file: "vhostx-1a" is number 26. Short, because all names together are one string of the environment.
std::string name_of_file(std::uint32_t number);
/// Of a bundle's SlotIndex: "vhostx@/run/vhostx/vm0.sock". What is neither a letter, a digit nor one of "/._-" becomes
/// %XX, so that different bundles have different names. Errors: invalid_argument (longer than systemd takes).
Result<std::string> name_of_index(std::string_view bundle);

/// Looks as these do, perhaps by another version: what else systemd passes has other names.
bool is_name_of_ours(std::string_view name) noexcept;
/// Only what name_of_file() gives.
std::optional<std::uint32_t> file_of_name(std::string_view name);
/// Only what name_of_index() gives.
std::optional<std::string> bundle_of_name(std::string_view name);

}  // namespace vhostx::systemd
