/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A model of set_notifications() during a start (VringCore::set_notifications(), start(), show()), on weakly
 * ordered memory (tests/models/weak_memory.pml). The gate is assumed as proved in vring_gate_order.pml: whoever
 * shuts it has made all other threads see that, and waits for the burst inside.
 *
 * Holds: when both are done, the ring has the last setting.
 * broken: STORED_WHILE_STOPPED NO_SECOND_LOOK NO_DATA_FENCE NO_CONTROL_FENCE NO_SECOND_TRY
 */
#define LOCATIONS 2
#define THREADS 2
#define WRITES 14
#include "../../tests/models/weak_memory.pml"

#define SETTING 0
#define SHOWN 1
#define SETTINGS 2

bool chosen;   /* what the ring has: written by who is inside, or while the gate is shut */
bool inside;   /* the data thread is in a pass */
bool last_setting; /* of the data thread */
byte done;

inline pass(on, was_running) {
  inside = true;
  load(0, SHOWN, seq_cst, was_running);
  if
  :: was_running -> chosen = on
  :: else
  fi;
  inside = false
}

active proctype data() {
  byte running;
  byte settings;
  do
  :: settings < SETTINGS ->
     settings++;
     last_setting = !last_setting;
#ifndef STORED_WHILE_STOPPED
     store(0, SETTING, relaxed, last_setting);
#endif
     pass(last_setting, running);
     if
     :: running
     :: else ->
#ifdef STORED_WHILE_STOPPED
        store(0, SETTING, relaxed, last_setting);
#endif
#ifndef NO_DATA_FENCE
        full_fence(0);
#endif
#ifndef NO_SECOND_TRY
        pass(last_setting, running)
#endif
     fi
  :: break
  od;
  done++
}

active proctype control() {
  byte wanted, again, before;
  do
  :: load(1, SETTING, relaxed, wanted);
     chosen = wanted;
     exchange(1, SHOWN, seq_cst, before, 1);
#ifdef NO_SECOND_LOOK
     break;
#endif
#ifndef NO_CONTROL_FENCE
     full_fence(1);
#endif
     load(1, SETTING, relaxed, again);
     if
     :: again == wanted -> break
     :: else ->
        exchange(1, SHOWN, seq_cst, before, 0);
        heavy_fence(1);
        !inside
     fi
  od;
  done++
}

active proctype judge() {
  done == 2;
  assert(chosen == last_setting)
}
