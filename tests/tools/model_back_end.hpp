// SPDX-License-Identifier: BSD-3-Clause
// ModelBackEnd: a network back-end in a thread that keeps to the specification, but for one fault of choice: the
// counterpart that vhostx-probe check is tested with. It returns each frame that a guest sends.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "base/event_fd.hpp"
#include "base/unique_fd.hpp"

namespace vhostx::test {

enum class Fault {
  none,
  // messages
  short_features,
  changing_features,
  tso_without_csum,
  wrong_version,
  reply_flag_missing,
  no_acks,
  two_acks,
  short_acks,
  refuses_all,
  acks_unasked,
  acks_replies,
  needs_whole_messages,
  // rings
  starts_unkicked,  ///< No fault by the text of 2026.
  ignores_kicks,
  keeps_disabled,
  starts_disabled_without_bit_30,
  stop_stops_all,
  base_one_off,
  runs_when_stopped,
  restarts_at_0,
  stops_at_wrap,
  needs_kick_descriptor,
  forgets_late_call,
  call_swap_stops,
  signals_old_call,
  never_calls,
  always_calls,
  uses_twice,
  // packed rings
  takes_powers_of_two,       ///< As sizes of packed rings.
  breaks_chains_at_the_end,  ///< Of a packed ring, where they would go on at its beginning.
  returns_indices,           ///< In place of ids.
  marks_all_as_written,      ///< VIRTQ_DESC_F_WRITE
  needs_both_halves,         ///< Of a packed ring's base: begins afresh with one.
  long_used_length,
  // receiving
  fills_disabled_receive,
  num_buffers_0,
  damages_frames,
  // memory
  keeps_old_memory,
  few_slots,
  compares_offset,
  ignores_mmap_offset,
  wants_own_addresses,  ///< Of the front-end's process, also with GPA_ADDRESSES.
  // the rest
  config_of_fixed_size,
  small_inflight_region,
  inflight_without_descriptor,
  two_log_replies,
  logs_nothing,
  logs_first_pages,     ///< Of each piece of memory that was written.
  logs_from_the_begin,  ///< VHOST_F_LOG_ALL of running rings is not looked at.
  logs_in_both,         ///< Also in the log before.
  keeps_first_log,
  ignores_log_offset,
  ignores_ring_log_flag,
  logs_on,  ///< After VHOST_F_LOG_ALL was taken away.
  logs_unasked,
  takes_log_to_the_end,  ///< A log that cannot be mapped ends the back-end.
  // device state
  state_without_end,
  state_without_descriptor,
  says_state_failed,
  refuses_to_save,
  refuses_own_state,
  stops_for_good_when_saved,
  takes_any_state,
  takes_half_a_state,
  takes_any_transfer,
  keeps_status,
  survives_reset,
  // bad input
  takes_any_size,
  takes_overlap,
  takes_unknown,
  silent_errors,
  dies_of_unknown,
  leaks_descriptors,
  serves_once,
};

class ModelBackEnd {
 public:
  explicit ModelBackEnd(Fault fault = Fault::none);
  ~ModelBackEnd();
  ModelBackEnd(const ModelBackEnd&) = delete;
  ModelBackEnd& operator=(const ModelBackEnd&) = delete;

  const std::string& path() const noexcept { return path_; }

 private:
  void run();

  Fault fault_;
  std::string directory_;
  std::string path_;
  UniqueFd listener_;
  EventFd stop_;
  std::thread thread_;
};

}  // namespace vhostx::test
