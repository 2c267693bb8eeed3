# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch and numa-guests inside a machine with NUMA nodes, as a test drives them."""

import json

from host_root import ROOT
from numa_machine import CPU_OF_GUESTS
from processes import Failure, check, check_equal, wait_until

FAULTS = ("lost", "duplicated", "reordered", "late", "damaged")


class NumaSwitch:
    """vhostx-switch on these ports (--port arguments); prefix: a program that execs it."""

    def __init__(self, machine, name, binary, ports, workers, extra=(), prefix=()):
        self.machine, self.name = machine, name
        argv = [*prefix, binary, "--json", "--stats", "0.25", "--workers", workers, *extra]
        for port in ports:
            argv += ["--port", port]
        machine.begin_program(name, argv)
        machine.wait_line(name, '"event":"ready"')
        self.pid = machine.pid(name)

    def count(self, event):
        return self.machine.count_lines(self.name, f'"event":"{event}"')

    def events(self, event, since=0):
        """All but the first `since` of this kind."""
        lines = self.machine.fetch(f"grep '\"event\":\"{event}\"' {ROOT}/tmp/{self.name}.log | tail -n +{since + 1}")
        return [json.loads(line) for line in lines.splitlines()]

    def stats(self):
        """Statistics that were taken after this call began."""
        # The first may have been on its way already when the call began, and the last may not be written to its end.
        return json.loads(self.machine.next_lines(self.name, '"event":"stats"', 3)[1])

    def wait_stats(self, condition, what, timeout_s=60.0):
        seen = []

        def look():
            seen[:] = [self.stats()]
            return seen[0] if condition(seen[0]) else None

        try:
            return wait_until(look, what, timeout_s)
        except Failure as failure:
            raise Failure(f"{failure}; {show_placement(seen[0]) if seen else 'no statistics'}") from None

    def wait_on(self, nodes, timeout_s=60.0):
        """Waits until all that belongs to port I is on node nodes[I], by the switch's own word."""

        def settled(stats):
            return all(map(is_on, stats["ports"], nodes))

        return self.wait_stats(settled, f"all ports to be on their nodes {nodes}", timeout_s)

    def finish(self):
        self.machine.signal(self.name, "INT")
        self.machine.wait_end(self.name)
        return self.events("summary")[-1]


class NumaGuests:
    """guests are --guest arguments of numa-guests."""

    def __init__(self, machine, name, binary, guests, extra=()):
        self.machine, self.name = machine, name
        argv = [binary, "--cpu", CPU_OF_GUESTS, *extra]
        for guest in guests:
            argv += ["--guest", guest]
        machine.begin_program(name, argv)
        machine.wait_line(name, '"ready"', timeout_s=250)  # it gives up after 240 s by itself

    def ask(self, command, key):
        """What it answers under this key; a failure if it is an error."""
        path = f"{ROOT}/tmp/{self.name}.log"
        seen = int(self.machine.run(f"wc -l <{path}; echo {command} >{ROOT}/tmp/{self.name}.in"))
        self.machine.wait_line(self.name, "", seen)
        answer = json.loads(self.machine.fetch(f"sed -n {seen + 1}p {path}"))
        if key not in answer:
            raise Failure(f"numa-guests, {command!r}: {answer.get('error', answer)}")
        return answer[key]

    def move(self, guest, node):
        """Returns once all of its pages are there, the kernel says."""
        self.ask(f"move {guest} {node}", "moved")
        check_equal(set(self.where()[guest]), {node}, f"nodes of guest {guest}'s memory after its move to {node}")

    def where(self):
        """For each guest, {node: pages}."""
        return [{int(node): pages for node, pages in guest.items()} for guest in self.ask("where", "where")]

    def check_traffic(self, received_before=-1, hold=False):
        """Packets that arrived; all of them, once, in order, and some since. hold: no more are sent before go()."""
        counts = self.ask("stop" if hold else "count", "count")
        faults = {fault: counts[fault] for fault in FAULTS if counts[fault]}
        check_equal((faults, counts["received"]), ({}, counts["sent"]), f"packets that did not arrive as sent: {counts}")
        check(counts["received"] > received_before, f"no packet arrived after the first {received_before}")
        return counts["received"]

    def go(self):
        self.ask("go", "going")

    def quit(self):
        self.machine.type(self.name, "quit")
        self.machine.wait_end(self.name)


def is_on(port, node):
    """The switch says that all of this port's running vrings, and what serves them, are on the node."""
    keys = ("ring_node", "state_node", "lcore_node", "mempool_node")
    return bool(port["placement"]) and all(one[key] == node for one in port["placement"] for key in keys)


def show_placement(stats):
    keys = ("vring", "ring_node", "wanted_node", "state_node", "mempool_node", "lcore_node", "problem")
    lines = [
        f"  {port['name']}: " + ", ".join(f"{key} {one[key]}" for key in keys)
        for port in stats["ports"]
        for one in port["placement"]
    ]
    return "\n".join(lines)
