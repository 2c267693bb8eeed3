#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads every #include against the table of layers (ARCHITECTURE.md), and looks for what only one layer may do: touch ring
memory (virtqueue/ring.hpp), make a pointer from a guest's address (memory/). A violation is reported with file and line."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Which folders of the project each may include. Public headers that are mere vocabulary belong to nobody.
VOCABULARY = {"vhostx/result.hpp", "vhostx/log.hpp", "vhostx/vring_fault.hpp", "vhostx/vring_stats.hpp",
              "vhostx/export.hpp", "vhostx/placement.hpp", "vhostx/enqueue_end.hpp",
              "vhostx/features.hpp"}
LAYERS = {
    "base": {"base"},
    "protocol": {"protocol", "base"},
    "memory": {"memory", "base"},
    "numa": {"numa", "base"},
    "topology": {"topology", "numa", "base"},
    "virtqueue": {"virtqueue", "memory", "base"},
    "net": {"net", "virtqueue", "memory", "base"},
    "zerocopy": {"zerocopy", "net", "virtqueue", "numa", "memory", "base"},
    "backend": {"backend", "zerocopy", "net", "virtqueue", "numa", "memory", "protocol", "base"},
    # The C interface stands on the C++ one, as any application does; of the rest it has the words for its errors.
    "c": {"c", "base"},
    "compat": {"compat"},  # what any application sees: the public headers
    "telemetry": {"telemetry"},  # a library of its own: it sees the public headers, as an application does
}
DPDK = {"topology", "net", "zerocopy", "backend", "compat"}
# The parts of backend/, each with those of backend/ that it may include. What is in none of them joins them.
PARTS = {"loop": {"loop"}, "ring": {"ring", "loop"}, "connection": {"connection", "ring", "loop"}}
TELEMETRY = "rte_telemetry.h"  # all that telemetry/ has of DPDK, and nobody else has it
ASIO = {"protocol/channel.hpp", "protocol/channel.cpp", "protocol/socket_io.hpp", "protocol/socket_io.cpp",
        "protocol/asio_source.cpp", "protocol/handler_memory.hpp"}
# Public headers that a layer implements itself.
PUBLIC = {"net": {"vhostx/offload.hpp", "vhostx/peeked_packet.hpp", "vhostx/packet_sizes.hpp"},
          "topology": {"vhostx/numa.hpp"}}
# What the C interface includes of the standard library.
C_HEADERS = {"stdbool.h", "stddef.h", "stdint.h"}
# How virtqueue/ring.hpp, and nothing else, touches shared ring memory.
ATOMIC_ONLY = re.compile(r"__atomic_(load|store)_n")
# How memory/, and nothing else, makes pointers from a guest's addresses: from a number, or from a region's base.
POINTER_MADE = re.compile(r"reinterpret_cast<(const )?std::uint8_t ?\*>|\bunchecked_pointer\b"
                          r"|(\.|->)host(\(\))?\)?\s*\+|\+\s*\w+(\.|->)host\b")
# Casts to bytes of what is no guest's address.
NO_GUEST_ADDRESS = {
    "backend/pool_memory.cpp",  # pages of an mbuf pool
    "net/rarp.cpp",             # the data of our own mbuf
    "numa/look.cpp",            # pages of this process, for the kernel to look up; they are not touched
    "virtqueue/ring.hpp",       # words of a ring that was translated
}

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
        if layer != "backend" or folder != "backend" or part_of(file) == "":
            return None
        may = part_of(target) in PARTS.get(part_of(file), set())
        return None if may else f"backend/{part_of(file)}/ may not include it"
    if target.startswith("vhostx/"):
        allowed = layer in ("backend", "c", "compat", "telemetry") or target in VOCABULARY or target in PUBLIC.get(layer, set())
        return None if allowed else f"layer {layer} may not include <{target}>: not vocabulary"
    if target == TELEMETRY:
        return None if layer == "telemetry" else f"{TELEMETRY} is telemetry/'s"
    if target.startswith("rte_") and layer not in DPDK:
        return f"layer {layer} builds without DPDK"
    if target.startswith("asio") and layer != "backend" and file not in ASIO:
        return "Asio belongs to protocol/channel, protocol/handler_memory and backend/"
    return None


def check_public(file: str, target: str, quote: str):
    if file.endswith(".h") and not (target.endswith(".h") and (target.startswith("vhostx/") or target in C_HEADERS)):
        return "headers for C include those of C and each other"
    if quote == '"' or not (target.startswith("vhostx/") or re.fullmatch(r"[a-z_]+", target) or target in C_HEADERS):
        return "public headers include the standard library and each other"
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
    if layer != "base" and file != "virtqueue/ring.hpp":
        for number, line in enumerate(lines, 1):
            if ATOMIC_ONLY.search(line):
                yield number, "only virtqueue/ring.hpp touches shared ring memory"


def sources(folder: str):
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in (".hpp", ".cpp", ".h"):
            yield path


def main() -> int:
    faults = []
    count = 0
    for layer in LAYERS:
        for path in sources(layer):
            name = str(path.relative_to(ROOT))
            count += 1
            if check_once(path):
                faults.append(f"{name}:1: #pragma once is missing")
            for number, quote, target in includes(path):
                fault = check_include(layer, name, quote, target)
                if fault:
                    faults.append(f"{name}:{number}: {target}: {fault}")
            for number, fault in check_lines(layer, name, path.read_text().splitlines()):
                faults.append(f"{name}:{number}: {fault}")
    for path in sources("include"):
        name = str(path.relative_to(ROOT))
        count += 1
        if check_once(path):
            faults.append(f"{name}:1: #pragma once is missing")
        for number, quote, target in includes(path):
            fault = check_public(name, target, quote)
            if fault:
                faults.append(f"{name}:{number}: {target}: {fault}")
    print("\n".join(faults) if faults else f"{count} files hold to the layers")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
