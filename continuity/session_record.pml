/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of a port's record (session_record.cpp, SessionKeeping) and of the order in which a message is handled. A
 * process is killed between two of its instructions, and the next one reads what it has left. The state is the number
 * of messages that it has accepted. A half of the record has it twice and once more as its sum: it is whole where the
 * three agree.
 *
 * The state is also written where no message is in work: when a connection ends, and a front-end connects anew. And a
 * process whose keeper fails goes on without it (FAILS): to the keeper it may have ended.
 *
 * Holds: what is adopted is whole, and is what the front-end was told: each message that was read has its answer.
 * Nobody adopts rings that another process serves.
 * With one of these defined something is done in another order or left out, and Spin must find what goes wrong:
 * broken: SWITCHED_FIRST WRITTEN_IN_PLACE NOTHING_IN_WORK IN_WORK_AFTER_READ DONE_BEFORE_ANSWER BUNDLE_BEFORE_MARK
 */
#define LIVES 3
#define MESSAGES 3

typedef Half {
  byte first;
  byte second;
  byte sum
};
Half half[2];          /* the record, in its file */
byte in_use;
bool in_work;

chan socket = [1] of { byte };
byte read_count;       /* messages that any process has read, of this connection */
byte answers;          /* that were sent */
byte connection;

byte owner;            /* at the keeper; 0: nobody */
byte claims;
bool killed[LIVES];
bool serves[LIVES];
bool over;

inline write() {       /* SessionRecord::write() */
  other = 1 - in_use;
#ifdef WRITTEN_IN_PLACE
  other = in_use;
#endif
#ifdef SWITCHED_FIRST
  in_use = other;
#endif
  half[other].first = state;
  half[other].second = state;
  half[other].sum = state;
#ifndef SWITCHED_FIRST
  in_use = other
#endif
}

/* SessionKeeping::find(): the record is read, and a message in work ends the connection. */
inline adopt() {
  if
  :: in_work -> hang_up()
  :: else ->
     assert(half[in_use].first == half[in_use].sum && half[in_use].second == half[in_use].sum);
     state = half[in_use].first;
     assert(ending || (state == answers && read_count == answers));
     assert(!serves[(me + LIVES - 1) % LIVES])
  fi
}

/* The connection ends, and the front-end connects anew: SessionKeeping::end(). */
inline hang_up() {
  ending = true;
  state = 0;
  write();
  atomic { in_work = false; answers = 0; read_count = 0; connection++; ending = false }
}
bool ending;           /* its peer sees that at once: whoever adopts it finds its end */

inline handle() {
#ifndef IN_WORK_AFTER_READ
#ifndef NOTHING_IN_WORK
  in_work = true;      /* before the first byte is read */
#endif
#endif
  atomic { socket ? message; read_count++ };
#ifdef IN_WORK_AFTER_READ
  in_work = true;
#endif
  state++;
  write();             /* SessionKeeping::accepted() */
#ifdef DONE_BEFORE_ANSWER
  in_work = false;
#endif
  answers++;           /* it is in the socket */
#ifndef DONE_BEFORE_ANSWER
#ifndef NOTHING_IN_WORK
  in_work = false
#endif
#endif
}

active [LIVES] proctype back_end() {
  byte me = _pid;
  byte state, other, message;
  bool kept = true;    /* its keeper has not failed */
  atomic { owner == 0 && claims == me -> owner = me + 1; claims++ };
  {
    adopt();
    serves[me] = true;
    do
    :: kept && nempty(socket) -> handle()
    :: kept && connection == 0 && !over -> hang_up()
    :: kept && me < LIVES - 1 ->                  /* SessionKeeping::fail() */
#ifdef BUNDLE_BEFORE_MARK
       owner = 0;
       in_work = true;
#else
       in_work = true;
       owner = 0;
#endif
       kept = false
    :: over && empty(socket) -> break
    od
  } unless { killed[me] };
  serves[me] = false;
  if
  :: owner == me + 1 -> owner = 0
  :: else
  fi
}

/* At any instant of all but the last one. */
active proctype killer() {
  byte victim;
  do
  :: victim < LIVES - 1 && claims > victim -> killed[victim] = true; victim++
  :: victim == LIVES - 1 -> break
  od
}

active proctype front_end() {
  byte sent;
  do
  :: sent < MESSAGES -> socket ! 1; sent++
  :: else -> break
  od;
  over = true
}
