/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of the orders in return_queue.hpp and loan_table.hpp, on weakly ordered memory (tests/models/weak_memory.pml);
 * return_queue.pml is of all else. Two threads free mbufs: each of a loan of its own, or with SHARED both of one loan,
 * which is out in two mbufs. The owner takes back what it finds, closes, and leaves at any moment. USED_BY is all that a
 * thread does with its mbuf and its loan; OWNED is the rest of the table.
 *
 * Holds: a loan is the owner's again after all that was done with it; once out() is 0, or the last one is reported and
 * the table is destroyed, all that was done with any is over.
 * holds: SHARED
 * With one of these defined an order is weaker, and Spin must find the race:
 * broken: PUSH_ACQUIRES_ONLY PUSH_RELEASES_ONLY TAKE_RELAXED OUT_RELAXED ABANDON_ACQUIRES_ONLY ABANDON_RELEASES_ONLY
 * broken: SHARED+NO_LAST_FENCE SHARED+PUSH_ACQUIRES_ONLY
 */
#define LOCATIONS 5
#define THREADS 3
#define WRITES 12
#include "../tests/models/weak_memory.pml"

#define WORD 0
#define DROPPED 1 /* references: two less this */
#define USED_BY(i) (2 + (i))
#define OWNED 4
#define OWNER 2

/* The word: a phase, a count, the loan on top. */
#define OPEN 0
#define CLOSED 1
#define ABANDONED 2
#define NONE 0 /* loans count from 1 */
#define pack(phase, count, top) ((phase) * 16 + (count) * 4 + (top))
#define phase_of(word) ((word) / 16)
#define count_of(word) ((word) / 4 % 4)
#define top_of(word) ((word) % 4)
#define EMPTY pack(OPEN, 0, NONE)

#ifdef SHARED
#define LOANS 1
#else
#define LOANS 2
#endif

#ifdef PUSH_ACQUIRES_ONLY
#define pushed acquire
#else
#ifdef PUSH_RELEASES_ONLY
#define pushed release
#else
#define pushed acq_rel
#endif
#endif
#ifdef TAKE_RELAXED
#define taken relaxed
#else
#define taken acq_rel
#endif
#ifdef OUT_RELAXED
#define looked relaxed
#else
#define looked acquire
#endif
#ifdef ABANDON_ACQUIRES_ONLY
#define left_by acquire
#else
#ifdef ABANDON_RELEASES_ONLY
#define left_by release
#else
#define left_by acq_rel
#endif
#endif

byte link[LOANS + 1];

inline destroy(me) {
  touch(me, USED_BY(0));
  touch(me, USED_BY(1));
  touch(me, OWNED)
}

active [2] proctype application() {
  byte word, next;
  byte me = _pid;
  bool done;
  touch(me, USED_BY(me)); /* reads the packet */
#ifdef SHARED
  load(me, DROPPED, relaxed, word); /* rte_mbuf_ext_refcnt_update(): the last reference is not dropped by a locked one */
  if
  :: word == 1 -> store(me, DROPPED, relaxed, 2); word = 2
  :: else -> exchange(me, DROPPED, acq_rel, word, word + 1); word++
  fi;
  if
  :: word == 2
  :: else -> goto over
  fi;
#ifndef NO_LAST_FENCE
  acquire_fence(me);      /* LoanTable::give_back() */
#endif
#define loan 1
#else
#define loan (me + 1)
#endif
  load(me, WORD, relaxed, word); /* ReturnQueue::push() */
  do
  :: !done ->
     if
     :: phase_of(word) == OPEN ->
        atomic { touch(me, USED_BY(me)); link[loan] = top_of(word) }
        next = pack(OPEN, count_of(word) + 1, loan)
     :: else -> next = word - pack(0, 1, 0)
     fi;
     compare_exchange(me, WORD, pushed, word, next, done)
  :: else -> break
  od;
  if
  :: next == pack(ABANDONED, 0, NONE) -> destroy(me)
  :: else
  fi;
over: skip
}

active proctype owner() {
  byte word, next, back, loan_back;
  bool done;
  do
  :: back < LOANS ->
     load(OWNER, WORD, relaxed, word); /* has_some() */
     if
     :: word != EMPTY ->
        exchange(OWNER, WORD, taken, word, EMPTY);
        loan_back = top_of(word);
        do
        :: loan_back != NONE ->
#ifdef SHARED
           touch(OWNER, USED_BY(0));
           touch(OWNER, USED_BY(1));
#else
           touch(OWNER, USED_BY(loan_back - 1));
#endif
           loan_back = link[loan_back];
           back++
        :: else -> break
        od
     :: else
     fi
  :: break
  od;
  load(OWNER, WORD, relaxed, word);    /* close() */
  do
  :: !done ->
     next = pack(CLOSED, LOANS - back - count_of(word), NONE);
     compare_exchange(OWNER, WORD, acq_rel, word, next, done)
  :: else -> break
  od;
  if
  :: load(OWNER, WORD, looked, word);  /* out() */
     if
     :: count_of(word) == 0 ->
        touch(OWNER, USED_BY(0));
        touch(OWNER, USED_BY(1))
     :: else
     fi
  :: skip
  fi;
  touch(OWNER, OWNED);                 /* closed_, the last look */
  load(OWNER, WORD, relaxed, word);    /* abandon() */
  done = false;
  do
  :: !done -> compare_exchange(OWNER, WORD, left_by, word, pack(ABANDONED, count_of(word), NONE), done)
  :: else -> break
  od;
  if
  :: count_of(word) == 0 -> destroy(OWNER)
  :: else
  fi
}
