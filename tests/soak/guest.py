# SPDX-License-Identifier: BSD-3-Clause
"""A guest of the soak: the NetGuest of tests/interop, whose memory, rings and connection change while packets flow."""

import struct

import interop_path  # noqa: F401
from vhost_user import PROTOCOL_MEM_SLOTS, PROTOCOL_WANTED, SET_MEM_TABLE, SET_VRING_ENABLE, NetGuest


class SoakGuest(NetGuest):
    """memory_by_table: it announces memory as a whole, as front-ends without CONFIGURE_MEM_SLOTS do."""

    def __init__(self, path, listener=None, memory_by_table=False):
        self.memory_by_table = memory_by_table
        self.protocol_wanted = PROTOCOL_WANTED & ~(PROTOCOL_MEM_SLOTS if memory_by_table else 0)
        super().__init__(path, listener=listener)

    def share_slot(self, size, while_waiting):
        if not self.memory_by_table:
            return self.add_slot(size, while_waiting)
        slot = self._new_slot(size)
        self._send_table(while_waiting)
        self.buffers.add(slot.buffers())
        return slot

    def unshare_slot(self, slot, while_waiting):
        if not self.memory_by_table:
            return self.remove_slot(slot, while_waiting)
        self.slots.remove(slot)
        self._send_table(while_waiting)
        slot.close()

    def _send_table(self, while_waiting):
        descriptions = b"".join(slot.description() for slot in self.slots)
        table = struct.pack("=II", len(self.slots), 0) + descriptions
        self.front_end.tell(SET_MEM_TABLE, table, [slot.fd for slot in self.slots], while_waiting)

    def enable_ring(self, ring, on):
        self.front_end.tell(SET_VRING_ENABLE, struct.pack("=II", ring.index, on))

    def restart_ring(self, ring, base):
        self._start(ring, base)

    def hang_up(self):
        """The connection ends; memory and rings can still be looked at, until close()."""
        self.front_end.socket.close()

    def untaken(self):
        """Packets in the transmit ring that the back-end never took; once nobody works on the ring any more."""
        for buffer, _ in self.transmit_ring.reap():
            self.buffers.give_back(buffer)
        return len(self.transmit_ring.held)
