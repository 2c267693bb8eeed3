/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of return_queue.hpp and of how loan_table.hpp uses it, checked by Spin over all interleavings (tests/models).
 * The owner lends, takes back, lends again, closes and leaves at any moment; other threads free what they hold.
 *
 * Holds: each loan comes back once, none is lost; only the last one is reported as last; the table is destroyed once,
 * and no thread touches it afterwards; once out() is 0 no thread will.
 * With one of these defined something is done wrongly, and Spin must find it:
 * broken: LINK_AFTER_PUSH CLOSE_IS_NO_EXCHANGE ABANDON_IS_NO_EXCHANGE CLOSE_COUNTS_TWICE
 */
#define LOANS 3
#define LENDINGS 4
#define NONE LOANS

mtype = { open, closed, abandoned };

/* The one word. What is in atomic {} is one load, store or exchange of it. */
mtype phase = open;
byte count = 0;
byte top = NONE;

byte link[LOANS];
bool out[LOANS];       /* some thread has the mbuf */
bool collected[LOANS]; /* by the owner, since it was last lent */
bool destroyed;
byte inside;           /* threads that may still touch the table */
byte lendings;

chan lent = [LOANS] of { byte };
bool no_more;
byte ended; /* threads */

inline touch() { assert(!destroyed) }

inline destroy() {
  atomic {
    assert(!destroyed);
    assert(inside == 0);
    destroyed = true
  }
}

inline lend(loan) {
  atomic {
    assert(!out[loan]);
    out[loan] = true;
    collected[loan] = false;
    lendings++;
    lent ! loan
  }
}

/* ReturnQueue::push(), LoanTable::give_back() */
proctype application() {
  byte loan, seen_count, seen_top;
  mtype seen_phase;
  bool last;
  do
  :: atomic { lent ? loan -> inside++; out[loan] = false };
     do
     :: touch();
        atomic { seen_phase = phase; seen_count = count; seen_top = top };
#ifndef LINK_AFTER_PUSH
        if
        :: seen_phase == open -> touch(); link[loan] = seen_top
        :: else
        fi;
#endif
        touch();
        atomic {
          if
          :: phase == seen_phase && count == seen_count && top == seen_top ->
             if
             :: phase == open -> count++; top = loan
             :: else -> assert(count > 0); count--
             fi;
             inside--;
             last = (phase == abandoned && count == 0);
             break
          :: else
          fi
        }
     od;
#ifdef LINK_AFTER_PUSH
     if
     :: seen_phase == open -> link[loan] = seen_top
     :: else
     fi;
#endif
     if
     :: last -> destroy()
     :: else
     fi
  :: no_more && empty(lent) -> break
  od;
  ended++
}

byte held; /* loans that the owner has: not out, not in the word */

/* LoanTable::collect() */
inline collect() {
  atomic { next = top; top = NONE; count = 0 };
  do
  :: next != NONE ->
     assert(!collected[next]);
     collected[next] = true;
     held++;
     next = link[next]
  :: else -> break
  od
}

/* LoanTable::close() and release() */
inline leave_table() {
  taken = LOANS - held;
#ifdef CLOSE_IS_NO_EXCHANGE
  atomic { seen = count };
  atomic { count = taken - seen; top = NONE; phase = closed };
#else
#ifdef CLOSE_COUNTS_TWICE
  atomic { count = taken; top = NONE; phase = closed };
#else
  atomic { count = taken - count; top = NONE; phase = closed };
#endif
#endif
  if
  :: true
  :: atomic { count == 0 -> assert(inside == 0 && empty(lent)) } /* out() == 0 */
  fi;
#ifdef ABANDON_IS_NO_EXCHANGE
  atomic { seen = count };
  atomic { count = seen; phase = abandoned };
#else
  atomic { seen = count; phase = abandoned };
#endif
  if
  :: seen == 0 -> destroy()
  :: else
  fi
}

active proctype owner() {
  byte next, loan, taken, seen;
  lend(0);
  lend(1);
  lend(2);
  run application();
  run application();
  do
  :: top != NONE -> collect()
  :: lendings < LENDINGS && held > 0 ->
     loan = 0;
     do
     :: collected[loan] -> break
     :: else -> loan++
     od;
     held--;
     lend(loan)
  :: break
  od;
  no_more = true;
  leave_table();
  ended++
}

/* Deadlocks are found by Spin; that the table ends is this. */
active proctype end_of_all() {
  ended == 3 -> assert(destroyed)
}
