# SPDX-License-Identifier: BSD-3-Clause
"""A small vhost-user-net front-end with its driver: one guest, in Python, on real sockets, memfds and split rings.

    guest = NetGuest(path)              # connects, negotiates, shares memory, starts one queue pair
    guest.send(frame)                   # False when the transmit ring is full
    frames = guest.receive()            # what has arrived
    slot = guest.add_slot(65536)        # ADD_MEM_REG; its buffers join the others
    guest.remove_slot(slot)             # REM_MEM_REG, once the rings have given all its buffers back

It serves the tests of many ports and of memory slots, where a real guest would be too heavy or too well-behaved. Message
numbers and layouts: vhost-user, "Front-end message types". Rings: VIRTIO 1.2, 2.7. Indices are written through a
memoryview of 16-bit items, so that each is one store; x86-64 keeps stores in order.
"""

import collections
import mmap
import os
import select
import socket
import struct
import time

from processes import Failure, wait_until

GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR = 12, 13, 14
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE = 15, 16, 17, 18
GET_MAX_MEM_SLOTS, ADD_MEM_REG, REM_MEM_REG = 36, 37, 38

VERSION, REPLY, NEED_REPLY = 1, 4, 8
HEADER = struct.Struct("=III")

VIRTIO_F_VERSION_1 = 1 << 32
VHOST_USER_F_PROTOCOL_FEATURES = 1 << 30
PROTOCOL_MQ, PROTOCOL_REPLY_ACK, PROTOCOL_MEM_SLOTS = 1 << 0, 1 << 3, 1 << 15
PROTOCOL_WANTED = PROTOCOL_MQ | PROTOCOL_REPLY_ACK | PROTOCOL_MEM_SLOTS

DESC_NEXT, DESC_WRITE = 1, 2
USED_NO_NOTIFY = 1
NET_HEADER_BYTES = 12  # VERSION_1: always with num_buffers (VIRTIO 1.2, 5.1.6.1)
BUFFER_BYTES = 2048
PAGE = 4096
USER_ADDRESS_OFFSET = 0x7F00_0000_0000  # front-end addresses are a space of their own
REPLY_TIMEOUT_S = 30.0


class Slot:
    """One memfd that guest and back-end share, at a guest address."""

    def __init__(self, guest_address, size):
        self.guest_address, self.size = guest_address, size
        self.fd = os.memfd_create("guest-memory", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, size)
        self.memory = mmap.mmap(self.fd, size)
        self.words = memoryview(self.memory).cast("H")
        self.outstanding = 0  # buffers that are in a ring
        self.retired = False

    def description(self):
        return struct.pack("=QQQQ", self.guest_address, self.size, self.guest_address + USER_ADDRESS_OFFSET, 0)

    def buffers(self, begin=0):
        return [Buffer(self, offset) for offset in range(begin, self.size, BUFFER_BYTES)]

    def close(self):
        self.words.release()
        self.memory.close()
        os.close(self.fd)


class Buffer:
    def __init__(self, slot, offset):
        self.slot, self.offset = slot, offset

    @property
    def address(self):
        return self.slot.guest_address + self.offset


class Buffers:
    """Free buffers of all slots. A retired slot's buffers leave for good as the rings give them back."""

    def __init__(self):
        self.free = collections.deque()

    def add(self, buffers):
        self.free.extend(buffers)  # the next to be taken

    def take(self):
        buffer = self.free.pop()
        buffer.slot.outstanding += 1
        return buffer

    def give_back(self, buffer):
        buffer.slot.outstanding -= 1
        if not buffer.slot.retired:
            self.free.appendleft(buffer)

    def retire(self, slot):
        slot.retired = True
        self.free = collections.deque(buffer for buffer in self.free if buffer.slot is not slot)


class SplitRing:
    """The driver's side of one split virtqueue, at the begin of a slot or behind another ring in it."""

    def __init__(self, index, slot, offset, size):
        self.index, self.slot, self.size = index, slot, size
        self.descriptors = offset
        self.avail = self.descriptors + 16 * size
        self.used = (self.avail + 6 + 2 * size + 3) & ~3
        self.end = self.used + 6 + 8 * size
        self.kick = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.call = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.free_heads = list(range(size))
        self.held = {}  # head -> its buffer
        self.avail_index = self.used_index = 0
        self.reaped = 0  # since it began, without wrapping

    def user_address(self, offset):
        return self.slot.guest_address + USER_ADDRESS_OFFSET + offset

    def addresses(self):
        return [self.user_address(offset) for offset in (self.descriptors, self.used, self.avail)]

    def publish(self, buffer, length, flags):
        """Makes one buffer available as a chain of one descriptor (VIRTIO 1.2, 2.7.13)."""
        head = self.free_heads.pop()
        self.held[head] = buffer
        words = self.slot.words
        struct.pack_into("=QIHH", self.slot.memory, self.descriptors + 16 * head, buffer.address, length, flags, 0)
        words[(self.avail + 4) // 2 + self.avail_index % self.size] = head
        self.avail_index = (self.avail_index + 1) & 0xFFFF
        words[self.avail // 2 + 1] = self.avail_index

    def notify(self):
        os.eventfd_write(self.kick, 1)

    def notification_wanted(self):
        """The device has not said that it looks by itself (VIRTIO 1.2, 2.7.10)."""
        return not self.slot.words[self.used // 2] & USED_NO_NOTIFY

    def reap(self):
        """[(buffer, bytes written)] that the device has given back since the last call."""
        now = self.slot.words[self.used // 2 + 1]
        done = []
        while self.used_index != now:
            entry = self.used + 4 + 8 * (self.used_index % self.size)
            head, length = struct.unpack_from("=II", self.slot.memory, entry)
            if head not in self.held:
                raise Failure(f"ring {self.index}: the used ring names head {head}, which the device did not have")
            done.append((self.held.pop(head), length))
            self.free_heads.append(head)
            self.used_index = (self.used_index + 1) & 0xFFFF
        self.reaped += len(done)
        return done

    def close(self):
        os.close(self.kick)
        os.close(self.call)


class FrontEnd:
    """The socket and its messages. while_waiting is called over and over until a reply is there.

    Connects to `path`, or takes a back-end in the client role from `listener`.
    """

    def __init__(self, path, listener=None):
        if listener is None:
            self.socket = socket.socket(socket.AF_UNIX)
            wait_until(lambda: self._try_connect(path), f"a back-end to listen on {path}")
        else:
            listener.settimeout(REPLY_TIMEOUT_S)
            self.socket = listener.accept()[0]
        self.acks = False

    def _try_connect(self, path):
        try:
            self.socket.connect(path)
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def send(self, request, payload=b"", fds=(), flags=0):
        message = HEADER.pack(request, VERSION | flags, len(payload)) + payload
        socket.send_fds(self.socket, [message], list(fds))

    def ask(self, request, payload=b"", while_waiting=None):
        """Sends a request that has a reply and returns the reply's payload."""
        self.send(request, payload)
        return self._reply(request, while_waiting)

    def tell(self, request, payload=b"", fds=(), while_waiting=None):
        """Sends a request without a reply; with REPLY_ACK it asks for the ack, and 0 means done."""
        self.send(request, payload, fds, NEED_REPLY if self.acks else 0)
        if self.acks:
            status = struct.unpack("=Q", self._reply(request, while_waiting))[0]
            if status != 0:
                raise Failure(f"the back-end refused request {request}: ack {status}")

    def _reply(self, request, while_waiting):
        deadline = time.monotonic() + REPLY_TIMEOUT_S
        while not select.select([self.socket], [], [], 0 if while_waiting else REPLY_TIMEOUT_S)[0]:
            if time.monotonic() > deadline:
                raise Failure(f"no reply to request {request} within {REPLY_TIMEOUT_S:.0f} s")
            if while_waiting:
                while_waiting()
        got, flags, size = HEADER.unpack(self._read(HEADER.size, request))
        if got != request or not flags & REPLY:
            raise Failure(f"asked request {request}, was answered {got} with flags {flags:#x}")
        return self._read(size, request)

    def _read(self, size, request):
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise Failure(f"the back-end closed the connection at request {request}")
            data += chunk
        return data

    def ask_u64(self, request):
        return struct.unpack("=Q", self.ask(request))[0]


class NetGuest:
    """A guest with one queue pair: ring 0 receives, ring 1 transmits."""

    protocol_wanted = PROTOCOL_WANTED

    def __init__(self, path, ring_size=256, first_slot_bytes=2 << 20, listener=None):
        self.front_end = FrontEnd(path, listener)
        self.next_address = 0x1000_0000
        self.slots, self.buffers = [], Buffers()
        self._negotiate()
        first = self._new_slot(first_slot_bytes)
        self.receive_ring = SplitRing(0, first, 0, ring_size)
        self.transmit_ring = SplitRing(1, first, (self.receive_ring.end + PAGE - 1) & -PAGE, ring_size)
        self.buffers.add(first.buffers((self.transmit_ring.end + PAGE - 1) & -PAGE))
        self.front_end.tell(SET_MEM_TABLE, struct.pack("=II", 1, 0) + first.description(), [first.fd])
        for ring in (self.receive_ring, self.transmit_ring):
            self._start(ring)
        self._fill_receive_ring()

    def _negotiate(self):
        front_end = self.front_end
        offered = front_end.ask_u64(GET_FEATURES)
        for bit in (VIRTIO_F_VERSION_1, VHOST_USER_F_PROTOCOL_FEATURES):
            if not offered & bit:
                raise Failure(f"the back-end offers {offered:#x}, without {bit:#x}")
        protocol = front_end.ask_u64(GET_PROTOCOL_FEATURES) & self.protocol_wanted
        front_end.tell(SET_PROTOCOL_FEATURES, struct.pack("=Q", protocol))
        front_end.acks = bool(protocol & PROTOCOL_REPLY_ACK)
        self.slots_max = front_end.ask_u64(GET_MAX_MEM_SLOTS) if protocol & PROTOCOL_MEM_SLOTS else 8
        front_end.tell(SET_OWNER)
        front_end.tell(SET_FEATURES, struct.pack("=Q", VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES))

    def _new_slot(self, size):
        slot = Slot(self.next_address, size)
        self.next_address += size + PAGE  # a hole behind each
        self.slots.append(slot)
        return slot

    def _start(self, ring, base=0):
        tell, index = self.front_end.tell, ring.index
        tell(SET_VRING_NUM, struct.pack("=II", index, ring.size))
        tell(SET_VRING_BASE, struct.pack("=II", index, base))
        tell(SET_VRING_ADDR, struct.pack("=IIQQQQ", index, 0, *ring.addresses(), 0))
        tell(SET_VRING_KICK, struct.pack("=Q", index), [ring.kick])
        tell(SET_VRING_CALL, struct.pack("=Q", index), [ring.call])
        tell(SET_VRING_ENABLE, struct.pack("=II", index, 1))
        ring.notify()  # a ring starts with its first kick

    def _fill_receive_ring(self):
        ring = self.receive_ring
        posted = False
        # Half of the free buffers stay for sending.
        while ring.free_heads and len(self.buffers.free) > ring.size // 2:
            ring.publish(self.buffers.take(), BUFFER_BYTES, DESC_WRITE)
            posted = True
        if posted:
            ring.notify()

    def send(self, frame):
        for buffer, _ in self.transmit_ring.reap():
            self.buffers.give_back(buffer)
        if not self.transmit_ring.free_heads or not self.buffers.free:
            return False
        buffer = self.buffers.take()
        packet = bytes(NET_HEADER_BYTES) + frame
        buffer.slot.memory[buffer.offset : buffer.offset + len(packet)] = packet
        self.transmit_ring.publish(buffer, len(packet), 0)
        self.transmit_ring.notify()
        return True

    def receive(self):
        """The frames that have arrived; their buffers go back into the ring."""
        try:
            os.eventfd_read(self.receive_ring.call)  # clear first, look then: nothing is missed
        except BlockingIOError:
            pass
        frames = []
        for buffer, length in self.receive_ring.reap():
            frames.append(buffer.slot.memory[buffer.offset + NET_HEADER_BYTES : buffer.offset + length])
            self.buffers.give_back(buffer)
        self._fill_receive_ring()
        return frames

    def add_slot(self, size, while_waiting=None):
        slot = self._new_slot(size)
        self.front_end.tell(ADD_MEM_REG, bytes(8) + slot.description(), [slot.fd], while_waiting)
        self.buffers.add(slot.buffers())
        return slot

    def retire_slot(self, slot):
        """From now on its buffers are not used again; it can be removed when slot.outstanding is 0."""
        self.buffers.retire(slot)

    def remove_slot(self, slot, while_waiting=None):
        if slot.outstanding or not slot.retired:
            raise ValueError("buffers of this slot are still in a ring")
        self.front_end.tell(REM_MEM_REG, bytes(8) + slot.description(), (), while_waiting)
        self.slots.remove(slot)
        slot.close()

    def stop(self):
        """Stops both rings as QEMU does and returns where the device had got to."""
        return [self.stop_ring(ring) for ring in (self.receive_ring, self.transmit_ring)]

    def stop_ring(self, ring):
        reply = self.front_end.ask(GET_VRING_BASE, struct.pack("=II", ring.index, 0))
        return struct.unpack("=II", reply)[1]

    def close(self):
        self.front_end.socket.close()
        for ring in (self.receive_ring, self.transmit_ring):
            ring.close()
        for slot in self.slots:
            slot.close()
