# SPDX-License-Identifier: BSD-3-Clause
"""Which QEMU there is, and what its release wants to be told."""

import functools
import glob
import os
import re
import subprocess

import interop_path  # noqa: F401
from processes import Failure, Skip, need_program


def accelerator():
    # Software emulation runs everywhere. Set VHOSTX_LAB_ACCEL=kvm where KVM works; it is not tried unasked, because
    # a host may have a /dev/kvm on which a stock kernel hangs.
    return os.environ.get("VHOSTX_LAB_ACCEL", "tcg")


def qemu_program():
    return need_program("qemu-system-x86_64", "qemu-system-x86")


def qemu_programs():
    """Paths of the QEMUs to try: those that VHOSTX_LAB_QEMUS names, with colons between them; else the one on PATH, and
    beside it whatever is there as qemu-system-x86_64-VERSION."""
    named = os.environ.get("VHOSTX_LAB_QEMUS")
    if named:
        return [need_program(path, "qemu-system-x86") for path in named.split(":")]
    found = {}
    for folder in os.environ.get("PATH", "").split(":"):
        for path in sorted(glob.glob(f"{folder}/qemu-system-x86_64-[0-9]*")):
            found.setdefault(os.path.basename(path), path)
    return [qemu_program(), *found.values()]


@functools.cache
def qemu_version(program):
    """E.g. (7, 2)."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"version (\d+)\.(\d+)", said)
    if not match:
        raise Failure(f"{program} --version: expected `version N.N`, found {said!r}")
    return int(match[1]), int(match[2])


def reconnect(program):
    """What makes a socket connect again after a loss, a second later: 9.2 brought the new words, 11 knows no others."""
    return "reconnect-ms=1000" if qemu_version(program) >= (9, 2) else "reconnect=1"


def without_kvm(program):
    """What a vhost-user-net device needs there: before 10, QEMU crashes when one uses MSI-X without KVM."""
    return "" if qemu_version(program) >= (10, 0) else ",vectors=0"


def plugin_version(program):
    """Of the emulator's interface for plugins: one that it takes."""
    version = qemu_version(program)
    return 1 if version < (9, 0) else 2 if version < (11, 1) else 7


def ring_size(program):
    """Entries of a virtio-net ring, unless it is told otherwise."""
    return 1024 if qemu_version(program)[0] == 10 else 256


def has_dynamic_memslots(program):
    """Whether virtio-mem devices can have several memory slots, which come and go."""
    return qemu_version(program) >= (8, 2)


def need_dynamic_memslots():
    program = qemu_program()
    if not has_dynamic_memslots(program):
        raise Skip("a virtio-mem device of QEMU %d.%d has one memory slot; those of 8.2 and later have several" % qemu_version(program))


def smp(cpus):
    """QEMU's emulator leaves the fences of a guest away that can never have a second CPU. Its driver then may overlook
    a packet that the back-end, another process, shows it at that moment, and miss the interrupt: room for a CPU that
    never comes has the fences compiled.

    A socket for each CPU: a kernel whose NUMA nodes divide a socket calls its topology insane, and builds its scheduler's domains
    from overlapping sets.
    """
    room = max(cpus, 2)
    return f"{cpus},maxcpus={room},sockets={room},cores=1,threads=1"
