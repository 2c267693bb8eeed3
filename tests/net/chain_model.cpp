// SPDX-License-Identifier: BSD-3-Clause
#include "tests/net/chain_model.hpp"

#include <algorithm>
#include <cstring>

namespace vhostx::test {
namespace {

constexpr std::uint16_t next_flag = 1;
constexpr std::uint16_t write_flag = 2;
constexpr std::uint16_t indirect_flag = 4;
constexpr std::size_t bad_heads_max = 8;
constexpr std::size_t packet_max = 65535 + 40 + 14 + 8;

/// A descriptor with the flags that matter, and `next`: a packed ring's says where it goes on as a split one's does.
GuestDescriptor unpack(const std::uint8_t* bytes, bool packed) {
  GuestDescriptor one;
  std::memcpy(&one, bytes, sizeof one);
  if (packed) std::swap(one.flags, one.next);  // the id comes before the flags
  return one;
}

/// A chain that is available.
struct ModelHead {
  std::uint16_t id = 0;
  std::uint32_t at = 0;
  std::uint32_t entries = 0;  ///< In a packed ring; 0: more than there can be.
  bool has_gap = false;       ///< An entry behind the first is not available.
};

/// Of a packed ring, as it is now: one entry after the other, while they are available.
std::vector<ModelHead> packed_heads(const ModelRing& ring) {
  std::vector<ModelHead> heads;
  std::uint32_t index = ring.start.index();
  bool wrap = ring.start.wrap();
  const auto entry = [&] { return unpack(ring.guest.at(ring.table + index * 16), true); };
  for (std::uint32_t left = ring.size; left != 0;) {
    const std::uint16_t flags = entry().flags;
    if (((flags & 0x80) != 0) != wrap || ((flags & 0x8000) != 0) == wrap) break;
    ModelHead head{.at = index};
    for (bool more = true; more; --left) {
      if (left == 0) {
        head.entries = 0;
        heads.push_back(head);
        return heads;
      }
      ++head.entries;
      head.has_gap |= !virtqueue::PackedPosition{static_cast<std::uint16_t>(index | (wrap ? 0x8000 : 0))}.is_available(
          entry().flags);
      head.id = entry().next;
      more = (entry().flags & next_flag) != 0;
      index = index + 1 == ring.size ? 0 : index + 1;
      if (index == 0) wrap = !wrap;
    }
    heads.push_back(head);
  }
  return heads;
}

std::vector<ModelHead> heads_of(const ModelRing& ring) {
  if (ring.is_packed()) return packed_heads(ring);
  std::vector<ModelHead> heads;
  for (const std::uint16_t head : ring.heads) heads.push_back({head, head, 1});
  return heads;
}

bool depends_on_bursts(const std::vector<ModelHead>& heads, bool to_guest) {
  const bool reaches_round = heads.size() > 1 && heads.back().entries == 0;
  const auto has_gap = [](const ModelHead& head) { return head.has_gap; };
  return reaches_round || (to_guest && std::any_of(heads.begin(), heads.end(), has_gap));
}

/// Every entry is available.
bool is_full(const ModelRing& ring, const std::vector<ModelHead>& heads) {
  if (!ring.is_packed()) return heads.size() == ring.size;
  for (std::uint32_t i = 0; i < ring.size; ++i) {
    const auto place = ring.start.after(i, ring.size);
    if (!place.is_available(unpack(ring.guest.at(ring.table + place.index() * 16), true).flags)) return false;
  }
  return true;
}

struct Piece {
  std::uint64_t address;
  std::uint64_t length;
};

/// One chain, piece by piece; a piece lies in one region.
class ModelChain {
 public:
  ModelChain(const ModelRing& ring, const ModelHead& head, bool writable, ModelResult& result)
      : ring_(ring),
        result_(result),
        writable_(writable),
        left_(head.entries),
        table_(ring.table),
        entries_(ring.size) {
    if (left_ == 0)
      fail(VringFaultCause::chain_too_long);
    else
      open(head.at);
  }

  /// Nothing at the end, and where the chain lies.
  std::optional<Piece> next() {
    while (fault_ == VringFaultCause::none) {
      if (now_.length != 0) return take_piece();
      if ((now_.flags & next_flag) == 0) return {};
      open(now_.next);
    }
    return {};
  }
  VringFaultCause fault() const { return fault_; }

 private:
  void open(std::uint64_t entry) {
    if (entry >= entries_) return fail(VringFaultCause::bad_next);
    if (!load(entry)) return;
    if (++walked_ > ring_.size) return fail(VringFaultCause::chain_too_long);
    if ((now_.flags & indirect_flag) != 0) open_table();
    if (fault_ == VringFaultCause::none && ((now_.flags & write_flag) != 0) != writable_)
      fail(VringFaultCause::wrong_direction);
  }

  void open_table() {
    if (!ring_.indirect) return fail(VringFaultCause::indirect_unsupported);
    const bool whole = now_.length != 0 && now_.length % 16 == 0;
    if (nested_ || !whole || (now_.flags & next_flag) != 0) return fail(VringFaultCause::bad_indirect);
    nested_ = true;
    table_ = now_.address;
    entries_ = now_.length / 16;
    if (load(0) && (now_.flags & indirect_flag) != 0) fail(VringFaultCause::bad_indirect);
  }

  bool load(std::uint64_t entry) {
    std::uint8_t bytes[16];
    for (std::uint64_t i = 0; i < 16; ++i) {
      const std::uint64_t address = table_ + entry * 16 + i;
      if (left_in_region(address) == 0) {
        fail(VringFaultCause::outside_memory);
        return false;
      }
      bytes[i] = *ring_.guest.at(address);
      result_.table_written = result_.table_written || result_.memory.contains(address);
    }
    now_ = unpack(bytes, ring_.is_packed());
    if (ring_.is_packed()) follow(entry);
    return true;
  }

  /// In a packed ring the chain's length was known before, and each descriptor is followed by its neighbour. In a table
  /// that is read no flag says that it may not be.
  void follow(std::uint64_t entry) {
    const bool more = nested_ ? entry + 1 < entries_ : --left_ != 0;
    const int kept = nested_ && !writable_ ? indirect_flag : write_flag | indirect_flag;
    now_.flags = static_cast<std::uint16_t>((now_.flags & kept) | (more ? next_flag : 0));
    now_.next = static_cast<std::uint16_t>((entry + 1) % entries_);
  }

  std::optional<Piece> take_piece() {
    const std::uint64_t left = left_in_region(now_.address);
    if (left == 0) {
      fail(VringFaultCause::outside_memory);
      return {};
    }
    const Piece piece{now_.address, std::min<std::uint64_t>(left, now_.length)};
    now_.address += piece.length;
    now_.length -= static_cast<std::uint32_t>(piece.length);
    return piece;
  }

  std::uint64_t left_in_region(std::uint64_t address) const {
    for (const auto& region : ring_.regions)
      if (address >= region.guest && address - region.guest < region.size)
        return region.size - (address - region.guest);
    return 0;
  }

  void fail(VringFaultCause cause) { fault_ = cause; }

  const ModelRing& ring_;
  ModelResult& result_;
  bool writable_;
  bool nested_ = false;
  std::uint32_t left_;  // of a packed ring's own entries
  std::uint64_t table_;
  std::uint64_t entries_;
  std::uint64_t walked_ = 0;
  GuestDescriptor now_;
  VringFaultCause fault_ = VringFaultCause::none;
};

enum class Outcome { delivered, dropped, broken, no_buffers, no_header, too_large };

/// From the guest: one chain. What it holds behind the header becomes a packet, or is counted.
class ModelReceiver {
 public:
  explicit ModelReceiver(const ModelRing& ring) : ring_(ring) {}

  ModelResult run() {
    const auto heads = heads_of(ring_);
    result_.depends_on_bursts = depends_on_bursts(heads, false);
    for (const ModelHead& head : heads) {
      if (head.at >= ring_.size) {
        if (++result_.bad_heads < bad_heads_max) continue;
        result_.fault = VringFaultCause::bad_head;
        break;
      }
      if (!take(head)) break;
      result_.used.push_back({head.id, 0});
      result_.used_entries.push_back(head.entries);
    }
    return result_;
  }

 private:
  bool take(const ModelHead& head) {
    ModelChain chain(ring_, head, false, result_);
    std::vector<std::uint8_t> bytes;
    while (const auto piece = chain.next()) {
      const std::uint8_t* from = ring_.guest.at(piece->address);
      for (std::uint64_t i = 0; i < piece->length; ++i) {
        bytes.push_back(from[i]);
        if (bytes.size() <= ring_.net_header_bytes + packet_max) continue;
        ++result_.drop_large;
        return true;
      }
    }
    if (chain.fault() != VringFaultCause::none) {
      result_.fault = chain.fault();
      return false;
    }
    judge(bytes);
    return true;
  }

  void judge(const std::vector<std::uint8_t>& bytes) {
    if (bytes.size() < ring_.net_header_bytes + 14) {
      ++result_.drop_short;
      return;
    }
    const bool partial_checksum = (bytes[0] & 1) != 0;  // CSUM was not negotiated
    if (partial_checksum || bytes[1] != 0) {
      ++result_.drop_header;
      return;
    }
    result_.packets.emplace_back(bytes.begin() + ring_.net_header_bytes, bytes.end());
  }

  const ModelRing& ring_;
  ModelResult result_;
};

/// To the guest: chains are taken until the packet fits, all of them or none.
class ModelSender {
 public:
  explicit ModelSender(const ModelRing& ring) : ring_(ring), heads_(heads_of(ring)), full_(is_full(ring, heads_)) {
    result_.depends_on_bursts = depends_on_bursts(heads_, true);
  }

  ModelResult run(const std::vector<std::vector<std::uint8_t>>& packets) {
    for (const auto& packet : packets) {
      if (next_ == heads_.size()) break;
      if (!offer(packet)) break;
      ++result_.done;
    }
    return result_;
  }

 private:
  bool offer(const std::vector<std::uint8_t>& packet) {
    const std::size_t mark = next_;
    const auto used = result_.used;
    const auto used_entries = result_.used_entries;
    const auto short_buffers = result_.short_buffers;
    Outcome outcome = Outcome::no_header;
    while (outcome == Outcome::no_header) outcome = put(packet);
    if (outcome == Outcome::delivered) return true;
    next_ = mark;
    result_.used = used;
    result_.used_entries = used_entries;
    result_.short_buffers = short_buffers;
    if (outcome == Outcome::broken) return false;
    if (outcome != Outcome::too_large && (mark != 0 || !full_)) return false;
    ++result_.drop_large;
    return true;
  }

  Outcome put(const std::vector<std::uint8_t>& packet) {
    std::vector<std::uint8_t> bytes(ring_.net_header_bytes);
    bytes.insert(bytes.end(), packet.begin(), packet.end());
    std::vector<std::uint64_t> places;  // where each byte came to lie
    std::uint16_t buffers = 0;
    while (places.size() < bytes.size()) {
      if (buffers != 0 && !ring_.mergeable) return Outcome::too_large;
      const Outcome outcome = fill(bytes, places);
      if (outcome != Outcome::delivered) return outcome;
      ++buffers;
    }
    if (ring_.net_header_bytes == 12) {
      result_.memory[places[10]] = static_cast<std::uint8_t>(buffers);
      result_.memory[places[11]] = static_cast<std::uint8_t>(buffers >> 8);
    }
    return Outcome::delivered;
  }

  Outcome fill(const std::vector<std::uint8_t>& bytes, std::vector<std::uint64_t>& places) {
    const auto head = pop();
    if (!head) return result_.fault != VringFaultCause::none ? Outcome::broken : Outcome::no_buffers;
    ModelChain chain(ring_, *head, true, result_);
    const std::size_t before = places.size();
    while (places.size() < bytes.size()) {
      const auto piece = chain.next();
      if (!piece) break;
      auto at = result_.memory.lower_bound(piece->address);
      for (std::uint64_t i = 0; i < piece->length && places.size() < bytes.size(); ++i) {
        at = result_.memory.insert_or_assign(at, piece->address + i, bytes[places.size()]);
        ++at;
        places.push_back(piece->address + i);
      }
    }
    if (chain.fault() != VringFaultCause::none) {
      result_.fault = chain.fault();
      return Outcome::broken;
    }
    const bool has_header = places.size() >= ring_.net_header_bytes;
    result_.used_entries.push_back(head->entries);
    result_.used.push_back({head->id, has_header ? static_cast<std::uint32_t>(places.size() - before) : 0});
    if (has_header) return Outcome::delivered;
    ++result_.short_buffers;
    return Outcome::no_header;
  }

  std::optional<ModelHead> pop() {
    while (next_ < heads_.size()) {
      const ModelHead& head = heads_[next_++];
      if (head.at < ring_.size) return head;
      if (++result_.bad_heads < bad_heads_max) continue;
      result_.fault = VringFaultCause::bad_head;
      break;
    }
    return {};
  }

  const ModelRing& ring_;
  const std::vector<ModelHead> heads_;
  const bool full_;
  ModelResult result_;
  std::size_t next_ = 0;
};

}  // namespace

ModelResult model_dequeue(const ModelRing& ring) { return ModelReceiver(ring).run(); }

ModelResult model_enqueue(const ModelRing& ring, const std::vector<std::vector<std::uint8_t>>& packets) {
  return ModelSender(ring).run(packets);
}

}  // namespace vhostx::test
