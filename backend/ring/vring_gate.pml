/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of vring_gate.hpp, checked by Spin over all interleavings (tests/models). A data thread makes bursts while the
 * control thread exchanges the snapshot and frees the one before. The control thread may lose its patience at any moment
 * of a wait (PATIENCE_ENDS): then it keeps the snapshot until the burst has ended.
 *
 * Each variable stands for one of the code. The data thread's plain stores go through a store buffer, as on x86: they
 * reach memory later, in order, and the load that follows may overtake them. That is what the heavy fence is for. What
 * else weakly ordered memory may do is in vring_gate_order.pml.
 *
 * Holds: a burst never uses a snapshot that was freed, and no thread waits for ever. With TWO_THREADS, which is misuse, a
 * snapshot may be freed too early, but still no thread waits for ever.
 * holds: PATIENCE_ENDS TWO_THREADS
 * With one of these defined something is left out, and Spin must find what goes wrong:
 * broken: NO_FENCE NO_WAIT LOADS_FIRST WAITS_ONLY_FOR_EVEN_TURNS PATIENCE_ENDS+FREES_AT_ONCE TWO_THREADS+ADDS_ONE
 */
#ifdef TWO_THREADS
#define THREADS 2
#define BURSTS 2
#define SWAPS 2
#else
#define THREADS 1
#define BURSTS 4
#define SWAPS 3
#endif
#define NULL_SNAPSHOT 0

byte turn;        /* VringGate::turn_ as memory has it: odd while a burst is inside */
byte running = 1; /* VringGate::running_ */
bool freed[SWAPS + 2];
byte threads_over;

typedef StoreBuffer {
  chan values = [2] of { byte } /* of turn */
};
StoreBuffer buffers[THREADS];

active [THREADS] proctype processor() {
  byte value;
  byte me = _pid;
  do
  :: atomic { buffers[me].values ? value -> turn = value }
  :: threads_over == THREADS && empty(buffers[me].values) -> break
  od
}

active [THREADS] proctype data_thread() {
  byte own = 0;
  byte snapshot;
  byte burst = 0;
  byte me = _pid - THREADS;
  do
  :: burst < BURSTS ->
#ifdef LOADS_FIRST
     snapshot = running;
#endif
#ifdef TWO_THREADS
     own = turn;                /* what another thread has left; its own stores have arrived, for simplicity */
#endif
#ifdef ADDS_ONE
     own = own + 1;
#else
     own = own | 1;             /* turn_.load() | 1 */
#endif
     buffers[me].values ! own;  /* turn_.store(turn) */
#ifndef LOADS_FIRST
     snapshot = running;        /* running_.load() */
#endif
#ifndef TWO_THREADS
     if
     :: snapshot != NULL_SNAPSHOT ->
        assert(!freed[snapshot]); /* the burst begins */
        assert(!freed[snapshot])  /* and ends */
     :: else
     fi;
#endif
     own = own + 1;
     buffers[me].values ! own;  /* ~Pass(): turn_.store(turn + 1, release) */
#ifdef TWO_THREADS
     empty(buffers[me].values);
#endif
     burst++
  :: else -> break
  od;
  threads_over++
}

#define ALL_ARRIVED (empty(buffers[0].values) && empty(buffers[THREADS - 1].values))

active proctype control_thread() {
  byte before;
  byte seen;
  byte next = 2;
#ifdef PATIENCE_ENDS
  byte kept = NULL_SNAPSHOT;    /* VringGate::kept_; here only the first of it: what follows is null */
  byte stuck_turn;
#endif
  do
  :: next < SWAPS + 2 ->
#ifdef PATIENCE_ENDS
     if                         /* VringGate::is_stuck() */
     :: kept != NULL_SNAPSHOT && turn != stuck_turn -> freed[kept] = true; kept = NULL_SNAPSHOT
     :: else
     fi;
     if                         /* nothing is published while a vring is stuck */
     :: kept != NULL_SNAPSHOT -> next++; goto again
     :: else
     fi;
#endif
     atomic {                   /* running_.exchange(next): also to null, as when a ring stops */
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
        ALL_ARRIVED;            /* membarrier(): what the data thread stored before this is in memory after it */
#endif
        seen = turn;
#ifndef NO_WAIT
#ifdef WAITS_ONLY_FOR_EVEN_TURNS
        if
        :: seen % 2 == 0 -> turn != seen || threads_over == THREADS
        :: else
        fi;
#else
        if
        :: seen % 2 == 1 ->
           if
           :: turn != seen
#ifdef PATIENCE_ENDS
           :: skip ->
#ifndef FREES_AT_ONCE
              kept = before; stuck_turn = seen; goto again
#endif
#endif
           fi
        :: else
        fi;
#endif
#endif
        freed[before] = true
     fi;
again: skip
  :: else -> break
  od
}
