// SPDX-License-Identifier: BSD-3-Clause
#include "c/sized.hpp"

#include "base/error.hpp"

namespace vhostx::c {

Result<void> check_sized(const void* given, std::size_t ours, const char* name) {
  std::size_t size;
  std::memcpy(&size, given, sizeof size);
  if (size < sizeof size || size > struct_bytes_max)
    return make_error(ErrorCode::invalid_argument, "{}: size is {}, expected {} (was it initialised?)", name, size,
                      ours);
  const auto* const bytes = static_cast<const unsigned char*>(given);
  for (std::size_t i = ours; i < size; ++i)
    if (bytes[i] != 0)
      return make_error(ErrorCode::unsupported,
                        "{}: byte {} is set, but this library knows {} bytes only: it is older than the program", name,
                        i, ours);
  return {};
}

}  // namespace vhostx::c
