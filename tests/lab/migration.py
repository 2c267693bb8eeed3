# SPDX-License-Identifier: BSD-3-Clause
"""A guest that moves: each time to another QEMU process, on another vhost-user port."""

from collections import namedtuple

import interop_path  # noqa: F401
from guest import MEMORY_MIB, Machine, device_arguments
from monitor import Monitor, monitor_arguments
from processes import check_equal, wait_until

MIB = 1 << 20
# Not a multiple of 256 KiB, so that QEMU under software emulation collects written pages one by one. Then its translated code marks the
# next write to each again, in every release.
MEMORY = f"{MEMORY_MIB * 1024 + 8}K"
ENDS = ("completed", "failed", "cancelled")
DOWNTIME_MS = 300
FULL_SPEED = 1 << 30  # bytes a second
MOVING_SPEED = 96 * MIB
LINGERING_SPEED = 8 * MIB  # slow enough that there is always something left to send

# downtime_ms, total_ms, ram_bytes, passes: what query-migrate says. away_ms: from the source's STOP to the destination's RESUME.
Moved = namedtuple("Moved", "downtime_ms total_ms ram_bytes passes away_ms")


def milliseconds_of(event):
    return event["timestamp"]["seconds"] * 1000 + event["timestamp"]["microseconds"] / 1000


class Place(Machine):
    """One QEMU process of the guest. incoming: the socket's path at which it waits for the guest; None: it boots."""

    def __init__(self, bench, name, arguments, incoming=None, **machine):
        monitor = bench.path(name + ".qmp")
        arguments = [*arguments, *monitor_arguments(monitor), *(["-incoming", f"unix:{incoming}"] if incoming else [])]
        super().__init__(bench, name, arguments, **machine)
        self.incoming = incoming
        self.monitor = Monitor(monitor)
        bench.at_end(self.monitor.close)
        self.monitor.run("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])

    def progress(self):
        return self.monitor.run("query-migrate")

    def quit(self):
        self.monitor.run("quit")
        self.process.popen.wait(60)


class MovingGuest:
    """A guest with one network device. What it is told to run goes to where it is.

    number: of its address and MAC, as of a Guest. device, queues, server: as for device_arguments. machine: for Machine.
    """

    def __init__(self, bench, number, port, device="", queues=1, server=False, **machine):
        self.bench = bench
        self.name = f"guest{number}"
        self.address = f"10.0.0.{number}"
        self.mac = f"52:54:00:00:00:{number:02x}"
        self.device, self.queues, self.server, self.machine = device, queues, server, machine
        self.places = 0
        self.left = None
        self.here = self._place(port, incoming=False)

    def _place(self, port, incoming):
        self.places += 1
        name = f"{self.name}-{self.places}"
        arguments = ["-object", f"memory-backend-memfd,id=m0,size={MEMORY},share=on", "-numa", "node,memdev=m0"]
        arguments += device_arguments(port, self.mac, self.device, self.queues, self.server)
        path = self.bench.path(name + ".incoming") if incoming else None
        return Place(self.bench, name, arguments, path, address=self.address, memory_mib=MEMORY, **self.machine)

    def booted(self):
        self.here.booted()
        return self

    def run(self, command, timeout_s=120.0):
        return self.here.run(command, timeout_s)

    def try_run(self, command, timeout_s=120.0):
        return self.here.try_run(command, timeout_s)

    def power_off(self):
        self.here.power_off()

    def move(self, port, while_moving=lambda: None):
        """Moves to a QEMU on another port, and tells how. All of its memory is sent over once, and then again what is written, until
        while_moving() returns. The QEMU that it has left still runs, until leave()."""
        there = self.begin_moving(port, MOVING_SPEED, downtime_ms=1)
        self.wait_progress(lambda told: told["ram"]["dirty-sync-count"] > 1, "be sent over once")
        self.set_limits(LINGERING_SPEED, downtime_ms=1)
        while_moving()
        self.set_limits(FULL_SPEED, DOWNTIME_MS)
        self.wait_end("completed")
        resumed = there.monitor.wait_event("RESUME")
        stopped = self.here.monitor.wait_event("STOP", self.mark)
        there.take_over(self.here)
        told = self.here.progress()
        self.left, self.here = self.here, there
        return Moved(told["downtime"], told["total-time"], told["ram"]["transferred"], told["ram"]["dirty-sync-count"],
                     milliseconds_of(resumed) - milliseconds_of(stopped))  # fmt: skip

    def leave(self):
        """Ends the QEMU that it moved away from."""
        self.left.quit()
        self.left = None

    def begin_moving(self, port, bytes_per_s, downtime_ms=DOWNTIME_MS):
        """The QEMU that it moves to."""
        there = self._place(port, incoming=True)
        self.set_limits(bytes_per_s, downtime_ms)
        self.mark = len(self.here.monitor.events)
        self.here.monitor.run("migrate", uri=f"unix:{there.incoming}")
        return there

    def set_limits(self, bytes_per_s, downtime_ms):
        """The guest stops once what is left to send takes less than downtime_ms."""
        self.here.monitor.run("migrate-set-parameters", **{"max-bandwidth": bytes_per_s, "downtime-limit": downtime_ms})

    def wait_progress(self, enough, what):
        """Until enough(what query-migrate says), or the migration is over."""

        def look():
            told = self.here.progress()
            return told["status"] in ENDS or told["status"] == "active" and enough(told)

        wait_until(look, f"{self.name} to {what}")

    def wait_end(self, status):
        """Until the migration has ended in this way."""
        ended = self.here.monitor.wait_event("MIGRATION", self.mark, lambda data: data["status"] in ENDS)
        check_equal(ended["data"]["status"], status, f"how the migration of {self.name} ended: {self.here.progress()}")

    def cancel(self):
        self.here.monitor.run("migrate_cancel")
        self.wait_end("cancelled")
