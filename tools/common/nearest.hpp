// SPDX-License-Identifier: BSD-3-Clause
// "Did you mean ...?"
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vhostx::tools {

/// Letters to insert, delete, replace, or swap with their neighbour, until one word is the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The known word that a person most likely meant: the nearest one, if at most a third of the letters differ. Empty: no
/// word is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

/// ": did you mean 'X'?", or nothing where no known word is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace vhostx::tools
