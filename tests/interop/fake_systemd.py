# SPDX-License-Identifier: BSD-3-Clause
"""systemd's part of a service with a descriptor store: a notify socket, the store, and what a process finds in its environment."""

import ctypes
import fcntl
import os
import platform
import socket
import struct
import sys
import threading

KCMP = {"x86_64": 312, "aarch64": 272}
KCMP_FILE = 0
FIRST_FD = 3  # SD_LISTEN_FDS_START
ABOVE = 1000
INT = struct.Struct("i")
LIBC = ctypes.CDLL(None)


def same_open_file(a, b):
    return LIBC.syscall(KCMP[platform.machine()], os.getpid(), os.getpid(), KCMP_FILE, a, b) == 0


class FakeSystemd:
    """To a test as a Keeper is."""

    def __init__(self, bench):
        self.path = bench.path("notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.stored = []  # (name, descriptor): an open file is there once; several may have one name
        self.lock = threading.Lock()
        threading.Thread(target=self._serve, daemon=True).start()
        bench.at_end(self._end)

    def open_fds(self):
        return len(self.stored)

    def arguments(self):
        """vhostx-switch's."""
        return ["--keeper", "systemd"]

    def start_options(self):
        """How VhostSwitch starts the service: what its process before has sent is read first."""
        with self.lock:
            while self._read(socket.MSG_DONTWAIT):
                pass
            names = ":".join(name for name, _ in self.stored)
            fds = [fd for _, fd in self.stored]
        prefix = [sys.executable, __file__, self.path, names, *map(str, fds)]
        return {"prefix": prefix, "popen": {"pass_fds": fds}}

    def _serve(self):
        while self.socket.recv(1, socket.MSG_PEEK):
            with self.lock:
                self._read(socket.MSG_DONTWAIT)

    def _end(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"", self.path)

    # Not socket.recv_fds(): Python 3.11's ignores its flags.
    def _read(self, flags):
        try:
            message, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(16 * INT.size), flags)
        except BlockingIOError:
            return False
        fds = [fd for _, _, data in control for (fd,) in INT.iter_unpack(data)]
        fields = dict(line.split("=", 1) for line in message.decode().splitlines())
        if fields.get("FDSTOREREMOVE") == "1":
            for _, fd in filter(lambda entry: entry[0] == fields["FDNAME"], self.stored):
                os.close(fd)
            self.stored = [entry for entry in self.stored if entry[0] != fields["FDNAME"]]
        for fd in fds:
            self._take(fields, fd)
        return True

    def _take(self, fields, fd):
        known = any(same_open_file(fd, other) for _, other in self.stored)
        if fields.get("FDSTORE") == "1" and not known:
            self.stored.append((fields["FDNAME"], fd))
        else:
            os.close(fd)  # a barrier's, too: that is its answer


def become_service(notify, names, fds, program):
    """The process that systemd would start; descriptors go out of each other's way first."""
    copies = [fcntl.fcntl(fd, fcntl.F_DUPFD, ABOVE) for fd in fds]
    for place, copy in enumerate(copies, FIRST_FD):
        os.dup2(copy, place)
        os.close(copy)
    os.closerange(FIRST_FD + len(fds), ABOVE + len(fds))
    environment = {**os.environ, "NOTIFY_SOCKET": notify}
    if fds:
        environment |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names}
    os.execve(program[0], program, environment)


def main():
    notify, names, *rest = sys.argv[1:]
    count = names.count(":") + 1 if names else 0
    become_service(notify, names, [int(fd) for fd in rest[:count]], rest[count:])


if __name__ == "__main__":
    main()
