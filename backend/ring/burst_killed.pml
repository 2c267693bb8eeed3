/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of a process that is killed in a burst from guest to guest (transfer.cpp, split_queue.hpp), and of the next
 * one, which goes on where used->idx stands. A kill stops a process between two of its instructions: the next one sees
 * all stores before that, and none after. So the order of the program is all that matters, and that is what a release
 * store keeps. What the guests may see late is in virtqueue/ring_order.pml.
 *
 * The keeper gives a bundle to the next process once the connection of the one before has ended, which the kernel does
 * when that has no thread any more.
 *
 * Holds: no buffer is given back twice. No used entry is shown before it and its buffer are written. The receiver gets
 * each packet, in order; after a kill it may get those of the burst again that was in work, and no others. A buffer
 * belongs to one side at a time. The receiver, who sleeps until it is called, does not sleep for ever.
 * With one of these defined something is done in another order or left out, and Spin must find what goes wrong:
 * broken: INDEX_BEFORE_ENTRIES SENDER_FIRST BUNDLE_BEFORE_END RESUMES_AT_TAKEN RESUMES_AT_BASE NO_CALL
 */
#define SIZE 2
#define PACKETS 3
#define LIVES 3
#define BUFFERS (PACKETS + SIZE * (LIVES - 1)) /* each kill may repeat a burst */

/* In guests' memory. An entry is the number of its chain and 1; so is what a buffer holds that of a packet. */
byte sent;                 /* the sender's avail->idx */
byte sender_used;          /* its used->idx */
byte sender_entry[SIZE];
byte posted;               /* the receiver's avail->idx */
byte receiver_used;
byte receiver_entry[SIZE];
byte buffer[SIZE];
bool called;               /* the receiver's call eventfd */

byte owner;                /* at the keeper; 0: nobody */
byte claims;
bool killed[LIVES];
#ifdef RESUMES_AT_TAKEN
byte taken;                /* a position that outlives the process, as it was when packets were taken */
#endif

byte returned;             /* what the sender's driver has back */
byte received;             /* buffers that the receiver's driver has back */
byte packets;              /* that it has got, each counted once */

inline show_to_receiver() {
  receiver_used = at_receiver + count;
  called = true                                /* needs_call(), call->signal() */
}

inline write_to_receiver() {
  i = 0;
  do
  :: i < count ->
     assert(at_receiver + i >= receiver_used); /* still the back-end's */
     buffer[(at_receiver + i) % SIZE] = at_sender + i + 1;
     receiver_entry[(at_receiver + i) % SIZE] = at_receiver + i + 1;
     i++
  :: else -> break
  od
}

inline give_back_to_sender() {
  i = 0;
  do
  :: i < count -> sender_entry[(at_sender + i) % SIZE] = at_sender + i + 1; i++
  :: else -> break
  od;
  sender_used = at_sender + count
}

active [LIVES] proctype back_end() {
  byte me = _pid;
  byte at_sender, at_receiver, count, i;
  atomic { owner == 0 && claims == me -> owner = me + 1; claims++ };
  {
#ifdef RESUMES_AT_TAKEN
    at_sender = taken;
#else
#ifndef RESUMES_AT_BASE
    at_sender = sender_used;                   /* resume() */
#endif
#endif
    at_receiver = receiver_used;
#ifndef NO_CALL
    called = true;                             /* Session::adopt(): for what was used and not signalled */
#endif
    do
    :: sender_used < PACKETS ->
       (sent > at_sender && posted > at_receiver);
       count = 1;
       if                                      /* a burst of one, or of two */
       :: true
       :: sent > at_sender + 1 && posted > at_receiver + 1 -> count = 2
       fi;
#ifdef RESUMES_AT_TAKEN
       taken = at_sender + count;
#endif
#ifdef SENDER_FIRST
       give_back_to_sender();
#endif
#ifdef INDEX_BEFORE_ENTRIES
       show_to_receiver();
       write_to_receiver();
#else
       write_to_receiver();                    /* write(), give_back() */
       show_to_receiver();                     /* Transfer::move(): publish() */
#endif
#ifndef SENDER_FIRST
       give_back_to_sender();                  /* Transfer::end(): give_back(), publish() */
#endif
       at_sender = at_sender + count;
       at_receiver = at_receiver + count
    :: else -> break
    od
  } unless { killed[me] };
#ifndef BUNDLE_BEFORE_END
  owner = 0
#endif
}

/* At any instant of all but the last one. */
active proctype killer() {
  byte victim;
  do
  :: victim < LIVES - 1 ->
     claims > victim;
#ifdef BUNDLE_BEFORE_END
     owner = 0;
#endif
     killed[victim] = true;
     victim++
  :: else -> break
  od
}

active proctype sender() {
  do
  :: sent < PACKETS && sent - returned < SIZE -> sent++
  :: d_step {
       returned < sender_used ->
       assert(sender_entry[returned % SIZE] == returned + 1);
       returned++;
       assert(returned <= packets || received < receiver_used) /* the receiver has it, or will find it */
     }
  :: returned == PACKETS -> break
  od;
  assert(sender_used == PACKETS)
}

active proctype receiver() {
  byte number;
  do
  :: posted < BUFFERS && posted - received < SIZE -> posted++
  :: called ->
     called = false;
     do
     :: d_step {
          received < receiver_used ->
          assert(receiver_entry[received % SIZE] == received + 1);
          number = buffer[received % SIZE];
          assert(number != 0 && number <= packets + 1); /* in order, and none was left out */
          assert(number + SIZE > packets);              /* at most the burst is repeated */
          packets = (number > packets -> number : packets);
          buffer[received % SIZE] = 0;
          received++;
          number = 0
        }
     :: else -> break
     od
  :: packets == PACKETS && sender_used == PACKETS -> break
  od
}
