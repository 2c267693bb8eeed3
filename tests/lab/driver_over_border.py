#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A virtio-net driver in a guest's user space, which lays one structure of its rings after the other over a border of two
memory slots.

It sends back every frame that it receives. SIGUSR1 lets it go on to the next structure, with its device reset; after the last one it
ends. Linux's own driver cannot do so: it aligns what it allocates to
its size, and a border of slots to at least 1 MiB. The border lies within a huge page, which the program looks for among the
free ones.

It takes the PCI device by its files in /sys: no driver may have it. Registers: VIRTIO 1.2, 4.1.4. Rings: 2.7.
"""

import argparse
import ctypes
import mmap
import signal
import struct
import sys

PAGE, HUGE_PAGE = 4096, 2 << 20
MAP_HUGETLB = 0x40000
RECEIVE, TRANSMIT = 0, 1
SIZE = 64  # entries of a ring
BUFFER_BYTES = 2048
HEADER_BYTES = 12
TABLE_BYTES = 32  # an indirect table of two descriptors
NEXT, WRITE, INDIRECT = 1, 2, 4
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK = 1, 2, 4, 8
F_INDIRECT_DESC, F_VERSION_1 = 28, 32
NO_INTERRUPT = 1
COMMON, NOTIFY = 1, 2  # cfg_type of a capability
DESCRIPTOR = struct.Struct("=QIHH")
PARTS = ("descriptors", "available", "used")
OBJECTS = [f"{ring}-{part}" for ring in ("receive", "transmit") for part in (*PARTS, "buffers")] + ["transmit-tables"]


def physical_address(address):
    with open("/proc/self/pagemap", "rb") as pagemap:
        pagemap.seek(address // PAGE * 8)
        return (int.from_bytes(pagemap.read(8), sys.byteorder) & ((1 << 55) - 1)) * PAGE


def address_of(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


class Memory:
    """The huge page that the border lies in."""

    def __init__(self, border):
        self.base = border // HUGE_PAGE * HUGE_PAGE
        self.border = border - self.base
        self.others = []
        while True:
            try:
                self.bytes = mmap.mmap(-1, HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_HUGETLB)
            except OSError:
                sys.exit(f"none of {len(self.others)} free huge pages is the one at {self.base:#x}")
            self.bytes[0] = 0
            if physical_address(address_of(self.bytes)) == self.base:
                break
            self.others.append(self.bytes)
        self.words = memoryview(self.bytes).cast("H")

    def begin(self, across):
        """Gives all of it again: `across` so that the border is in its middle, all else below."""
        self.across, self.next = across, 0
        self.bytes[:] = bytes(HUGE_PAGE)

    def take(self, name, item_bytes, items=1):
        """The place of so many items. If these are to lie over the border, the one in the middle does."""
        if name == self.across:
            place = self.border - items // 2 * item_bytes - item_bytes // 32 * 16
            self.span = f"{self.base + place:#x} to {self.base + place + items * item_bytes:#x}"
            return place
        place = self.next
        self.next = (place + item_bytes * items + 63) & ~63
        return place


class Device:
    """A virtio device of virtio-pci, by its modern registers."""

    def __init__(self, folder):
        self.folder, self.bars = folder, {}
        with open(f"{folder}/config", "r+b", buffering=0) as config:
            self.config = config.read(256)
            config.seek(4)
            config.write(struct.pack("=H", struct.unpack_from("=H", self.config, 4)[0] | 6))  # memory, bus master
        self.common, _ = self._window(COMMON)
        self.notify, self.notify_multiplier = self._window(NOTIFY)

    def _window(self, kind):
        """(bytes, what follows the capability) of a capability of virtio's (4.1.4)."""
        at = self.config[0x34]
        while at:
            identifier, following, _, cfg_type, bar = struct.unpack_from("=BBBBB", self.config, at)
            if (identifier, cfg_type) == (9, kind):
                offset, length, more = struct.unpack_from("=III", self.config, at + 8)
                return self._bar(bar)[offset : offset + length], more
            at = following
        sys.exit(f"{self.folder} has no capability {kind} of a modern virtio device")

    def _bar(self, number):
        if number not in self.bars:
            with open(f"{self.folder}/resource{number}", "r+b") as file:
                self.bars[number] = memoryview(mmap.mmap(file.fileno(), 0))
        return self.bars[number]

    def read(self, offset, width):
        return self.common[offset : offset + struct.calcsize(width)].cast(width)[0]

    def write(self, offset, width, value):
        self.common[offset : offset + struct.calcsize(width)].cast(width)[0] = value

    def reset(self):
        self.write(20, "B", 0)
        while self.read(20, "B"):
            pass

    def negotiate(self, bits):
        self.write(20, "B", ACKNOWLEDGE | DRIVER)
        for word in (0, 1):
            self.write(8, "I", word)
            self.write(12, "I", sum(1 << bit % 32 for bit in bits if bit // 32 == word))
        self.write(20, "B", ACKNOWLEDGE | DRIVER | FEATURES_OK)
        if not self.read(20, "B") & FEATURES_OK:
            sys.exit(f"the device does not take features {bits}")

    def enable(self, number, ring):
        self.write(22, "H", number)
        self.write(24, "H", SIZE)
        for offset, address in zip((32, 40, 48), ring.addresses()):
            self.write(offset, "I", address & 0xFFFFFFFF)
            self.write(offset + 4, "I", address >> 32)
        at = self.read(30, "H") * self.notify_multiplier
        ring.kick = lambda: self.notify[at : at + 2].cast("H").__setitem__(0, number)
        self.write(28, "H", 1)

    def start(self):
        self.write(20, "B", ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)


class Ring:
    """A split virtqueue, whose entry N uses buffer N."""

    def __init__(self, memory, name):
        self.memory = memory
        sizes = (16 * SIZE, 6 + 2 * SIZE, 6 + 8 * SIZE)
        self.places = [memory.take(f"{name}-{part}", size) for part, size in zip(PARTS, sizes)]
        self.descriptors, self.available, self.used = self.places
        self.buffers = memory.take(f"{name}-buffers", BUFFER_BYTES, SIZE)
        self.seen = 0
        memory.words[self.available // 2] = NO_INTERRUPT

    def addresses(self):
        return [self.memory.base + place for place in self.places]

    def buffer(self, entry):
        return self.buffers + entry * BUFFER_BYTES

    def describe(self, place, address, length, flags, following=0):
        DESCRIPTOR.pack_into(self.memory.bytes, place, self.memory.base + address, length, flags, following)

    def publish(self, entry):
        index = self.memory.words[self.available // 2 + 1]
        self.memory.words[self.available // 2 + 2 + index % SIZE] = entry
        self.memory.words[self.available // 2 + 1] = (index + 1) & 0xFFFF  # x86-64 keeps stores in order

    def take_used(self):
        """(entry, bytes written) or None."""
        if self.memory.words[self.used // 2 + 1] == self.seen:
            return None
        entry, length = struct.unpack_from("=II", self.memory.bytes, self.used + 4 + self.seen % SIZE * 8)
        self.seen = (self.seen + 1) & 0xFFFF
        return entry, length


class Echo:
    def __init__(self, device, memory):
        self.memory = memory
        self.receive, self.transmit = Ring(memory, "receive"), Ring(memory, "transmit")
        self.tables = memory.take("transmit-tables", TABLE_BYTES, SIZE)
        self.free = list(range(SIZE))
        device.negotiate({F_INDIRECT_DESC, F_VERSION_1})
        for number, ring in ((RECEIVE, self.receive), (TRANSMIT, self.transmit)):
            device.enable(number, ring)
        device.start()
        for entry in range(SIZE):
            self.receive.describe(self.receive.descriptors + 16 * entry, self.receive.buffer(entry), BUFFER_BYTES, WRITE)
            self.receive.publish(entry)
        self.receive.kick()

    def step(self):
        while done := self.transmit.take_used():
            self.free.append(done[0])
        while self.free and (arrived := self.receive.take_used()):
            self.send(*arrived)
            self.receive.publish(arrived[0])
            self.receive.kick()

    def send(self, received, length):
        """A copy of what is in a receive buffer, header and frame as two descriptors of an indirect table."""
        entry = self.free.pop()
        begin, copy = self.receive.buffer(received), self.transmit.buffer(entry)
        data = bytes(HEADER_BYTES) + self.memory.bytes[begin + HEADER_BYTES : begin + length]
        self.memory.bytes[copy : copy + length] = data
        table = self.tables + TABLE_BYTES * entry
        self.transmit.describe(table, copy, HEADER_BYTES, NEXT, 1)
        self.transmit.describe(table + 16, copy + HEADER_BYTES, length - HEADER_BYTES, 0)
        self.transmit.describe(self.transmit.descriptors + 16 * entry, table, TABLE_BYTES, INDIRECT)
        self.transmit.publish(entry)
        self.transmit.kick()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("device", help="its folder in /sys")
    parser.add_argument("border", type=lambda text: int(text, 0), help="guest address")
    options = parser.parse_args()
    device, memory = Device(options.device), Memory(options.border)
    told_to_go_on = []
    signal.signal(signal.SIGUSR1, lambda *_: told_to_go_on.append(True))
    for across in OBJECTS:
        device.reset()  # before its rings' memory is cleared
        memory.begin(across)
        echo = Echo(device, memory)
        print(f"{across}: {memory.span}", flush=True)
        while not told_to_go_on:
            echo.step()
        told_to_go_on.clear()
    device.reset()


if __name__ == "__main__":
    main()
