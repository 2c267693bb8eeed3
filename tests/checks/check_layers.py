#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads every #include of the library and its tools against the table of layers (ARCHITECTURE.md), and looks for what only
one layer may do: touch ring memory (virtqueue/ring.hpp, packed_ring.hpp), know what a ring consists of (virtqueue/), make a pointer from a
guest's address (memory/). A violation is reported with file and line."""
import re
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Which folders of the project each may include. Public headers that are mere vocabulary belong to nobody.
VOCABULARY = {"vhostx/result.hpp", "vhostx/log.hpp", "vhostx/vring_fault.hpp", "vhostx/vring_stats.hpp",
              "vhostx/export.hpp", "vhostx/placement.hpp", "vhostx/enqueue_end.hpp",
              "vhostx/features.hpp"}
LAYERS = {
    "base": {"base"},
    "continuity": {"continuity", "protocol", "base"},
    "protocol": {"protocol", "base"},
    "memory": {"memory", "base"},
    "numa": {"numa", "base"},
    "topology": {"topology", "numa", "base"},
    "virtqueue": {"virtqueue", "memory", "base"},
    "net": {"net", "virtqueue", "memory", "base"},
    "zerocopy": {"zerocopy", "net", "virtqueue", "numa", "memory", "base"},
    "backend": {"backend", "zerocopy", "net", "virtqueue", "numa", "memory", "protocol", "continuity", "base"},
    # The C interface stands on the C++ one, as any application does; of the rest it has the words for its errors.
    "c": {"c", "base"},
    "compat": {"compat"},  # what any application sees: the public headers
    "telemetry": {"telemetry"},  # a library of its own: it sees the public headers, as an application does
    "systemd": {"systemd", "continuity", "base"},  # a library of its own, too
}
DPDK = {"topology", "net", "zerocopy", "backend", "compat"}
# The parts of backend/, each with those of backend/ that it may include. What is in none of them joins them.
PARTS = {"loop": {"loop"}, "ring": {"ring", "loop"}, "connection": {"connection", "ring", "loop"}}
TELEMETRY = "rte_telemetry.h"  # all that telemetry/ has of DPDK, and nobody else has it
# Of continuity/ systemd/ has what a keeper is.
KEEPER = {"continuity/keeper_service.hpp", "continuity/port_keeper.hpp", "continuity/session_state.hpp"}
LIBSYSTEMD = "systemd/sd-daemon.h"
ASIO = {"protocol/channel.hpp", "protocol/channel.cpp", "protocol/socket_io.hpp", "protocol/socket_io.cpp",
        "protocol/asio_source.cpp", "protocol/handler_memory.hpp"}
# Public headers that a layer implements itself.
PUBLIC = {"net": {"vhostx/offload.hpp", "vhostx/peeked_packet.hpp", "vhostx/packet_sizes.hpp"},
          "topology": {"vhostx/numa.hpp"},
          "systemd": {"vhostx/systemd.hpp"}}
# The parts of tools/: which folders and headers of the project each may include. The public headers are everybody's.
TOOLS = {
    "common": {"tools/common", "base/unique_fd.hpp"},
    "driver": {"tools/driver", "virtqueue", "protocol", "base"},
    "front_end": {"tools/front_end", "protocol", "base"},
    "bench": {"tools/bench", "tools/common", "tools/front_end", "tools/driver", "protocol", "base"},
    "probe": {"tools/probe", "tools/common", "tools/front_end", "tools/driver", "virtqueue", "protocol", "numa", "continuity", "base"},
    "keeper": {"tools/keeper", "tools/common", "continuity", "base"},
    # Applications see the public headers, and of the project's own headers the switch has only these.
    "switch": {"tools/switch", "tools/common", "base/unique_fd.hpp"},
    "examples": set(),
}
TAP_PORT = {"tools/switch/tap_port.hpp": {"base", "net"}, "tools/switch/tap_port.cpp": {"base", "net"}}
TOOLS_DPDK = {"switch", "examples"}
TOOLS_ASIO = {"switch"}
# What the C interface includes of the standard library.
C_HEADERS = {"stdbool.h", "stddef.h", "stdint.h"}
# How virtqueue/ring.hpp, and nothing else, touches shared ring memory. (The record of what is in flight is a file of its
# own, written by one file as well.)
ATOMIC_ONLY = re.compile(r"__atomic_(load|store)_n")
TOUCH_RING = {"virtqueue/ring.hpp", "virtqueue/packed_ring.hpp", "virtqueue/inflight_record.hpp", "virtqueue/packed_inflight_record.hpp"}
# How memory/, and nothing else, makes pointers from a guest's addresses: from a number, or from a region's base.
POINTER_MADE = re.compile(r"reinterpret_cast<(const )?std::uint8_t ?\*>|\bunchecked_pointer\b"
                          r"|(\.|->)host(\(\))?\)?\s*\+|\+\s*\w+(\.|->)host\b")
# Casts to bytes of what is no guest's address.
NO_GUEST_ADDRESS = {
    "topology/mempools_by_node.cpp",  # pages of an mbuf pool
    "net/rarp.cpp",             # the data of our own mbuf
    "numa/look.cpp",            # pages of this process, for the kernel to look up; they are not touched
    "virtqueue/ring.hpp",       # words of a ring that was translated
    "virtqueue/packed_ring.hpp",
}

# How guest memory, which is read through const pointers, becomes writable: a WritableSpan, a used ring, and for mbufs and
# system calls, which know no const.
MADE_WRITABLE = re.compile(r"const_cast<std::uint8_t ?\*>")
MAKE_WRITABLE = {"memory/writable_span.hpp", "memory/address.hpp", "virtqueue/ring.hpp", "virtqueue/packed_ring.hpp"}

# What a ring consists of: descriptors, its three areas, positions in it.
RING_INSIDE = re.compile(r"\b(Raw|Packed)?Descriptor\b|\bPacked(Table|Event)\b|\bload_descriptor\b|\b(Avail|Used)Ring\b|\b(avail|used)_(next|signalled)\b"
                         r"|\blayout\w*(\.|->)(descriptors?|avail|used|slot)\b|\bfirst\.(address|rest|unpack)\b")
# The headers of virtqueue/ for the layers above: what a burst sees, and what starts and places a ring.
RING_OUTSIDE = {"chain.hpp", "prefetch.hpp", "virtqueue.hpp", "vring_cursor.hpp", "walk_budget.hpp"}
RING_CONTROL = RING_OUTSIDE | {"any_layout.hpp", "inflight_area.hpp", "inflight_record.hpp", "inflight_store.hpp", "packed_inflight_record.hpp", "posted_sample.hpp", "ring_layout.hpp",
                                "split_queue.hpp"}
# Here the kind of a ring is chosen.
KIND_CHOSEN = "net/ring_context.hpp"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path: Path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def part_of(file: str):
    """Of a file in backend/; empty where it is in none."""
    return file.split("/")[1] if file.count("/") > 1 else ""


def check_include(layer: str, file: str, quote: str, target: str):
    if quote == '"':
        folder = target.split("/")[0]
        if "/" not in target:
            return "includes are written from the project's root"
        if folder not in LAYERS[layer]:
            return f"layer {layer} may not include {folder}/"
        if layer == "systemd" and folder == "continuity":
            return None if target in KEEPER else f"{target} is no header of systemd/'s"
        if folder == "virtqueue" and layer != "virtqueue" and file != KIND_CHOSEN:
            seen = RING_CONTROL if layer == "backend" else RING_OUTSIDE
            return None if target.split("/")[1] in seen else f"{target} is for virtqueue/ alone"
        if layer != "backend" or folder != "backend" or part_of(file) == "":
            return None
        may = part_of(target) in PARTS.get(part_of(file), set())
        return None if may else f"backend/{part_of(file)}/ may not include it"
    if target.startswith("vhostx/"):
        allowed = layer in ("backend", "c", "compat", "telemetry") or target in VOCABULARY or target in PUBLIC.get(layer, set())
        return None if allowed else f"layer {layer} may not include <{target}>: not vocabulary"
    if target == TELEMETRY:
        return None if layer == "telemetry" else f"{TELEMETRY} is telemetry/'s"
    if target == LIBSYSTEMD:
        return None if layer == "systemd" else f"{LIBSYSTEMD} is systemd/'s"
    if target.startswith("rte_") and layer not in DPDK:
        return f"layer {layer} builds without DPDK"
    if target.startswith("asio") and layer != "backend" and file not in ASIO:
        return "Asio belongs to protocol/channel, protocol/handler_memory and backend/"
    return None


def check_public(file: str, quote: str, target: str):
    if file.endswith(".h") and not (target.endswith(".h") and (target.startswith("vhostx/") or target in C_HEADERS)):
        return "headers for C include those of C and each other"
    if quote == '"' or not (target.startswith("vhostx/") or re.fullmatch(r"[a-z_]+", target) or target in C_HEADERS):
        return "public headers include the standard library and each other"
    return None


def check_tool(part: str, file: str, quote: str, target: str):
    if quote == '"':
        allowed = TOOLS[part] | TAP_PORT.get(file, set())
        ways = {target, target.split("/")[0], "/".join(target.split("/")[:2])}
        return None if ways & allowed else f"tools/{part}/ may not include it"
    if target.startswith("rte_") and part not in TOOLS_DPDK:
        return f"tools/{part}/ builds without DPDK"
    if target.startswith("asio") and part not in TOOLS_ASIO:
        return f"tools/{part}/ builds without Asio"
    return None


def check_once(path: Path):
    return path.suffix in (".hpp", ".h") and "#pragma once" not in path.read_text().splitlines()


def check_lines(layer: str, file: str, lines):
    """Yields (line number, fault)."""
    pointers = [number for number, line in enumerate(lines, 1) if POINTER_MADE.search(line.partition("//")[0])]
    if layer != "memory" and file not in NO_GUEST_ADDRESS:
        yield from ((number, "only memory/ makes pointers from a guest's addresses") for number in pointers)
    if not pointers and file in NO_GUEST_ADDRESS:
        yield 1, "makes no pointers any more: take it out of NO_GUEST_ADDRESS"
    if layer != "base" and file not in TOUCH_RING:
        for number, line in enumerate(lines, 1):
            if ATOMIC_ONLY.search(line):
                yield number, "only virtqueue/ring.hpp and packed_ring.hpp touch shared ring memory"
    if file not in MAKE_WRITABLE:
        for number, line in enumerate(lines, 1):
            if MADE_WRITABLE.search(line):
                yield number, "guest memory is written through memory/writable_span.hpp"
    if layer in ("net", "zerocopy", "backend"):
        for number, line in enumerate(lines, 1):
            if RING_INSIDE.search(line.partition("//")[0]):
                yield number, "only virtqueue/ knows what a ring consists of"


def sources(folder: str):
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in (".hpp", ".cpp", ".h", ".c"):
            yield path


def check_file(path: Path, check) -> list[str]:
    """check(file, quote, target) says what is wrong with an include, or None."""
    name = str(path.relative_to(ROOT))
    faults = [f"{name}:1: #pragma once is missing"] if check_once(path) else []
    for number, quote, target in includes(path):
        fault = check(name, quote, target)
        if fault:
            faults.append(f"{name}:{number}: {target}: {fault}")
    return faults


def main() -> int:
    faults = []
    checked = [(path, partial(check_include, layer)) for layer in LAYERS for path in sources(layer)]
    for layer in LAYERS:
        for path in sources(layer):
            name = str(path.relative_to(ROOT))
            lines = path.read_text().splitlines()
            faults += [f"{name}:{number}: {fault}" for number, fault in check_lines(layer, name, lines)]
    checked += [(path, check_public) for path in sources("include")]
    # A part that TOOLS does not know is a fault of the table, not a part without rules.
    parts = sorted(path.name for path in (ROOT / "tools").iterdir() if path.is_dir())
    faults += [f"tools/{part}/: not in the table of {Path(__file__).name}" for part in parts if part not in TOOLS]
    checked += [(path, partial(check_tool, part)) for part in TOOLS for path in sources(f"tools/{part}")]
    for path, check in checked:
        faults += check_file(path, check)
    print("\n".join(faults) if faults else f"{len(checked)} files hold to the layers")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
