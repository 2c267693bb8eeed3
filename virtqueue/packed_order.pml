/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of how buffers change hands by the flags of a packed ring's descriptors (packed_ring.hpp, packed_queue.hpp), on
 * weakly ordered memory (tests/models/weak_memory.pml). CHAIN is what the flags of a descriptor give away: its other words
 * and the bytes of its buffer. FLAGS are stored by both sides, never at once. The ring has two descriptors, and goes round
 * twice: chains of one, and of two. The device uses several chains in one burst.
 *
 * Holds: neither side touches what belongs to the other at that moment; the device finds a chain whole; and the driver that
 * sees the first used descriptor of a burst sees all of it.
 * With one of these defined an order is weaker, and Spin must find the race. Those with DRIVER are the driver's.
 * broken: DRIVER_STORES_RELAXED DRIVER_STORES_FIRST_FIRST AVAIL_LOADED_RELAXED
 * broken: USED_STORED_RELAXED FIRST_USED_FIRST DRIVER_LOADS_RELAXED
 */
#define LOCATIONS 4
#define THREADS 2
#define WRITES 9
#include "../tests/models/weak_memory.pml"

#define FLAGS(i) ((i) % SIZE)
#define CHAIN(i) (2 + (i) % SIZE)
#define SIZE 2
#define ENTRIES 4

/* AVAIL is bit 0, USED bit 1, NEXT bit 2; both wrap counters begin with 1, and entry `i` is counted on over laps. */
#define available(i) ((i) / SIZE % 2 == 0 -> 1 : 2)
#define was_used(i) ((i) / SIZE % 2 == 0 -> 3 : 0)
#define turns(flags) ((flags) & 3)
#define has_next(flags) ((flags) & 4)

#ifdef DRIVER_STORES_RELAXED
#define avail_stored relaxed
#else
#define avail_stored release
#endif
#ifdef AVAIL_LOADED_RELAXED
#define avail_loaded relaxed
#else
#define avail_loaded acquire
#endif
#ifdef USED_STORED_RELAXED
#define used_stored relaxed
#else
#define used_stored release
#endif
#ifdef DRIVER_LOADS_RELAXED
#define used_loaded relaxed
#else
#define used_loaded acquire
#endif

byte length[SIZE];    /* of the chain that begins at an entry; the driver remembers it by id */
byte burst_end[SIZE]; /* of the burst whose first used descriptor is there: nobody knows, but to be checked */

active proctype driver() {
  byte posted, back, seen_end, flags;
  do
  :: posted < ENTRIES && posted - back < SIZE ->
     touch(0, CHAIN(posted));
     length[posted % SIZE] = 1;
     store(0, FLAGS(posted), avail_stored, available(posted));
     posted++
  :: posted + 2 <= ENTRIES && posted == back ->
     touch(0, CHAIN(posted));
     touch(0, CHAIN(posted + 1));
     length[posted % SIZE] = 2;
#ifdef DRIVER_STORES_FIRST_FIRST
     store(0, FLAGS(posted), avail_stored, available(posted) + 4);
     store(0, FLAGS(posted + 1), relaxed, available(posted + 1));
#else
     store(0, FLAGS(posted + 1), relaxed, available(posted + 1));
     store(0, FLAGS(posted), avail_stored, available(posted) + 4);
#endif
     posted = posted + 2
  :: back != posted ->
     load(0, FLAGS(back), used_loaded, flags);
     if
     :: turns(flags) == was_used(back) ->
        if
        :: back >= seen_end -> seen_end = burst_end[back % SIZE]
        :: else
        fi;
        touch(0, CHAIN(back));
        if
        :: length[back % SIZE] == 2 -> touch(0, CHAIN(back + 1)); back = back + 2
        :: else -> back++
        fi
     :: else -> assert(back >= seen_end) /* what is used in one burst is seen at once */
     fi
  :: back == ENTRIES -> break
  od
}

active proctype device() {
  byte next, used, first, flags;
  byte entries[SIZE];
  do
  :: next < ENTRIES && next - used < SIZE ->
     load(1, FLAGS(next), avail_loaded, flags); /* PackedTable::load() */
     if
     :: turns(flags) == available(next) ->
        touch(1, CHAIN(next));
        if
        :: has_next(flags) ->
           load(1, FLAGS(next + 1), relaxed, flags); /* load_tail(): the end of the chain */
           assert(flags == available(next + 1));
           touch(1, CHAIN(next + 1));
           entries[next % SIZE] = 2;
           next = next + 2
        :: else ->
           entries[next % SIZE] = 1;
           next++
        fi
     :: else
     fi
  :: used != next ->
     first = used;
     burst_end[first % SIZE] = next;
#ifdef FIRST_USED_FIRST
     store(1, FLAGS(first), used_stored, was_used(first));
#endif
     used = used + entries[used % SIZE];
     do
     :: used != next -> /* put(): others than the first */
        store(1, FLAGS(used), relaxed, was_used(used));
        used = used + entries[used % SIZE]
     :: else -> break
     od;
#ifndef FIRST_USED_FIRST
     store(1, FLAGS(first), used_stored, was_used(first)) /* publish() */
#endif
  :: used == ENTRIES -> break
  od
}
