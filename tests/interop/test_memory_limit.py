#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch under a memory limit lives, whatever memory a front-end makes it pay for.

Who touches a page of a sparse file first pays for it, for as long as the file has it. A front-end shares one sparse file after
the other, keeps them all, and lets the switch read from pages that nobody has touched: more bytes than the limit allows. It
shares one file in many slots, whose page tables are the switch's, and a file larger than any memory. It loses its connection, or
its request is refused. Two neighbours send to each other all the while, and lose nothing. The kernel ends a process over its
limit, so that the switch's summary is the proof.
"""

import argparse
import mmap
import os
import select
import struct

from control_group import MemoryGroup
from processes import Failure, Skip, check, check_equal, run_test, wait_until
from test_memory_slots import Traffic
from vhost_user import ADD_MEM_REG, DESC_NEXT, NET_HEADER_BYTES, PAGE, NetGuest, Slot
from vhostx_switch import VhostSwitch, describe, dropped

MIB = 1 << 20
LIMIT = 1024 * MIB
FILE_BYTES = 512 * MIB
OWN_MAC = b"\x52\x54\x00\x00\x09\x01"
BEGIN = bytes(NET_HEADER_BYTES) + 2 * OWN_MAC + b"\x88\xb5" + bytes(46)  # to itself: no neighbour sees it
REST = 32  # bytes of each packet that lie elsewhere


class Attacker(NetGuest):
    """The rest of each packet that it sends lies in a page that nobody has touched."""

    def publish(self, slot, offset):
        """A chain of two: the begin of the packet, and REST bytes of `slot`."""
        ring, begin = self.transmit_ring, self.begin
        head, rest = ring.free_heads.pop(), ring.free_heads.pop()
        ring.held[head] = rest
        for entry, descriptor in (
            (rest, (slot.guest_address + offset, REST, 0, 0)),
            (head, (begin.address, len(BEGIN), DESC_NEXT, rest)),
        ):
            struct.pack_into("=QIHH", ring.slot.memory, ring.descriptors + 16 * entry, *descriptor)
        ring.slot.words[(ring.avail + 4) // 2 + ring.avail_index % ring.size] = head
        ring.avail_index = (ring.avail_index + 1) & 0xFFFF
        ring.slot.words[ring.avail // 2 + 1] = ring.avail_index

    def touch(self, slot, meanwhile):
        """False: the back-end has ended the connection before it had seen all pages."""
        ring = self.transmit_ring
        self.begin = self.buffers.take()
        self.begin.slot.memory[self.begin.offset : self.begin.offset + len(BEGIN)] = BEGIN
        for offset in range(0, slot.size, PAGE):
            while len(ring.free_heads) < 2:
                meanwhile()
                ring.free_heads += [rest for rest, _ in ring.reap()]
                if self.is_cut_off():
                    return False
            self.publish(slot, offset)
            ring.notify()
        return not self.is_cut_off()

    def is_cut_off(self):
        return bool(select.select([self.front_end.socket], [], [], 0)[0])

    def refused(self, slot, fd, file_offset=0):
        """Whether ADD_MEM_REG of a slot is answered with no."""
        description = slot.description()[:24] + file_offset.to_bytes(8, "little")
        try:
            self.front_end.tell(ADD_MEM_REG, bytes(8) + description, [fd])
            return False
        except Failure as failure:
            check("refused" in str(failure), str(failure))
            return True


class SparseSlot(Slot):
    """Not mapped here: even a front-end's own mapping of so much may be refused."""

    def __init__(self, guest_address, size):
        self.guest_address, self.size = guest_address, size
        self.fd = os.memfd_create("sparse", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        self.memory, self.words = mmap.mmap(-1, PAGE), memoryview(b"")

    def allocated(self):
        return os.stat(self.fd).st_blocks * 512


def sparse_files(group, attack, traffic, kept):
    """One connection; the bytes that the switch allocated before it ended it. None: it took all."""
    slot = SparseSlot(0x100_0000_0000, FILE_BYTES)
    kept.append(slot)
    attack.front_end.tell(ADD_MEM_REG, bytes(8) + slot.description(), [slot.fd])
    ended = not attack.touch(slot, traffic.step)
    print(
        f"{slot.allocated() // MIB} of {FILE_BYTES // MIB} MiB allocated, {group.used() // MIB} of {LIMIT // MIB} MiB "
        f"used, {'connection ended' if ended else 'all pages taken'}",
        flush=True,
    )
    return ended


def aliases(attack):
    """The same bytes may be seen twice, but not without end; and a table not larger than the limit's part."""
    slot = SparseSlot(0x200_0000_0000, FILE_BYTES)
    refusals = 0
    for _ in range(8):
        refusals += attack.refused(slot, slot.fd)
        slot.guest_address += 2 * FILE_BYTES
    check(refusals >= 5, f"{8 - refusals} slots show the same {FILE_BYTES // MIB} MiB")
    huge = SparseSlot(0x300_0000_0000, 64 * LIMIT)
    check(attack.refused(huge, huge.fd), "a slot of 64 times the limit was taken")
    slot.close()
    huge.close()


def limit_ends(switch):
    """How many connections the switch has ended, for the reason that it should."""
    switch.mark()
    return sum(
        event.get("event") == "disconnected" and "memory limit" in event.get("reason", "") for event in switch.events
    )


def memory_limit(bench, binary):
    if os.geteuid() != 0:
        raise Skip("control groups are root's")
    group = MemoryGroup(bench, LIMIT)
    paths = [bench.path(f"{name}.sock") for name in ("left", "right", "attacker")]
    switch = VhostSwitch(bench, binary, paths, prefix=group.prefix)
    print(f"{group.used() // MIB} MiB used by the switch alone", flush=True)
    left, right = NetGuest(paths[0]), NetGuest(paths[1])
    traffic = Traffic(left, right)
    traffic.until(lambda: traffic.received() > 1000, "packets between the neighbours")

    attack, kept, ends = Attacker(paths[2]), [], 0
    aliases(attack)
    for _ in range(8):
        try:
            ended = sparse_files(group, attack or Attacker(paths[2]), traffic, kept)
        except (Failure, OSError) as failure:  # its own rings are sparse, too
            ended = True
            print(f"ended before its rings ran: {failure}", flush=True)
        attack = None
        if ended:
            ends += 1
            wait_until(lambda wanted=ends: limit_ends(switch) == wanted, f"{ends} connections to end at the limit")
        if ends == 3:
            break
    check_equal(ends, 3, "connections that were ended for want of room")

    before = traffic.received()
    traffic.until(lambda: traffic.received() > before + 1000, "packets between the neighbours after the attack")
    traffic.drain()
    stats = switch.stats()
    print(describe(stats))
    for port in stats["ports"][:2]:
        check_equal(dropped(port), {}, "drops")
    switch.finish()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    run_test(memory_limit, parser.parse_args().vhostx_switch)
