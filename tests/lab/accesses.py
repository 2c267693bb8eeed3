# SPDX-License-Identifier: BSD-3-Clause
"""What the emulator counts: which CPU touched which page of a program, and on which node that page was at that moment.

The plugin (accesses/) says of each access the page as the program has it and the page as the machine has it. The first tells
what was touched, once the switch has said where its ring states and mbufs are and the kernel where guest memory is mapped; address
spaces are laid out at random, so that pages of other programs on the same CPU are none of the switch's. The second tells the node.
"""

import socket
from collections import Counter, namedtuple

from numa_machine import areas_of
from processes import Failure
from qemu import plugin_version, qemu_program

PAGE_BITS = 12
GUEST_MEMORY = "memfd:vhostx-guest"
KINDS = ("ring state", "mbufs", "guest memory", "everything else")

Accesses = namedtuple("Accesses", "local remote")


class AccessCounter:
    """Its arguments go to QEMU before the machine starts; then begin() and end() as often as one likes."""

    def __init__(self, bench, plugins):
        """plugins: the folder with one for each version of QEMU's interface."""
        self.path = bench.path("accesses")
        version = plugin_version(qemu_program())
        self.arguments = ["-plugin", f"{plugins}/accesses-{version}.so,socket={self.path}"]
        self.connection = None

    def connect(self):
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(60)
        self.connection.connect(self.path)

    def _ask(self, command):
        self.connection.sendall(command.encode() + b"\n")
        answer = bytearray()
        while not answer.endswith(b".\n"):
            chunk = self.connection.recv(1 << 20)
            if not chunk:
                raise Failure("the emulator's plugin closed its socket")
            answer += chunk
        return answer.decode().splitlines()[:-1]

    def begin(self):
        self._ask("begin")

    def end(self):
        """{CPU: {(page of the program, page of the machine): accesses}}"""
        counts = {}
        for line in self._ask("end"):
            cpu, address, place, loads, stores = line.split()
            pages = counts.setdefault(int(cpu), {})
            pages[int(address, 16), int(place, 16)] = int(loads) + int(stores)
        return counts


class Kinds:
    """Which page of the switch is what."""

    def __init__(self, stats, space):
        rings = [one for port in stats["ports"] for one in port["placement"]]
        areas = {
            "ring state": [area for one in rings for area in areas_of(one["state_areas"])],
            "mbufs": [area for pool in stats["mempools"] for area in areas_of(pool["memory"])],
            "guest memory": space.named(GUEST_MEMORY),
            "everything else": [(begin, end) for begin, end, _, _ in space.mappings],
        }
        self.areas = [(begin, end, kind) for kind in KINDS for begin, end in areas[kind]]

    def of(self, page):
        """None: not a page of the switch."""
        address = page << PAGE_BITS
        return next((kind for begin, end, kind in self.areas if begin <= address < end), None)


def node_of(place, machine):
    """Of a page of a machine with two nodes. QEMU 7.2 adds a memory back-end's offset twice: the second node's lies higher than it
    should, and in any case above the first node's."""
    return 1 if place << PAGE_BITS >= machine.memory_mib << 20 else 0


def by_kind(counts, kinds, machine):
    """{kind: Accesses}, local and remote to the CPU that made them."""
    sums = Counter()
    for cpu, pages in counts.items():
        for (page, place), accesses in pages.items():
            kind = kinds.of(page)
            if kind:
                sums[kind, node_of(place, machine) == machine.node_of_cpu(cpu)] += accesses
    return {kind: Accesses(sums[kind, True], sums[kind, False]) for kind in KINDS}
