# SPDX-License-Identifier: BSD-3-Clause
"""Runs count_packets under callgrind and reads what it counted, alike on every x86-64 machine: the C library's copies and
DPDK's vector width are those that each has, and symbols are bound before the counting begins."""
import os
import subprocess
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

# What callgrind collects: these functions and all that they call.
COLLECTED = {
    "vhostx": ["vhostx::Vring::dequeue_burst*", "vhostx::Vring::enqueue_burst*",
               "vhostx::Vring::poll_completions*", "vhostx::Transfer::begin*",
               "vhostx::Transfer::move*", "vhostx::Transfer::end*"],
    # Through its C interface: with it what that adds.
    "vhostx-c": ["vhostx_vring_dequeue_burst", "vhostx_vring_enqueue_burst"],
    "rte_vhost": ["rte_vhost_dequeue_burst", "rte_vhost_enqueue_burst"],
    "compat": ["rte_vhost_dequeue_burst", "rte_vhost_enqueue_burst"],
}
LINKED_AS = {"compat": "rte_vhost"}  # under which name the program has it; LD_LIBRARY_PATH decides which one that is
# The C library chooses memcpy by processor. Without these it takes the one with SSE2, which valgrind knows, too.
BASELINE_COPIES = "glibc.cpu.hwcaps=" + ",".join(
    f"-{feature}" for feature in ("AVX_Fast_Unaligned_Load", "AVX2", "AVX512F", "AVX512VL", "SSSE3", "ERMS", "FSRM",
                                  "Prefer_ERMS", "Prefer_FSRM"))


SKIPPED = 77  # exit code


class CountError(Exception):
    pass


class Skipped(Exception):
    """The program says that this library cannot do this case."""


class Line(NamedTuple):
    """A line of source, in the function that it was compiled into; number 0 where there is no debug information."""
    function: str
    file: str
    number: int


class Count(NamedTuple):
    units: int  # packets, or idle polls
    lines: "Counter[Line]"

    @property
    def per_unit(self) -> float:
        return sum(self.lines.values()) / self.units


def environment() -> dict:
    return os.environ | {"GLIBC_TUNABLES": BASELINE_COPIES, "LD_BIND_NOW": "1"}


def cases(program: str) -> list:
    return run([program, "--list"]).split()


def count(program: str, case: str, library: str, bursts: int, ports: int = 1) -> Count:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        options = [f"--toggle-collect={function}" for function in COLLECTED[library]]
        command = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", *options, program]
        what = ["--case", case, "--library", LINKED_AS.get(library, library), "--bursts", str(bursts), "--ports", str(ports)]
        units = run([*command, *what])
        return Count(int(units), lines_of(out.read_text(errors="replace")))


def run(command: list) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    if done.returncode == SKIPPED:
        raise Skipped(done.stdout.strip())
    if done.returncode != 0:
        raise CountError(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def lines_of(profile: str) -> "Counter[Line]":
    """Costs of a callgrind profile (its format: valgrind's manual, "Callgrind Format Specification")."""
    names: dict = {}  # "(12) name" gives a name a number, "(12)" refers to it; files and functions are apart
    costs: Counter = Counter()
    function = file = ""
    number = 0
    is_call = False

    def name_of(kind: str, text: str) -> str:
        key, _, name = text.partition(" ")
        return names.setdefault((kind, key), name or key)

    for line in profile.splitlines():
        if line.startswith(("fl=", "fi=", "fe=")):
            file = name_of("file", line[3:])
        elif line.startswith("fn="):
            function = name_of("function", line[3:])
        elif line.startswith("cfn="):
            name_of("function", line[4:])
        elif line.startswith(("cfi=", "cfl=")):
            name_of("file", line[4:])
        elif line.startswith("calls="):
            is_call = True  # the next line is the callee's cost, which is listed under the callee
        elif line and line[0] in "0123456789+-*":
            place, *cost = line.split()
            number = resolve(place, number)
            if cost and not is_call:
                costs[Line(function, file, number)] += int(cost[0])
            is_call = False
    return costs


def resolve(place: str, before: int) -> int:
    """A line number: absolute, or relative to the one before."""
    if place == "*":
        return before
    return before + int(place) if place[0] in "+-" else int(place)
