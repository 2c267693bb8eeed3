/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of how releases.hpp and release_pool.hpp hand over between them, for one port, checked by Spin over all
 * interleavings (tests/models). Some threads hand over; the pool's release, and are held up or not, as a peer likes.
 *
 * Holds: where the pool takes an item there is one, which also keeps the port's Releases alive while the pool knows it;
 * the pool knows it once at most; no more than HELD_UP_MAX threads are held up; all items are released: an endless
 * wait is a deadlock to Spin. Left out: how threads sleep and are woken, and that they end and are started, which is in
 * releases_order.pml.
 * With one of these defined something is done wrongly, and Spin must find it:
 * broken: A_FLAG COUNTED_BEFORE FORGOTTEN_AT_MAX
 */
#define PUSHERS 3
#define EACH 2
#define HELD_UP_MAX 2
#define THREADS (HELD_UP_MAX + 1)
#define NO_THREAD THREADS

byte items;    /* handed over and not taken */
byte queued;
bool known;    /* to the pool, as ready */
bool listed;   /* A_FLAG */
byte brisk = NO_THREAD;
byte held_up;
bool slow[THREADS];
byte released;
bool lock;     /* the pool's; a hand-over takes no lock */

/* ReleasePool::add_ready(), relist(): it must not be announced twice, and an item must be there. */
inline announce() {
  atomic {
    assert(!known);
    assert(items > 0);
    known = true
  }
}

/* Releases::hand_over() */
active [PUSHERS] proctype pusher() {
  byte i;
  bool first;
  do
  :: i < EACH ->
#ifdef COUNTED_BEFORE
     atomic { first = queued == 0; queued++ };
     items++;
#else
     items++;
#ifdef A_FLAG
     atomic { first = !listed; listed = true };
#else
     atomic { first = queued == 0; queued++ };
#endif
#endif
     if
     :: first -> announce()
     :: else
     fi;
     i++
  :: else -> break
  od
}

inline acquire() { atomic { !lock -> lock = true } }

inline relist() {
  if
#ifndef FORGOTTEN_AT_MAX
  :: held_up >= HELD_UP_MAX
#endif
  :: else ->
#ifdef A_FLAG
     if
     :: items == 0 ->
        listed = false;
        if
        :: items == 0 -> more = false
        :: else -> atomic { more = !listed; listed = true }
        fi
     :: else -> more = true
     fi;
#else
     atomic { more = queued != 1; queued-- };
#endif
     if
     :: more -> announce()
     :: else
     fi
  fi
}

/* ReleasePool::serve() */
active [THREADS] proctype worker() {
  bool more;
  do
  :: atomic { !lock && brisk == NO_THREAD && known -> lock = true };
     known = false;
     assert(items > 0);
     items--;
     brisk = _pid - PUSHERS;
     lock = false;
     /* release() */
     acquire();
     released++;
     if
     :: slow[_pid - PUSHERS] ->
        slow[_pid - PUSHERS] = false;
        held_up--;
        if
        :: held_up == HELD_UP_MAX - 1 -> relist()
        :: else
        fi
     :: else ->
        brisk = NO_THREAD;
        relist()
     fi;
     lock = false
  :: released == PUSHERS * EACH -> break
  od
}

/* ReleasePool::look_after_brisk() */
active proctype watcher() {
  bool more;
  do
  :: atomic { !lock && brisk != NO_THREAD -> lock = true };
     assert(held_up < HELD_UP_MAX);
     slow[brisk] = true;
     brisk = NO_THREAD;
     held_up++;
     relist();
     lock = false
  :: released == PUSHERS * EACH -> break
  od
}
