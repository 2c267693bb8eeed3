/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of how buffers change hands by the indices of a split ring (ring.hpp, split_queue.hpp), on weakly ordered
 * memory (tests/models/weak_memory.pml). CHAIN is all that belongs to a chain: its avail entry, its descriptors, its
 * bytes, whether read or written. USED is its used entry. The ring has two of each, and the driver uses them again.
 *
 * Holds: neither side touches what belongs to the other at that moment.
 * With one of these defined an order is weaker, and Spin must find the race; the first and the last are the driver's.
 * broken: AVAIL_STORED_RELAXED AVAIL_LOADED_RELAXED USED_STORED_RELAXED USED_LOADED_RELAXED
 */
#define LOCATIONS 6
#define THREADS 2
#define WRITES 9
#include "../tests/models/weak_memory.pml"

#define AVAIL_INDEX 0
#define USED_INDEX 1
#define CHAIN(i) (2 + (i) % SIZE)
#define USED(i) (4 + (i) % SIZE)
#define SIZE 2
#define CHAINS 4

#ifdef AVAIL_STORED_RELAXED
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
#ifdef USED_LOADED_RELAXED
#define used_loaded relaxed
#else
#define used_loaded acquire
#endif

active proctype driver() {
  byte posted, shown, back, index;
  do
  :: posted < CHAINS && posted - back < SIZE ->
     touch(0, CHAIN(posted));
     posted++
  :: shown != posted ->                         /* one chain or two */
     store(0, AVAIL_INDEX, avail_stored, posted);
     shown = posted
  :: back != shown ->
     load(0, USED_INDEX, used_loaded, index);
     do
     :: back != index ->
        touch(0, USED(back));
        touch(0, CHAIN(back));
        back++
     :: else -> break
     od
  :: back == CHAINS -> break
  od
}

active proctype device() {
  byte next, used, index;
  do
  :: next < CHAINS ->
     load(1, AVAIL_INDEX, avail_loaded, index); /* SplitQueue::load_index() */
     do
     :: next != index ->
        touch(1, CHAIN(next));                  /* head(), descriptor(), the copy */
        next++
     :: else -> break
     od;
     if
     :: used != next ->
        do
        :: used != next -> touch(1, USED(used)); used++ /* give_back() */
        :: else -> break
        od;
        store(1, USED_INDEX, used_stored, used) /* publish() */
     :: else
     fi
  :: else -> break
  od
}
