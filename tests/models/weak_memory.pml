/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Memory as C++20 and ARMv8 have it, for models that include this: a load may find an older value than the last, unless
 * something forbids it. Each location keeps all that was written to it, each write carries what its reader learns by an
 * acquire, and each thread knows up to which write of each location it has seen. Stores, loads, read-modify-writes and
 * fences move that knowledge as RC11 says. Only read-modify-writes carry on what an earlier release store published, as
 * in C++20.
 *
 * Plain memory is a location that is only touch()ed: who touches it must know of each touch before, else the two race.
 * That covers what a plain load may do late and a plain store early.
 *
 * Left out: a relaxed atomic load that is overtaken by a later store of its thread (load buffering), and two stores of
 * one location whose order is not that of time; no location here is stored to by two threads at once.
 *
 * A model defines LOCATIONS, THREADS and WRITES (of one location, its first value 0 included), and calls what is below
 * with the number of its thread. Orders are as in C++.
 */
#define relaxed 0
#define acquire 1
#define release 2
#define acq_rel 3
#define seq_cst 7
#define acquires(order) ((order) & 1)
#define releases(order) ((order) & 2)
#define agrees(order) ((order) & 4)

typedef Write {
  byte value;
  byte tells[LOCATIONS] /* what who acquires it learns */
};
typedef Location {
  Write written[WRITES];
  byte last
};
typedef Thread {
  byte seen[LOCATIONS];
  byte read[LOCATIONS];     /* by relaxed loads: an acquire fence makes it seen */
  byte released[LOCATIONS]; /* what was seen at the last release fence: relaxed stores tell it */
};
Location memory[LOCATIONS];
Thread thread[THREADS];
byte agreed[LOCATIONS]; /* by what is seq_cst */

hidden byte wm_at;
hidden byte wm_i;
hidden byte wm_other;

#define wm_raise(to, from)       \
  if                             \
  :: (from) > to -> to = (from)  \
  :: else                        \
  fi
#define wm_each wm_i : 0 .. LOCATIONS - 1
#define wm_write memory[location].written[wm_at]
#define wm_know thread[me]

/* The write number wm_at was read. */
inline wm_learn(me, location, order) {
  wm_know.seen[location] = wm_at;
  for (wm_each) {
    wm_raise(wm_know.read[wm_i], wm_write.tells[wm_i]);
    if
    :: acquires(order) -> wm_raise(wm_know.seen[wm_i], wm_write.tells[wm_i])
    :: else
    fi
  }
  wm_raise(wm_know.read[location], wm_at);
  wm_i = 0
}

/* One more write, which carries on what the one before told where `kept`. */
inline wm_append(me, location, order, new, kept) {
  assert(memory[location].last < WRITES - 1);
  wm_at = memory[location].last + 1;
  wm_know.seen[location] = wm_at;
  wm_raise(wm_know.read[location], wm_at);
  wm_write.value = new;
  for (wm_each) {
    wm_write.tells[wm_i] = (releases(order) -> wm_know.seen[wm_i] : wm_know.released[wm_i]);
    if
    :: kept -> wm_raise(wm_write.tells[wm_i], memory[location].written[wm_at - 1].tells[wm_i])
    :: else
    fi
  }
  wm_write.tells[location] = wm_at;
  memory[location].last = wm_at;
  if
  :: agrees(order) -> agreed[location] = wm_at
  :: else
  fi;
  wm_at = 0;
  wm_i = 0
}

inline wm_fence(me) {
  for (wm_each) {
    wm_raise(wm_know.seen[wm_i], wm_know.read[wm_i]);
    wm_raise(wm_know.seen[wm_i], agreed[wm_i]);
    wm_know.read[wm_i] = wm_know.seen[wm_i];
    wm_know.released[wm_i] = wm_know.seen[wm_i];
    agreed[wm_i] = wm_know.seen[wm_i]
  }
  wm_i = 0
}

inline load(me, location, order, into) {
  atomic {
    wm_at = wm_know.seen[location];
    if
    :: agrees(order) -> wm_raise(wm_at, agreed[location])
    :: else
    fi;
    do
    :: wm_at < memory[location].last -> wm_at++
    :: break
    od;
    d_step {
      wm_learn(me, location, order);
      into = wm_write.value;
      wm_at = 0
    }
  }
}

inline store(me, location, order, new) {
  d_step { wm_append(me, location, order, new, false) }
}

/* `before` is what it finds, and may be used in `new`. */
inline exchange(me, location, order, before, new) {
  d_step {
    wm_at = memory[location].last;
    wm_learn(me, location, order);
    before = wm_write.value;
    wm_append(me, location, order, new, true)
  }
}

/* compare_exchange: with the last value only. What it finds where that is another one is relaxed. */
inline compare_exchange(me, location, order, expected, new, done) {
  d_step {
    wm_at = memory[location].last;
    if
    :: wm_write.value == expected ->
       wm_learn(me, location, order);
       wm_append(me, location, order, new, true);
       done = true
    :: else ->
       wm_learn(me, location, relaxed);
       expected = wm_write.value;
       wm_at = 0;
       done = false
    fi
  }
}

inline acquire_fence(me) {
  d_step {
    for (wm_each) { wm_raise(wm_know.seen[wm_i], wm_know.read[wm_i]) }
    wm_i = 0
  }
}

inline full_fence(me) {
  d_step { wm_fence(me) }
}

/* membarrier(2): a full fence of the caller, one of each other thread wherever that is, and one more of the caller. */
inline heavy_fence(me) {
  full_fence(me);
  d_step {
    for (wm_other : 0 .. THREADS - 1) { wm_fence(wm_other) }
    wm_other = 0
  }
  full_fence(me)
}

inline touch(me, location) {
  d_step {
    assert(wm_know.seen[location] == memory[location].last); /* a race */
    wm_append(me, location, relaxed, 0, false)
  }
}
