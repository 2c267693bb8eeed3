# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-keeper as a test drives it."""

from processes import open_fds, wait_until


class Keeper:
    def __init__(self, bench, binary, prefix=()):
        """prefix: a program that execs it."""
        self.socket = bench.path("keeper")
        self.process = bench.start("vhostx-keeper", [*prefix, binary, self.socket])
        wait_until(self._listens, "vhostx-keeper to listen")

    def _listens(self):
        with open("/proc/net/unix") as sockets:
            return any(line.split()[-1] == self.socket for line in sockets)

    def open_fds(self):
        return open_fds(self.process.pid)

    def arguments(self):
        """vhostx-switch's."""
        return ["--keeper", self.socket]

    def start_options(self):
        """VhostSwitch's."""
        return {}
