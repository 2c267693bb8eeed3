/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of vring_gate.hpp, checked by Spin over all interleavings (tests/models). A data thread makes bursts while the
 * control thread exchanges the snapshot and frees the one before.
 *
 * Each variable stands for one of the code. The data thread's plain stores go through a store buffer, as on x86: they
 * reach memory later, in order, and the load that follows may overtake them. That is what the heavy fence is for.
 *
 * Holds: a burst never uses a snapshot that was freed, and nobody waits for ever.
 * With one of these defined something is left out, and Spin must find what goes wrong:
 * broken: NO_FENCE NO_WAIT LOADS_FIRST WAITS_ONLY_FOR_EVEN_TURNS
 */
#define BURSTS 4
#define SWAPS 3
#define NULL_SNAPSHOT 0

byte turn;        /* VringGate::turn_ as memory has it: odd while a burst is inside */
byte running = 1; /* VringGate::running_ */
bool freed[SWAPS + 2];
bool bursts_over;

/* The data thread's store buffer: values of turn. */
chan buffer = [2] of { byte };

active proctype processor() {
  byte value;
  do
  :: atomic { buffer ? value -> turn = value }
  :: bursts_over && empty(buffer) -> break
  od
}

active proctype data_thread() {
  byte own = 0;
  byte snapshot;
  byte burst = 0;
  do
  :: burst < BURSTS ->
#ifdef LOADS_FIRST
     snapshot = running;
#endif
     own++;
     buffer ! own;       /* turn_.store(turn, relaxed) */
#ifndef LOADS_FIRST
     snapshot = running; /* running_.load() */
#endif
     if
     :: snapshot != NULL_SNAPSHOT ->
        assert(!freed[snapshot]); /* the burst begins */
        assert(!freed[snapshot])  /* and ends */
     :: else
     fi;
     own++;
     buffer ! own;       /* ~Pass(): turn_.store(turn + 1, release) */
     burst++
  :: else -> break
  od;
  bursts_over = true
}

active proctype control_thread() {
  byte before;
  byte seen;
  byte next = 2;
  do
  :: next < SWAPS + 2 ->
     atomic {            /* running_.exchange(next): also to null, as when a ring stops */
       before = running;
       if
       :: running = next
       :: running = NULL_SNAPSHOT
       fi
     };
     next++;
     if
     :: before == NULL_SNAPSHOT -> skip
     :: else ->
#ifndef NO_FENCE
        empty(buffer);   /* membarrier(): what the data thread stored before this is in memory after it */
#endif
        seen = turn;
#ifndef NO_WAIT
#ifdef WAITS_ONLY_FOR_EVEN_TURNS
        if
        :: seen % 2 == 0 -> turn != seen || bursts_over
        :: else
        fi;
#else
        if
        :: seen % 2 == 1 -> turn != seen
        :: else
        fi;
#endif
#endif
        freed[before] = true
     fi
  :: else -> break
  od
}
