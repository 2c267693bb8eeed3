// SPDX-License-Identifier: BSD-3-Clause
// Runs the tests that are written in C.
#include <gtest/gtest.h>

#include "tests/c/check.h"
#include "tests/c/tests_in_c.h"

bool check(bool good, const char* what, const char* file, int line) {
  if (!good) ADD_FAILURE_AT(file, line) << what;
  return good;
}

bool check_text(const char* text, const char* wanted, const char* file, int line) {
  const bool good = text != nullptr && std::string_view(text) == wanted;
  if (!good)
    ADD_FAILURE_AT(file, line) << "'" << (text == nullptr ? "(null)" : text) << "', wanted: '" << wanted << "'";
  return good;
}

namespace {

TEST(COptions, NamesAreKnown) { names_are_known(); }
TEST(COptions, DefaultsAreThoseOfCpp) { defaults_are_those_of_cpp(); }
TEST(COptions, OutOfRangeAreRefused) { options_out_of_range_are_refused(); }
TEST(COptions, AnOlderProgramGetsTheDefaults) { an_older_program_gets_the_defaults_of_what_it_does_not_know(); }
TEST(COptions, ANewerProgramMayNotSetWhatIsNotKnown) { a_newer_program_may_not_set_what_is_not_known(); }
TEST(COptions, ANullErrorIsFine) { a_null_error_is_fine(); }

TEST(CLife, APortLivesAndTells) { a_port_lives_and_tells(); }
TEST(CLife, AHandlerMayCloseItsPort) { a_handler_may_close_its_port(); }
TEST(CLife, APortAnswersWhatItIs) { a_port_answers_what_it_is(); }
TEST(CLife, AClosedPortDoesNothingMore) { a_closed_port_does_nothing_more(); }
TEST(CLife, AnIndexPastTheLastVringIsSaid) { an_index_past_the_last_vring_is_said(); }
TEST(CLife, AGuestIsDisconnected) { a_guest_is_disconnected(); }
TEST(CLife, ASocketOfSomebodyElseIsServed) { a_socket_of_somebody_else_is_served(); }
TEST(CLife, LinesAreLogged) { lines_are_logged(); }
TEST(CLife, AnApplicationRunsTheControlSide) { an_application_runs_the_control_side(); }
TEST(CLife, AClientFindsItsFrontEnd) { a_client_finds_its_front_end(); }
TEST(CLife, SigbusOfOthersIsNotOurs) { sigbus_of_others_is_not_ours(); }

TEST(CState, MovesFromPortToPort) { a_state_moves_from_port_to_port(); }

TEST(CDataPath, PacketsGoBothWays) { packets_go_both_ways(); }
TEST(CDataPath, AKickEndsAWait) { a_kick_ends_a_wait(); }
TEST(CDataPath, DescriptorsAndCallsEndAWait) { descriptors_and_calls_end_a_wait(); }
TEST(CDataPath, ALyingDriverBreaksItsVring) { a_lying_driver_breaks_its_vring(); }
TEST(CDataPath, PacketsAreCountedBySize) { packets_are_counted_by_size(); }
TEST(CDataPath, CountersAreWrittenAsFarAsThereIsRoom) { counters_are_written_as_far_as_there_is_room(); }

TEST(CZeroCopy, PacketsAreLent) { packets_are_lent(); }
TEST(CZeroCopy, BuffersAreBorrowedAndCommitted) { buffers_are_borrowed_and_committed(); }
TEST(CZeroCopy, LoansAreRecalled) { loans_are_recalled(); }

TEST(CTransfer, PacketsMoveFromGuestToGuest) { packets_move_from_guest_to_guest(); }

TEST(CNuma, MempoolsAreMadeByNode) { mempools_are_made_by_node(); }
TEST(CNuma, NodesAndLcoresAreKnown) { nodes_and_lcores_are_known(); }
TEST(CNuma, PlacementsAreTold) { placements_are_told(); }

}  // namespace
