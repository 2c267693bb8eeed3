# SPDX-License-Identifier: BSD-3-Clause
"""What the soak does to a pair of guests while their packets flow. Each takes the Pair and leaves it in order."""

import interop_path  # noqa: F401
from probe import Observer

SLOT_BYTES = 64 << 10
MOMENT_S = 0.2


def pick_side(pair):
    return pair.random.choice(("left", "right"))


def pick_ring(pair):
    guest = pair.guests[pick_side(pair)]
    return guest, pair.random.choice((guest.receive_ring, guest.transmit_ring))


def memory(pair):
    """Slots come, are used, and go: no packet may be lost."""
    guest = pair.guests[pick_side(pair)]
    slots = [guest.share_slot(SLOT_BYTES, pair.while_waiting) for _ in range(pair.random.randint(1, 4))]
    pair.exchange(pair.random.random() * MOMENT_S)
    for slot in slots:
        guest.retire_slot(slot)
        pair.until(lambda slot=slot: slot.outstanding == 0, "the rings to give a slot's buffers back")
        guest.unshare_slot(slot, pair.while_waiting)


def ring_stopped(pair):
    """GET_VRING_BASE, a moment later a start from there. What is sent to a guest meanwhile is dropped, and counted."""
    guest, ring = pick_ring(pair)
    base = guest.stop_ring(ring)
    pair.exchange(pair.random.random() * MOMENT_S)
    guest.restart_ring(ring, base)


def ring_disabled(pair):
    guest, ring = pick_ring(pair)
    guest.enable_ring(ring, 0)
    pair.exchange(pair.random.random() * MOMENT_S)
    guest.enable_ring(ring, 1)


def reconnected(pair):
    """As a driver that is reset, or at once, in the middle of its packets."""
    side = pick_side(pair)
    if pair.random.random() < 0.5:
        pair.guests[side].stop()
    pair.guests[side].hang_up()
    pair.replace(side, pair.paths[side])


def probed(pair):
    """vhostx-probe trace comes between a port and its guest, looks on, and is taken away with the connection."""
    side = pick_side(pair)
    pair.guests[side].hang_up()
    seen = pair.bench.path("seen")
    trace = ["--connect", pair.paths[side], "--count-notifications"]
    observer = Observer(pair.bench, pair.plan["probe"], "trace", seen, *trace)
    pair.replace(side, seen)
    pair.exchange(3 * MOMENT_S)
    observer.end()
    pair.guests[side].hang_up()
    pair.replace(side, pair.paths[side])
    pair.bench.processes.remove(observer.process)


DISTURBANCES = {kind.__name__: kind for kind in (memory, ring_stopped, ring_disabled, reconnected, probed)}
