// SPDX-License-Identifier: BSD-3-Clause
// A whole message from its bytes, with all checks, as a channel makes it from what it reads in pieces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <vhostx/result.hpp>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "protocol/codec.hpp"
#include "protocol/message.hpp"

namespace vhostx::protocol {

/// The returned message owns `fds`; after an error they are closed.
inline Result<Message> decode(Incoming incoming, std::span<const std::byte> bytes, std::vector<UniqueFd> fds) {
  if (bytes.size() < message_header_bytes)
    return protocol_violation("message of {} bytes, expected a header of {}", bytes.size(), message_header_bytes);
  const Header header = decode_header(bytes.first<message_header_bytes>());
  const auto row = check_header(incoming, header);
  if (!row) return row.error();
  const std::string name = request_name(incoming, header.request);
  if (bytes.size() != message_header_bytes + header.size)
    return protocol_violation("{}: {} bytes behind the header, expected {}", name, bytes.size() - message_header_bytes,
                              header.size);
  Message message(header, *row);
  std::ranges::copy(bytes.subspan(message_header_bytes), message.payload().begin());
  for (UniqueFd& fd : fds)
    if (!message.add_fd(std::move(fd)))
      return protocol_violation("{}: {} descriptors, expected at most {}", name, fds.size(), fds_max);
  if (auto checked = check_message(incoming, message); !checked) return checked.error();
  return message;
}

}  // namespace vhostx::protocol
