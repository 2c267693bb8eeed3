/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of who is woken by whom (split_queue.hpp), on weakly ordered memory (tests/models/weak_memory.pml). A producer
 * publishes entries and signals if the consumer requests it. A consumer that finds nothing stores its request, looks once
 * more, and sleeps. The model is for both directions:
 *   kick: the driver produces avail entries; we consume. The request is used->flags, or avail_event.
 *   call: we produce used entries (publish(), needs_call()); the driver consumes. It is avail->flags, or used_event.
 * With FLAGS the request is the flag, else an index. With STAYS_ON the consumer stores it once and then moves the index
 * with each burst that takes something, as we do while notifications are on. With PACKED (packed_queue.hpp) there is no
 * index: the flags of each descriptor show it, those of the first of a burst last, and the request is an event structure.
 *
 * Holds: all entries are consumed. A consumer that sleeps beside an entry, and is not signalled, is a deadlock to Spin.
 * holds: FLAGS STAYS_ON PACKED PACKED+FLAGS PACKED+STAYS_ON
 * With one of these defined a fence or the second look is left out, and Spin must find a side that is not woken:
 * broken: PRODUCER_NO_FENCE CONSUMER_NO_FENCE NO_SECOND_LOOK FLAGS+PRODUCER_NO_FENCE FLAGS+CONSUMER_NO_FENCE
 * broken: FLAGS+NO_SECOND_LOOK STAYS_ON+PRODUCER_NO_FENCE STAYS_ON+MOVE_NO_FENCE
 * broken: PACKED+PRODUCER_NO_FENCE PACKED+CONSUMER_NO_FENCE PACKED+NO_SECOND_LOOK
 * broken: PACKED+FLAGS+PRODUCER_NO_FENCE PACKED+FLAGS+CONSUMER_NO_FENCE PACKED+STAYS_ON+MOVE_NO_FENCE
 */
#ifdef PACKED
#define LOCATIONS 5
#else
#define LOCATIONS 3
#endif
#define THREADS 2
#define WRITES 14
#include "../tests/models/weak_memory.pml"

#define REQUEST 0
#define EVENT_FD 1
#define INDEX 2
#define SHOWN(i) (2 + (i)) /* in a packed ring; INDEX is not used */
#define ENTRIES 3
#define WRAP 8 /* indices are bits of these: what event_passed() counts modulo 65536 */

/* vring_need_event() */
#define event_passed(event, now, before) ((now - event - 1 + 2 * WRAP) % WRAP < (now - before))

/* Entries from `before` on and before `index` are shown. */
inline make_seen(before, index) {
#ifdef PACKED
  if
  :: index == before + 2 -> store(0, SHOWN(before + 1), relaxed, 1)
  :: else
  fi;
  store(0, SHOWN(before), release, 1)
#else
  store(0, INDEX, release, index)
#endif
}

/* What is shown; nothing before `next` is looked at again. */
inline look(next, index) {
#ifdef PACKED
  index = next;
  shown = 1;
  do
  :: index < ENTRIES && shown == 1 ->
     load(1, SHOWN(index), acquire, shown);
     index = index + shown
  :: else -> break
  od
#else
  load(1, INDEX, acquire, index)
#endif
}

bool signalled; /* the eventfd's counter; reading and writing it takes the kernel's lock */

active proctype producer() {
  byte index, before, request;
  bool wanted;
  do
  :: index < ENTRIES ->
     before = index;
     if
     :: index++
     :: index + 2 <= ENTRIES -> index = index + 2
     fi;
     make_seen(before, index);
#ifndef PRODUCER_NO_FENCE
     full_fence(0);
#endif
     load(0, REQUEST, relaxed, request);
#ifdef FLAGS
     wanted = (request == 1);
#else
     wanted = event_passed(request, index, before);
#endif
     if
     :: wanted -> atomic { exchange(0, EVENT_FD, acq_rel, request, 0); signalled = true }
     :: else
     fi
  :: else -> break
  od
}

/* set_notifications(true); the index of the first entry to signal */
inline say_request() {
#ifdef FLAGS
  store(1, REQUEST, relaxed, 1);
#else
  store(1, REQUEST, relaxed, next);
#endif
#ifndef CONSUMER_NO_FENCE
  full_fence(1)
#endif
}

active proctype consumer() {
  byte next, index, ignored;
#ifdef PACKED
  byte shown;
#endif
#ifdef STAYS_ON
  say_request();
#endif
  do
  :: next < ENTRIES ->
     look(next, index);
     if
     :: index != next ->
        next = index;
#ifdef STAYS_ON
        store(1, REQUEST, relaxed, next); /* publish(), publish_position() */
#ifndef MOVE_NO_FENCE
        full_fence(1)                  /* needs_call(), publish_position() */
#endif
#endif
     :: else ->
#ifndef STAYS_ON
        say_request();
#ifndef NO_SECOND_LOOK
        look(next, index);
#endif
#endif
        if
        :: index == next ->
           atomic { signalled -> signalled = false; exchange(1, EVENT_FD, acq_rel, ignored, 0) }
        :: else
        fi;
#ifdef FLAGS
        store(1, REQUEST, relaxed, 0)
#endif
     fi
  :: else -> break
  od
}
