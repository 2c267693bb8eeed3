# SPDX-License-Identifier: BSD-3-Clause
"""QEMU's monitor (QMP)."""

import json
import socket

import interop_path  # noqa: F401
from processes import check, wait_until


def monitor_arguments(path):
    return ["-qmp", f"unix:{path},server=on,wait=off"]


class Monitor:
    """events: those that QEMU has sent so far, as far as they were read."""

    def __init__(self, path):
        self.events = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        wait_until(lambda: self.connects(path), "QEMU listens for QMP")
        self.lines = self.socket.makefile("r")
        self.lines.readline()  # its greeting
        self.run("qmp_capabilities")

    def connects(self, path):
        """False between QEMU's bind() and its listen()."""
        try:
            self.socket.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        return True

    def run(self, command, **arguments):
        """What the command returns; a failure if QEMU refuses it."""
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        answer = self._read()
        while "event" in answer:
            answer = self._read()
        check("return" in answer, f"QEMU's answer to {command}: {answer}")
        return answer["return"]

    def _read(self):
        line = self.lines.readline()
        check(line != "", "QEMU has closed its monitor")
        read = json.loads(line)
        if "event" in read:
            self.events.append(read)
        return read

    def wait_event(self, name, since=0, accept=lambda data: True):
        """The first event of this name, from position `since` of self.events on, whose data are accepted."""
        while True:
            for event in self.events[since:]:
                if event["event"] == name and accept(event.get("data", {})):
                    return event
            self._read()

    def close(self):
        self.socket.close()
