/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of the orders in releases.hpp and release_pool.hpp, on weakly ordered memory (tests/models/weak_memory.pml);
 * releases.pml is of all else. It has what that leaves out: how the pool's thread sleeps and is woken, or with LEAVES,
 * that it ends and another is started. Two threads hand over one item each, of one port.
 *
 * Holds: an item is read after it was written, and each is released: a thread that sleeps beside one, or has left it, is
 * a deadlock to Spin.
 * holds: LEAVES
 * With one of these defined an order is weaker, or a step is elsewhere, and Spin must find what goes wrong:
 * broken: PUSH_ACQUIRES_ONLY TAKE_RELEASES_ONLY SLEEPERS_LOADED_ACQUIRE WAKES_LOADED_LATE SERVING_ENDS_LATE
 * broken: LEAVES+AWAKE_LOADED_ACQUIRE LEAVES+READY_LOADED_ACQUIRE
 */
#define PUSHERS 2
#define POOL PUSHERS
#define LOCATIONS (PUSHERS + 6)
#define THREADS (PUSHERS + 1)
#define WRITES 12
#include "../tests/models/weak_memory.pml"

#define NEWLY_READY 0 /* the port is in it, or not */
#define SERVING 1
#define WAKES 2
#define SLEEPERS 3
#define AWAKE 3       /* with LEAVES, where no thread sleeps */
#define ITEM(i) (4 + (i))
#define HANDED_OVER (4 + PUSHERS) /* a bit for each item that is in the list */
#define QUEUED (5 + PUSHERS)

#ifdef PUSH_ACQUIRES_ONLY
#define pushed acquire
#else
#define pushed seq_cst
#endif
#ifdef TAKE_RELEASES_ONLY
#define taken release
#else
#define taken seq_cst
#endif
#define loaded (seq_cst - release)
#define stored (seq_cst - acquire)
#ifdef SLEEPERS_LOADED_ACQUIRE
#define sleepers_loaded acquire
#else
#define sleepers_loaded loaded
#endif
#ifdef AWAKE_LOADED_ACQUIRE
#define awake_loaded acquire
#else
#define awake_loaded loaded
#endif
#ifdef READY_LOADED_ACQUIRE
#define ready_loaded acquire
#else
#define ready_loaded loaded
#endif

byte released;
bool asleep; /* in the futex */
byte starts; /* threads that were started and have not begun */

/* prepare(): pthread_create() hands on what the starter knows; so does the full fence. */
inline prepare(me) {
  load(me, AWAKE, awake_loaded, word);
  if
  :: word == 0 ->
     exchange(me, AWAKE, seq_cst, word, word + 1);
     atomic { full_fence(me); starts++ }
  :: else
  fi
}

/* ReleasePool::wake() */
inline wake(me) {
  exchange(me, WAKES, seq_cst, word, word + 1);
  load(me, SLEEPERS, sleepers_loaded, word);
  if
  :: word != 0 -> atomic { full_fence(me); asleep = false } /* FUTEX_WAKE */
  :: else
  fi
}

/* Releases::hand_over(), ReleasePool::add_ready() */
active [PUSHERS] proctype pusher() {
  byte word;
  byte me = _pid;
  touch(me, ITEM(me));
  exchange(me, HANDED_OVER, pushed, word, word | (1 << me));
  exchange(me, QUEUED, seq_cst, word, word + 1);
  if
  :: word != 0 -> goto announced
  :: else
  fi;
  exchange(me, NEWLY_READY, seq_cst, word, 1);
#ifndef LEAVES
  load(me, SERVING, loaded, word);
  if
  :: word == 0 -> wake(me)
  :: else
  fi;
#endif
announced:
#ifdef LEAVES
  prepare(me);
#endif
  skip
}

/* ReleasePool::serve() */
inline serve() {
  if
  :: list != 0
  :: else ->
     exchange(POOL, HANDED_OVER, taken, list, 0);
     assert(list != 0)
  fi;
  store(POOL, SERVING, stored, 1);
  item = (list & 1 -> 0 : 1);
  touch(POOL, ITEM(item));
  list = list - (1 << item);
  released++;
#ifndef SERVING_ENDS_LATE
  store(POOL, SERVING, stored, 0);
#endif
  exchange(POOL, QUEUED, seq_cst, word, word - 1);
  ready = (word != 1)
}

/* ReleasePool::run(), work(), sleep() */
active proctype worker() {
  byte word, seen, list, item;
  bool ready;
#ifdef LEAVES
begins:
  atomic { starts > 0 -> starts--; full_fence(POOL) }
#endif
  do
  :: released < PUSHERS ->
#ifndef LEAVES
#ifndef WAKES_LOADED_LATE
     load(POOL, WAKES, loaded, seen);
#endif
#endif
     exchange(POOL, NEWLY_READY, seq_cst, word, 0); /* gather() */
     if
     :: ready || word != 0 -> serve()
     :: else ->
#ifdef LEAVES
        exchange(POOL, AWAKE, seq_cst, word, word - 1);
        load(POOL, NEWLY_READY, ready_loaded, word);
        if
        :: word == 0 -> goto begins
        :: else -> exchange(POOL, AWAKE, seq_cst, word, word + 1)
        fi
#else
#ifdef SERVING_ENDS_LATE
        store(POOL, SERVING, stored, 0);
#endif
#ifdef WAKES_LOADED_LATE
        load(POOL, WAKES, loaded, seen);
#endif
        exchange(POOL, SLEEPERS, seq_cst, word, word + 1);
        atomic {                                    /* FUTEX_WAIT */
          full_fence(POOL);
          asleep = (memory[WAKES].written[memory[WAKES].last].value == seen)
        }
        !asleep;
        exchange(POOL, SLEEPERS, seq_cst, word, word - 1)
#endif
     fi
  :: else -> break
  od
}
