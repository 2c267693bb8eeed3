// SPDX-License-Identifier: BSD-3-Clause
// Each is a test; in_c_test.cpp runs them.
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

void names_are_known(void);
void defaults_are_those_of_cpp(void);
void options_out_of_range_are_refused(void);
void an_older_program_gets_the_defaults_of_what_it_does_not_know(void);
void a_newer_program_may_not_set_what_is_not_known(void);
void a_null_error_is_fine(void);

void a_port_lives_and_tells(void);
void a_handler_may_close_its_port(void);
void a_port_answers_what_it_is(void);
void a_closed_port_does_nothing_more(void);
void an_index_past_the_last_vring_is_said(void);
void a_guest_is_disconnected(void);
void a_socket_of_somebody_else_is_served(void);
void lines_are_logged(void);
void an_application_runs_the_control_side(void);
void a_client_finds_its_front_end(void);
void sigbus_of_others_is_not_ours(void);

void a_state_moves_from_port_to_port(void);
/// keeper: the path of its socket.
void a_backends_state_is_kept(const char* keeper);

void packets_go_both_ways(void);
void a_kick_ends_a_wait(void);
void descriptors_and_calls_end_a_wait(void);
void a_lying_driver_breaks_its_vring(void);
void packets_are_counted_by_size(void);
void counters_are_written_as_far_as_there_is_room(void);

void packets_are_lent(void);
void buffers_are_borrowed_and_committed(void);
void loans_are_recalled(void);

void packets_move_from_guest_to_guest(void);

void mempools_are_made_by_node(void);
void nodes_and_lcores_are_known(void);
void placements_are_told(void);

#ifdef __cplusplus
}
#endif
