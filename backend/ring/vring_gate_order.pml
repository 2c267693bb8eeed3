/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of the orders in vring_gate.hpp, on weakly ordered memory (tests/models/weak_memory.pml); vring_gate.pml is of
 * all else. A data thread makes bursts while the control thread publishes snapshots, exchanges them and stops the ring.
 * Without a variant the control thread makes the data thread pass a fence (membarrier); with FENCES a burst begins with
 * a seq_cst exchange.
 *
 * Holds: a snapshot is read after it was written and before it is freed; the cursor is one thread's at a time, the
 * control thread's while the ring is stopped.
 * holds: FENCES
 * With one of these defined an order is weaker, and Spin must find the race:
 * broken: NO_HEAVY_FENCE BEGIN_RELAXED END_RELAXED RUNNING_RELAXED SWAP_RELAXED TURN_RELAXED AWAIT_RELAXED
 * broken: FENCES+BEGIN_RELAXED FENCES+END_RELAXED FENCES+RUNNING_RELAXED FENCES+SWAP_RELAXED FENCES+TURN_RELAXED
 */
#define SWAPS 3
#define BURSTS 3
#define LOCATIONS (3 + SWAPS)
#define THREADS 2
#define WRITES 9
#include "../../tests/models/weak_memory.pml"

#define TURN 0
#define RUNNING 1
#define CURSOR 2
#define SNAPSHOT(i) (2 + (i)) /* from 1 on; 0 is null */
#define DATA 0
#define CONTROL 1

#ifdef BEGIN_RELAXED
#define begin relaxed
#else
#ifdef FENCES
#define begin seq_cst
#else
#define begin release
#endif
#endif
#ifdef END_RELAXED
#define end relaxed
#else
#define end release
#endif
#ifdef RUNNING_RELAXED
#define running_loaded relaxed
#else
#define running_loaded (seq_cst - release)
#endif
#ifdef SWAP_RELAXED
#define swapped relaxed
#else
#define swapped seq_cst
#endif
#ifdef TURN_RELAXED
#define turn_loaded relaxed
#else
#define turn_loaded (seq_cst - release)
#endif
#ifdef AWAIT_RELAXED
#define awaited relaxed
#else
#define awaited acquire
#endif

active proctype data_thread() {
  byte turn, snapshot, burst, before;
  do
  :: burst < BURSTS ->
#ifdef FENCES
     exchange(DATA, TURN, begin, before, turn + 1); /* turn_.exchange(seq_cst) */
#else
     store(DATA, TURN, begin, turn + 1);            /* turn_.store(release); the compiler's fence */
#endif
     load(DATA, RUNNING, running_loaded, snapshot);
     if
     :: snapshot != 0 ->
        touch(DATA, SNAPSHOT(snapshot));
        touch(DATA, CURSOR)
     :: else
     fi;
     turn = turn + 2;
     store(DATA, TURN, end, turn);                  /* ~Pass() */
     burst++
  :: else -> break
  od
}

active proctype control_thread() {
  byte before, next, turn, seen, made;
  do
  :: made < SWAPS ->
     if                                             /* VringCore::replace(), start(); stop() */
     :: made++;
        next = made;
        touch(CONTROL, SNAPSHOT(next));             /* built first */
        if
        :: before == 0 -> touch(CONTROL, CURSOR)
        :: else
        fi
     :: before != 0 -> next = 0
     fi;
     exchange(CONTROL, RUNNING, swapped, before, next);
     if
     :: before != 0 ->
#ifndef FENCES
#ifndef NO_HEAVY_FENCE
        heavy_fence(CONTROL);
#endif
#endif
        load(CONTROL, TURN, turn_loaded, turn);
        seen = turn;
        do
        :: turn % 2 == 1 && seen == turn -> load(CONTROL, TURN, awaited, seen) /* await_end() */
        :: else -> break
        od;
        touch(CONTROL, SNAPSHOT(before));           /* freed */
        if
        :: next == 0 -> touch(CONTROL, CURSOR)      /* GET_VRING_BASE */
        :: else
        fi
     :: else
     fi;
     before = next
  :: else -> break
  od
}
