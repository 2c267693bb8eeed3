# SPDX-License-Identifier: BSD-3-Clause
"""A control group with limits, for one process of a test. Version 1 or 2, whichever the machine has."""

import os
import subprocess

from processes import Skip, die_with_parent, wait_until

GROUPS = "/sys/fs/cgroup"


def _own_path(controllers):
    with open("/proc/self/cgroup") as lines:
        for line in lines:
            _, names, path = line.rstrip("\n").split(":", 2)
            if controllers in names.split(","):
                return path
    raise Skip(f"no control group of ours has {controllers or 'version 2'}")


def _write(path, value):
    with open(path, "w") as file:
        file.write(value)


class ControlGroup:
    """Gone with the bench. `limits`: names of files, without the controller's, for version 1 and 2, and what is written."""

    def __init__(self, bench, controller, limits):
        try:
            parent, self.version_1 = self._parent(bench, controller)
            self.folder = f"{parent.rstrip('/')}/vhostx-test-{os.getpid()}"
            if not self.version_1:
                _write(f"{parent}/cgroup.subtree_control", f"+{controller}")
            os.mkdir(self.folder)
            bench.at_end(lambda: wait_until(self._remove, f"{self.folder} to be empty"))
            for name_1, name_2, limit in limits:
                _write(f"{self.folder}/{controller}.{name_1 if self.version_1 else name_2}", str(limit))
        except OSError as error:
            raise Skip(f"no control group with a limit of {controller} can be made: {error}") from None

    def _parent(self, bench, controller):
        if os.path.isdir(f"{GROUPS}/{controller}"):
            return f"{GROUPS}/{controller}{_own_path(controller)}", True
        if os.path.exists(f"{GROUPS}/cgroup.controllers"):
            return f"{GROUPS}{_own_path('')}", False
        # Version 1, and nobody has mounted it.
        folder = bench.path(controller)
        os.mkdir(folder)
        mounted = subprocess.run(["mount", "-t", "cgroup", "-o", controller, "none", folder], preexec_fn=die_with_parent)
        if mounted.returncode != 0:
            raise Skip(f"the kernel has no control groups for {controller}")
        bench.at_end(lambda: subprocess.run(["umount", folder]))
        return folder, True

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


class MemoryGroup(ControlGroup):
    """`limit` in bytes."""

    def __init__(self, bench, limit):
        super().__init__(bench, "memory", [("limit_in_bytes", "max", limit)])

    def used(self):
        with open(f"{self.folder}/memory.{'usage_in_bytes' if self.version_1 else 'current'}") as file:
            return int(file.read())
