// SPDX-License-Identifier: BSD-3-Clause
// A front-end's record of what is in flight, and a ring that it may fit: what is refused has a reason and is left as it
// was; what is taken is served within the ring's bounds, and nothing is in flight afterwards.
//
// Input: a byte for the ring's size, one for the area's, two for used->idx and two for avail->idx before it, then the
// record. If the first byte is odd, version and desc_num are corrected: no mutation has to find these.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>
#include <unistd.h>

#include "memory/load_hook.hpp"
#include "tests/support/fake_driver.hpp"
#include "tests/support/inflight_file.hpp"
#include "virtqueue/split_queue.hpp"

using namespace vhostx;
using namespace vhostx::virtqueue;

namespace {

constexpr std::uint16_t size_max = 64;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

std::set<const void*> loaded;  // since watch_loads()

void on_load(const void* shared, std::size_t) { require(loaded.insert(shared).second); }

/// From now on nothing may be read twice.
void watch_loads() {
  loaded.clear();
  memory::load_hook = on_load;
}

struct World {
  explicit World(std::uint16_t size)
      : guest({{0x10'0000, 1 << 14}}), driver(guest, size), memory(guest.map()), layout(*driver.lay_out(*memory)) {}

  test::FakeGuest guest;
  test::FakeDriver driver;
  std::shared_ptr<const memory::GuestMemory> memory;
  RingLayout layout;
};

World& world(std::uint32_t log_size) {
  static World worlds[]{World(1), World(2), World(4), World(8), World(16), World(32), World(64)};
  return worlds[log_size % 7];
}

/// All that is available, a part of it kept for a while. Returns how many chains were given back.
std::size_t serve(const RingLayout& layout, InflightRecord& record, std::uint16_t kept_max) {
  VringCursor cursor{.position = resume(layout)};
  LogMarks marks;
  marks.record = &record;
  std::vector<Chain> kept;
  std::size_t given = 0;
  for (int round = 0; round < 2; ++round) {
    SplitQueue queue(layout, cursor, marks);
    for (Chain chain; queue.take(chain) == Take::chain;) {
      require(chain.id < layout.size);
      if (kept.size() < kept_max) {
        kept.push_back(chain);
        queue.keep(1);
      } else {
        queue.give_back(chain, 0);
        ++given;
      }
    }
    for (; round == 1 && !kept.empty(); kept.pop_back(), ++given) queue.give_back_kept(kept.back(), 0);
    queue.publish();
  }
  return given;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head = 6;
  if (size < head) return 0;
  World& w = world(data[0] >> 1);
  const auto area_size = static_cast<std::uint16_t>(1 + data[1] % size_max);
  std::uint16_t used = 0, posted = 0;
  std::memcpy(&used, data + 2, sizeof used);
  std::memcpy(&posted, data + 4, sizeof posted);
  w.driver.start_at(used);
  for (std::uint16_t i = 0; i < w.layout.size; ++i) w.driver.set_avail_entry(i, i);
  w.driver.set_avail_index(static_cast<std::uint16_t>(used + posted));

  const InflightArea::Shape shape{.queue_size = area_size};
  test::InflightFile file(shape.bytes());
  for (std::size_t i = 0; i < std::min(size - head, file.bytes()); ++i) file.set(i, data[head + i]);
  if ((data[0] & 1) != 0) {
    file.set(inflight::version_at, inflight::version);
    file.set(inflight::desc_num_at, area_size);
  }
  const auto before = file.copy();
  const auto area = InflightArea::map(UniqueFd(::dup(file.fd())), 0, shape);
  require(area.ok());

  const RingPosition position = resume(w.layout);
  watch_loads();
  const auto record = InflightRecord::open(*area, 0, w.layout, position);
  memory::load_hook = nullptr;
  if (!record) {
    require(!record.error().message.empty() && file.copy() == before);
    return 0;
  }
  const std::uint16_t left = (*record)->left();
  require(left <= w.layout.size && (left == 0 || left <= posted));
  const auto recovered = file.recover(used);
  require(recovered.again.size() == left);
  const std::size_t given = serve(w.layout, **record, area_size % 3);
  require(given == (posted > w.layout.size ? 0 : posted));
  if (given == posted) require(file.recover(w.layout.used.index()).again.empty());
  return 0;
}
