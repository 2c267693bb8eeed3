# SPDX-License-Identifier: BSD-3-Clause
"""Records of vhostx-probe as a test wants them: events, and the lines that a file has of them."""

import json
import struct

REPLY = 4
GET_FEATURES, SET_FEATURES, SET_OWNER, SET_MEM_TABLE = 1, 2, 3, 5
SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_BASE, GET_VRING_BASE = 8, 9, 10, 11
SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, SET_VRING_ENABLE = 12, 13, 14, 18
GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_BACKEND_REQ_FD = 15, 16, 21
CONFIG_CHANGE = 2  # the back-end's

MIB, GIB = 1 << 20, 1 << 30
UVA = 0x7F3C40000000


def fd(kind, name, size=0, page=0, seals=()):
    return dict(kind=kind, name=name, bytes=size, page_bytes=page, device=1, inode=2, seals=list(seals))


EVENTFD = fd("eventfd", "anon_inode:[eventfd]")


class Record:
    def __init__(self, program="vhostx-probe test"):
        header = dict(format="vhostx-probe record", version=1, begun="2026-01-01T00:00:00Z", program=program)
        self.lines = [json.dumps(header | dict(front_end="/run/vm0.sock", back_end="/run/switch0.sock"))]
        self.time_ns = 0
        self.connection = 1

    def event(self, kind, **content):
        self.time_ns += 21_000
        self.lines.append(json.dumps(dict(event=kind, time_ns=self.time_ns, connection=self.connection) | content))

    def open(self, front_end="qemu-system-x86", back_end="vhostx-switch"):
        self.event("opened", front_end=dict(pid=1001, program=front_end), back_end=dict(pid=1002, program=back_end))

    def message(self, way, request, payload=b"", fds=(), flags=1):
        flags |= REPLY if way.startswith("replies") else 0
        self.event(
            "message", way=way, request=request, flags=flags, size=len(payload), payload=payload.hex(), fds=list(fds)
        )

    def ask(self, request, payload=b"", fds=(), flags=1):
        self.message("front_end_requests", request, payload, fds, flags)

    def answer(self, request, payload):
        self.message("replies_to_front_end", request, payload)

    def ask_number(self, request, number, fds=()):
        self.ask(request, struct.pack("=Q", number), fds)

    def negotiate(self, features, chosen, protocol_features, protocol_chosen):
        self.ask(GET_FEATURES)
        self.answer(GET_FEATURES, struct.pack("=Q", features))
        self.ask(GET_PROTOCOL_FEATURES)
        self.answer(GET_PROTOCOL_FEATURES, struct.pack("=Q", protocol_features))
        self.ask_number(SET_PROTOCOL_FEATURES, protocol_chosen)
        self.ask(SET_OWNER)
        self.ask_number(SET_FEATURES, chosen)

    def memory(self, regions, files):
        """regions: (guest address, size, front-end address, offset)."""
        payload = struct.pack("=II", len(regions), 0) + b"".join(struct.pack("=QQQQ", *region) for region in regions)
        self.ask(SET_MEM_TABLE, payload, files)

    def ring(self, index, size, address, fd_of_ring=EVENTFD):
        available = address + 16 * size
        used = (available + 6 + 2 * size + 63) // 64 * 64
        self.ask(SET_VRING_NUM, struct.pack("=II", index, size))
        self.ask(SET_VRING_BASE, struct.pack("=II", index, 0))
        self.ask(SET_VRING_ADDR, struct.pack("=IIQQQQ", index, 0, address, used, available, 0))
        self.ask_number(SET_VRING_KICK, index, [fd_of_ring])
        self.ask_number(SET_VRING_CALL, index, [fd_of_ring])
        self.ask(SET_VRING_ENABLE, struct.pack("=II", index, 1))

    def stop_ring(self, index):
        self.ask(GET_VRING_BASE, struct.pack("=II", index, 0))
        self.answer(GET_VRING_BASE, struct.pack("=II", index, 100))

    def write(self, path):
        with open(path, "w") as file:
            file.write("\n".join(self.lines) + "\n")
