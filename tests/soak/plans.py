# SPDX-License-Identifier: BSD-3-Clause
"""Which switches the soak runs, and which pairs of guests on them, with what happens to each."""

import dataclasses

EVERYTHING_BUT_PROBES = ["memory", "ring_stopped", "ring_disabled", "reconnected"]


@dataclasses.dataclass
class PairPlan:
    name: str
    disturbances: list = dataclasses.field(default_factory=list)
    killed: bool = False  # by SIGKILL, again and again
    zerocopy: str = "on"
    listen: bool = False  # the guests own the sockets, the ports have the client role
    memory_by_table: bool = False
    rate: float = 100  # packets a second in either direction

    def steady(self):
        return not self.disturbances and not self.killed

    def port(self, path):
        return f"{path},zerocopy={self.zerocopy}" + (",role=client" if self.listen else "")


@dataclasses.dataclass
class SwitchPlan:
    name: str
    mode: str
    pairs: list
    extra: tuple = ()


SWITCHES = [
    SwitchPlan(
        "sleeping",  # workers wait for kicks; what a guest sends is looked at, and learned from
        "switch",
        [
            PairPlan("steady"),
            PairPlan("steady-copied", zerocopy="off"),
            PairPlan("memory", ["memory"]),
            PairPlan("rings", ["ring_stopped", "ring_disabled"]),
            PairPlan("reconnecting", ["reconnected"]),
            PairPlan("killed", killed=True),
            PairPlan("client", EVERYTHING_BUT_PROBES, listen=True),
            PairPlan("probed", ["probed"]),
        ],
    ),
    SwitchPlan(
        "polling",
        "io",
        [
            PairPlan("steady"),
            PairPlan("tables", ["memory"], memory_by_table=True),
            PairPlan("everything", EVERYTHING_BUT_PROBES),
            PairPlan("killed-copied", ["memory"], killed=True, zerocopy="off"),
        ],
        ("--busy-poll",),
    ),
    SwitchPlan(
        "lending",  # packets of 1024 bytes and more are mbufs in the sender's own memory
        "io",
        [
            PairPlan("steady", zerocopy="lend"),
            PairPlan("memory", ["memory"], zerocopy="lend"),
            PairPlan("everything", EVERYTHING_BUT_PROBES, zerocopy="lend"),
            PairPlan("tables", EVERYTHING_BUT_PROBES, zerocopy="lend", memory_by_table=True),
            PairPlan("killed", killed=True, zerocopy="lend"),
        ],
    ),
]
