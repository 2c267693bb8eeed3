// SPDX-License-Identifier: BSD-3-Clause
// A record of vhostx-probe, from anywhere: reading ends with events or an error; what was read is written and read again
// as the same; what is concluded from it stays bounded, and its text gives a terminal no commands.
#include <algorithm>
#include <sstream>
#include <string>

#include "tools/probe/session/event_text.hpp"
#include "tools/probe/session/filter.hpp"
#include "tools/probe/session/record.hpp"
#include "tools/probe/session/state_text.hpp"

using namespace vhostx;
using namespace vhostx::tools::probe;

namespace {

// Not an assert: it must hold in every build.
void require(bool holds) {
  if (!holds) __builtin_trap();
}

bool same(const Event& a, const Event& b) {
  return a.kind == b.kind && a.time == b.time && a.connection == b.connection && a.way == b.way &&
         a.header == b.header && a.payload == b.payload && a.fds == b.fds && a.cut_off == b.cut_off &&
         a.front_end == b.front_end && a.back_end == b.back_end && a.text == b.text;
}

void require_printable(const std::string& text) {
  require(std::none_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7f;
  }));
}

class Reader {
 public:
  void take(Event&& event) {
    const auto again = event_of(line_of(event));
    require(again.ok() && same(event, *again));
    const Decoded decoded = sessions_.take(event);
    require(event_of(line_of(event, &decoded)).ok());
    require_printable(text_of(event, decoded, {}));
    static_cast<void>(filter_.shows(event, decoded));
  }
  void look_at_states() const {
    for (const auto& [connection, session] : sessions_.all()) {
      require(session.state().rings.size() <= Session::rings_max);
      require(session.state().regions.size() <= Session::regions_max);
      require_printable(text_of(session.state(), {}, {}));
      require(!json_of(session.state(), {}).empty());
    }
  }

 private:
  Sessions sessions_;
  Filter filter_ = Filter::parse("SET_*,!vring=1,findings").value();
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::istringstream input(std::string(reinterpret_cast<const char*>(data), size));
  Reader reader;
  const auto record = read_record(input, [&reader](Event&& event) { reader.take(std::move(event)); });
  require(record.ok() || !record.error().message.empty());
  reader.look_at_states();
  return 0;
}
