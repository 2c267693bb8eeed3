// SPDX-License-Identifier: BSD-3-Clause
// The messages between a keeper and its clients, one a packet of a Unix SOCK_SEQPACKET socket. Pure: no sockets here.
//
// A keeper holds *bundles*: descriptors by slot, under a name. A client claims a bundle and then owns it until it
// releases or parks it, or its connection ends. What a bundle holds stays while nobody owns it, for a grace time.
// Slot 0 is for the connected socket of a front-end: when its other end is closed, a bundle that nobody owns is
// dropped. Who does not own a bundle can look at copies of a port's own records in it, and gets no descriptor, unless
// it waits for the bundle and prepares itself.
//
// Both ends treat the other as hostile: numbers are checked, and a packet must end where its last field does. Numbers
// are in the machine's own byte order, as both ends are on one machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <vhostx/result.hpp>

namespace vhostx::continuity {

/// What HELLO and WELCOME say. Another number: other messages; the keeper refuses the client.
inline constexpr std::uint32_t keeper_version = 2;
/// A socket's path fits: sun_path has 108 bytes, the last is 0.
inline constexpr std::size_t name_bytes_max = 107;
/// Slots of a bundle: the three eventfds of 256 vrings, 509 regions of memory, and room.
inline constexpr std::uint32_t slots_max = 2048;
/// The slot whose socket tells the keeper that the front-end has gone.
inline constexpr std::uint32_t front_end_slot = 0;
/// Descriptors of one GRANTED packet.
inline constexpr std::size_t granted_fds_max = 16;
/// Bytes of the text of FAILED.
inline constexpr std::size_t text_bytes_max = 512;
/// Bytes of a file that one SHOWN brings.
inline constexpr std::size_t shown_bytes_max = 8192;
/// Bytes of a packet: the largest is LISTED with slots_max slots.
inline constexpr std::size_t packet_bytes_max = 4 * slots_max + 512;

/// How long a claim waits for a bundle that another client owns.
enum class ClaimHow : std::uint32_t {
  now,        ///< Refused at once, with the owner's process.
  stand_by,   ///< Granted when the owner releases or parks the bundle, or its connection ends.
  hand_over,  ///< The same, and the owner is asked to release it (YIELD).
};

enum class PacketType : std::uint16_t {
  hello = 1,
  claim = 2,
  cancel = 3,
  hold = 4,
  drop = 5,
  forget = 6,
  release = 7,
  park = 8,
  list = 9,
  settle = 10,
  ask = 11,
  look = 12,
  prepare = 13,
  welcome = 101,
  granted = 102,
  refused = 103,
  yield_asked = 104,
  cancelled = 105,
  listed = 106,
  list_end = 107,
  failed = 108,
  settled = 109,
  shown = 110,
  prepared = 111,
  granted_prepared = 112,
  changed = 113,
};

/// Name of a type in messages, e.g. "HOLD"; "UNKNOWN" for other values.
const char* to_string(PacketType type) noexcept;

// What clients send. HELLO comes first and is answered by WELCOME.

struct Hello {
  static constexpr PacketType type = PacketType::hello;
  std::uint32_t version = keeper_version;
};
/// Makes the bundle if there is none. Answered by GRANTED (one or several packets), or REFUSED if `how` is `now` and
/// another client owns it. The owner may claim again what it owns, and gets the descriptors again.
struct Claim {
  static constexpr PacketType type = PacketType::claim;
  std::string name;
  ClaimHow how = ClaimHow::now;
};
/// Ends a claim that waits. Answered by CANCELLED, also if there is none: it may have been granted just before.
struct Cancel {
  static constexpr PacketType type = PacketType::cancel;
  std::string name;
};
/// Brings one descriptor, which takes the place of what the slot holds. As with the following five there is no answer
/// if it succeeds: a packet that was sent reaches the keeper even if its sender is killed right after. FAILED if it
/// does not, e.g. because the client does not own the bundle.
struct Hold {
  static constexpr PacketType type = PacketType::hold;
  std::string name;
  std::uint32_t slot = 0;
};
/// Empties a slot. An empty one stays empty.
struct Drop {
  static constexpr PacketType type = PacketType::drop;
  std::string name;
  std::uint32_t slot = 0;
};
/// Empties all slots. The client stays the owner, and claims that wait go on waiting.
struct Forget {
  static constexpr PacketType type = PacketType::forget;
  std::string name;
};
/// Gives the ownership up. What the bundle holds stays for the keeper's grace time; an empty bundle ends.
struct Release {
  static constexpr PacketType type = PacketType::release;
  std::string name;
};
/// The same with a grace time of its own; 0: what it holds is dropped unless a claim waits.
struct Park {
  static constexpr PacketType type = PacketType::park;
  std::string name;
  std::uint32_t grace_ms = 0;
};
/// The owner serves what the bundle is for, and does so for good: clients whose claims wait are told (SETTLED), and
/// those that stand by later. One that yielded need not be ready to go on any more.
struct Settle {
  static constexpr PacketType type = PacketType::settle;
  std::string name;
};
/// This client's claim that stands by is one that asks from now on, as if it had been made with `hand_over`. Without
/// one nothing happens: it may have been granted just before.
struct Ask {
  static constexpr PacketType type = PacketType::ask;
  std::string name;
};
/// Answered by a LISTED for each bundle, in the order of their names, and LIST_END.
struct List {
  static constexpr PacketType type = PacketType::list;
};
/// Asks for bytes of a memory file from `offset` on, whoever owns the bundle. Answered by SHOWN. FAILED: no such
/// bundle; another slot than record_slot and own_inflight_slot; or what the slot holds is no memory file that is sealed
/// against shrinking. The bytes are a copy, as a descriptor of a memory file that was opened
/// for reading can be opened again for writing (/proc/self/fd).
struct Look {
  static constexpr PacketType type = PacketType::look;
  std::string name;
  std::uint32_t slot = 0;
  std::uint64_t offset = 0;
};
/// Asks for what a bundle holds that this client's claim waits for, to get ready with. Answered by PREPARED. FAILED if
/// no claim of this client waits: it may have been granted just before.
struct Prepare {
  static constexpr PacketType type = PacketType::prepare;
  std::string name;
};

// What the keeper sends.

struct Welcome {
  static constexpr PacketType type = PacketType::welcome;
  std::uint32_t version = keeper_version;
};
/// Slots `first` to `first + slots.size() - 1` of `total`, in ascending order, with a descriptor for each. The packets
/// of one grant follow each other. `total` 0: one packet.
struct Granted {
  static constexpr PacketType type = PacketType::granted;
  std::string name;
  std::uint32_t total = 0;
  std::uint32_t first = 0;
  std::vector<std::uint32_t> slots;
};
/// The same, while another client owns the bundle.
struct Prepared : Granted {
  static constexpr PacketType type = PacketType::prepared;
};
/// In place of GRANTED: the bundle holds what the last PREPARED has brought, and nothing else.
struct GrantedPrepared {
  static constexpr PacketType type = PacketType::granted_prepared;
  std::string name;
};
/// It does not hold that any more. Comes once for each PREPARE.
struct Changed {
  static constexpr PacketType type = PacketType::changed;
  std::string name;
};
struct Refused {
  static constexpr PacketType type = PacketType::refused;
  std::string name;
  std::uint32_t owner_pid = 0;  ///< 0: not known here.
};
/// Another client asks for a bundle that this one owns.
struct YieldAsked {
  static constexpr PacketType type = PacketType::yield_asked;
  std::string name;
  std::uint32_t asker_pid = 0;  ///< 0: not known here.
};
struct Cancelled {
  static constexpr PacketType type = PacketType::cancelled;
  std::string name;
};
/// What a keeper knows of a bundle. Times are in milliseconds, at the moment of the answer.
struct BundleFacts {
  std::string name;
  std::vector<std::uint32_t> slots;  ///< In ascending order.
  bool owned = false;
  std::uint32_t owner_pid = 0;      ///< 0: nobody, or not known here.
  std::uint32_t front_end_pid = 0;  ///< Who connected the socket in slot 0; 0: none, or not known here.
  std::uint64_t front_end_ms = 0;   ///< Since slot 0 was filled; 0: it is empty.
  std::uint64_t owner_ms = 0;       ///< Since the owner has it, or since it has none.
  std::uint64_t grace_ms = 0;       ///< Until it is dropped; 0 if it is owned.
};
struct Listed {
  static constexpr PacketType type = PacketType::listed;
  BundleFacts bundle;
};
struct ListEnd {
  static constexpr PacketType type = PacketType::list_end;
  std::uint32_t bundles = 0;
};
/// A request failed. `request` and the packet's tag say which. `name` is empty if it had none.
struct Failed {
  static constexpr PacketType type = PacketType::failed;
  PacketType request = PacketType::hello;
  ErrorCode code = ErrorCode::invalid_argument;
  std::string name;
  std::string text;
};

/// The owner of a bundle that this client waits for has sent SETTLE.
struct Settled {
  static constexpr PacketType type = PacketType::settled;
  std::string name;
  std::uint32_t owner_pid = 0;  ///< 0: not known here.
};
/// At most shown_bytes_max bytes, as they were at one moment or while their owner changed them. None: the file ends
/// there.
struct Shown {
  static constexpr PacketType type = PacketType::shown;
  std::vector<std::byte> bytes;
};

using Request = std::variant<Hello, Claim, Cancel, Hold, Drop, Forget, Release, Park, List, Settle, Ask, Look, Prepare>;
using Reply = std::variant<Welcome, Granted, Refused, YieldAsked, Cancelled, Listed, ListEnd, Failed, Settled, Shown,
                           Prepared, GrantedPrepared, Changed>;

/// A message with the number that a client gives its request. Answers have the number of their request; YIELD, SETTLED
/// and CHANGED have 0.
template <typename Body>
struct Tagged {
  std::uint32_t tag = 0;
  Body body;
};

/// Encodes a message whose names and lists keep to the bounds above (asserted). At most packet_bytes_max bytes.
std::vector<std::byte> encode(const Tagged<Request>& request);
std::vector<std::byte> encode(const Tagged<Reply>& reply);

/// `fds`: how many descriptors came with the packet. Error: protocol_violation, with what was wrong.
Result<Tagged<Request>> decode_request(std::span<const std::byte> packet, std::size_t fds);
Result<Tagged<Reply>> decode_reply(std::span<const std::byte> packet, std::size_t fds);

/// How many descriptors belong to the message.
std::size_t fds_of(const Request& request) noexcept;
std::size_t fds_of(const Reply& reply) noexcept;

/// What brings descriptors: GRANTED or PREPARED; null: neither.
const Granted* grant_of(const Reply& reply) noexcept;

/// The message's type, and the request's bundle; empty if it has none.
PacketType type_of(const Request& request) noexcept;
PacketType type_of(const Reply& reply) noexcept;
const std::string& name_of(const Request& request) noexcept;

/// Error: invalid_argument. A name has 1 to name_bytes_max bytes, none of them 0.
Result<void> check_name(std::string_view name);

}  // namespace vhostx::continuity
