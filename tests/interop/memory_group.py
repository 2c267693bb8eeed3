# SPDX-License-Identifier: BSD-3-Clause
"""A control group with a memory limit, for one process of a test. Version 1 or 2, whichever the machine has."""

import os

from processes import Skip, wait_until

GROUPS = "/sys/fs/cgroup"


def _own_path(controllers):
    with open("/proc/self/cgroup") as lines:
        for line in lines:
            _, names, path = line.rstrip("\n").split(":", 2)
            if controllers in names.split(","):
                return path
    raise Skip("no control group of ours has the memory controller")


def _write(path, value):
    with open(path, "w") as file:
        file.write(value)


class MemoryGroup:
    """`limit` in bytes; gone with the bench."""

    def __init__(self, bench, limit):
        self.version_1 = os.path.isdir(f"{GROUPS}/memory")
        parent = f"{GROUPS}/memory{_own_path('memory')}" if self.version_1 else f"{GROUPS}{_own_path('')}"
        self.folder = f"{parent.rstrip('/')}/vhostx-test-{os.getpid()}"
        try:
            if not self.version_1:
                _write(f"{parent}/cgroup.subtree_control", "+memory")
            os.mkdir(self.folder)
            bench.at_end(lambda: wait_until(self._remove, f"{self.folder} to be empty"))
            _write(f"{self.folder}/{'memory.limit_in_bytes' if self.version_1 else 'memory.max'}", str(limit))
        except OSError as error:
            raise Skip(f"no control group with a memory limit can be made: {error}") from None

    def _remove(self):
        try:
            os.rmdir(self.folder)
            return True
        except OSError:
            return False

    @property
    def prefix(self):
        """Of the command line of a process that shall be in it."""
        return ["/bin/sh", "-c", f'echo $$ >"{self.folder}/cgroup.procs" && exec "$0" "$@"']

    def used(self):
        with open(f"{self.folder}/{'memory.usage_in_bytes' if self.version_1 else 'memory.current'}") as file:
            return int(file.read())
