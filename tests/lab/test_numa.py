#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch in machines with several NUMA nodes: ring state, mbufs and workers follow the guests, and no packet is lost.

Where things are is the kernel's word: numa_maps of the switch, the CPUs its threads may run on, move_pages of the guests.
"""

import argparse

from numa_machine import NumaMachine, areas_of
from numa_programs import NumaGuests, NumaSwitch, show_placement
from processes import Failure, check, check_equal, go_first, run_test, wait_until

EPERM = 1
PORTS = ("/tmp/port0", "/tmp/port1")


class Lab:
    """One machine, and the programs that run in it one after the other."""

    def __init__(self, bench, options, **machine):
        self.options = options
        self.machine = NumaMachine(bench, "machine", **machine)
        go_first(self.machine.process.pid)
        self.machine.booted()
        self.machine.leave_drivers("mempool_ring")
        for path in (options.vhostx_switch, options.numa_guests):
            self.machine.need_file(path)
        self.started = 0

    def switch(self, ports=PORTS, workers=2, **more):
        self.started += 1
        return NumaSwitch(self.machine, f"switch{self.started}", self.options.vhostx_switch, ports, workers, **more)

    def guests(self, nodes, ports=PORTS, pages="4k"):
        self.started += 1
        guests = [f"{port},nodes={node},pages={pages}" for port, node in zip(ports, nodes)]
        return NumaGuests(self.machine, f"guests{self.started}", self.options.numa_guests, guests)


def settles(look, timeout_s=30.0):
    """Waits until look() raises no Failure: of a guest on two nodes the sample varies, and the switch may decide once more between
    its word and the kernel's."""
    failures = []

    def try_it():
        try:
            look()
            return True
        except Failure as failure:
            failures[:] = [failure]
            return False

    try:
        wait_until(try_it, "the kernel to agree", timeout_s)
    except Failure:
        raise failures[0] from None


def check_on(machine, switch, stats, index, node):
    """The kernel says that port `index`'s state and mbufs and the CPUs of its workers are on the node."""
    name = stats["ports"][index]["name"]
    placement = stats["ports"][index]["placement"]
    space = machine.address_space(switch.pid)
    state = space.pages([area for one in placement for area in areas_of(one["state_areas"])])
    check_equal(set(state), {node}, f"{name}: nodes of the pages of its ring state, {state}")
    pools = [pool for pool in stats["mempools"] if pool["node"] == node]
    check(pools, f"{name}: the switch has no mempool on node {node}")
    mbufs = space.pages([area for pool in pools for area in areas_of(pool["memory"])])
    check_equal(set(mbufs), {node}, f"{name}: nodes of the pages of the mempool of node {node}, {mbufs}")
    for number in {one["worker"] for one in placement}:
        tid = next(worker["tid"] for worker in stats["workers"] if worker["worker"] == number)
        cpus = machine.cpus_of_thread(switch.pid, tid)
        nodes = {machine.node_of_cpu(cpu) for cpu in cpus}
        check_equal(nodes, {node}, f"{name}: nodes of the CPUs {cpus} of its worker {number}")


def check_all_on(lab, switch, guests, nodes):
    """Port I is on nodes[I], the switch says first and then the kernel; traffic flows and has lost nothing."""
    stats = switch.wait_on(nodes)
    for index, node in enumerate(nodes):
        # The switch's word is about the rings; the port's table of translations has its turn after them.
        settles(lambda index=index, node=node: check_on(lab.machine, switch, stats, index, node))
    received = guests.check_traffic()
    print(f"  ports on nodes {nodes}; {guests.check_traffic(received)} packets so far, all there, once, in order")
    return stats


def moving(lab, start, moves, pages="4k"):
    """Guests that have all there on node `start` from the beginning move while they send each other packets. moves: (guest, node)."""
    print(f"guests that move, pages of {pages}")
    switch = lab.switch()
    guests = lab.guests((start, start), pages=pages)
    where = [start, start]
    check_all_on(lab, switch, guests, where)
    for guest, node in moves:
        seen = switch.count("placement_changed"), switch.count("lane_moved")
        begun = switch.stats()["seconds"]
        guests.move(guest, node)
        where[guest] = node
        check_all_on(lab, switch, guests, where)
        changes = [one for one in switch.events("placement_changed", seen[0]) if one["node"] == node]
        check_equal({one["port"] for one in changes}, {PORTS[guest]}, "ports with an event that they are on another node now")
        lanes = [one for one in switch.events("lane_moved", seen[1]) if one["port"] == PORTS[guest]]
        check(lanes, f"no lane of {PORTS[guest]} changed its worker")
        if all("seconds" in one for one in changes + lanes):
            ended = max(one["seconds"] for one in changes + lanes)
            print(f"    all followed {ended - begun:.2f} s after a moment before the guest began to move")
    finish(switch, guests)


def half_and_half(lab):
    """Memory on both nodes: the state is whole on the node that the library chose, and the histogram shows both."""
    print("guests whose memory is half on each node")
    switch, guests = lab.switch(), lab.guests(("0+1", "0+1"))
    for pages in guests.where():
        check_equal(set(pages), {0, 1}, "nodes of a guest's memory")
        check(abs(pages[0] - pages[1]) <= 1, f"pages by node, expected halves: {pages}")

    def decided(stats):
        rings = [one for port in stats["ports"] for one in port["placement"]]
        return len(rings) == 4 and all(one["wanted_node"] in (0, 1) and one["state_node"] == one["wanted_node"] for one in rings)

    def whole():
        stats = switch.wait_stats(decided, "the state of all vrings to be where it is wanted")
        space = lab.machine.address_space(switch.pid)
        for port in stats["ports"]:
            for one in port["placement"]:
                state = space.pages(areas_of(one["state_areas"]))
                check_equal(set(state), {one["wanted_node"]}, f"{port['name']}: nodes of the pages of its ring state, {state}")
                check_equal(set(one["buffers"]["nodes"]), {"0", "1"}, f"{port['name']}: nodes of its packet buffers")

    settles(whole)
    guests.check_traffic(guests.check_traffic())
    print(show_placement(switch.stats()))
    finish(switch, guests)


def denied(lab):
    """get_mempolicy, mbind and move_pages are refused: it starts, says so, and carries packets."""
    print("the calls are denied")
    switch = lab.switch(prefix=[lab.options.deny_calls])
    guests = lab.guests((0, 1))

    def told(stats):
        rings = [one for port in stats["ports"] for one in port["placement"]]
        return len(rings) == 4 and all(one["problem"] for one in rings)

    stats = switch.wait_stats(told, "each vring's placement to tell its problem")
    rings = [one for port in stats["ports"] for one in port["placement"]]
    check_equal({one["move_errno"] for one in rings}, {EPERM}, "errno of the vrings' placement")
    guests.check_traffic(guests.check_traffic())
    print(show_placement(stats))
    finish(switch, guests)


def full_node(lab):
    """No ordinary page is left on node 1, where a guest on huge pages goes: told, and made good once there is room."""
    print("a node without memory")
    switch, guests = lab.switch(), lab.guests((0, 0), pages="2m")
    switch.wait_on((0, 0))
    lab.machine.make_huge_pages_of_the_rest(1)  # what is left then is filled sooner
    lab.machine.begin_program("fill", [lab.options.fill_node, 1, 0])
    lab.machine.wait_line("fill", "^full")
    guests.move(0, 1)

    def told(stats):
        rings = stats["ports"][0]["placement"]
        return rings and all(one["wanted_node"] == 1 and one["state_node"] != 1 and one["problem"] for one in rings)

    stats = switch.wait_stats(told, "port 0's placement to tell that its state cannot go to node 1")
    guests.check_traffic(guests.check_traffic())
    print(show_placement(stats))
    lab.machine.signal("fill", "KILL")
    lab.machine.wait_end("fill")
    lab.machine.set_huge_pages(1, lab.machine.huge_pages)
    check_all_on(lab, switch, guests, (1, 0))
    finish(switch, guests)


def no_huge_pages_on_node_1(lab):
    """No mempool can be made on node 1: told; packets come from another node's."""
    print("a node without huge pages")
    lab.machine.set_huge_pages(1, 0)
    switch, guests = lab.switch(), lab.guests((1, 1))

    def told(stats):
        return any(pool["asked_node"] == 1 and pool["problem"] for pool in stats["mempools"])

    stats = switch.wait_stats(told, "the mempools to tell that node 1 has no memory for one")
    print("  " + "; ".join(pool["problem"] for pool in stats["mempools"] if pool["problem"]))
    guests.check_traffic(guests.check_traffic())
    finish(switch, guests)
    lab.machine.set_huge_pages(1, lab.machine.huge_pages)


def four_nodes(lab):
    """A guest a node, which all go on to the next node, one after the other."""
    print("four nodes")
    ports = [f"/tmp/port{number}" for number in range(4)]
    switch = lab.switch(ports, workers=4)
    guests = lab.guests(range(4), ports)
    where = list(range(4))
    check_all_on(lab, switch, guests, where)
    for guest in range(4):
        guests.move(guest, (guest + 1) % 4)
        where[guest] = (guest + 1) % 4
    check_all_on(lab, switch, guests, where)
    finish(switch, guests)


def finish(switch, guests):
    guests.check_traffic()
    guests.quit()
    switch.finish()


TWO_NODES = {
    "moving": lambda lab: moving(lab, 1, ((0, 0), (1, 0), (0, 1))),  # both on node 1, one on each, both on node 0, one on each
    "halves": half_and_half,
    "huge": lambda lab: moving(lab, 0, ((0, 1), (0, 0)), "2m"),
    "denied": denied,
    "full": full_node,
    "no-huge-pages": no_huge_pages_on_node_1,
}


def run(bench, options):
    if options.machine == "two-nodes":
        lab = Lab(bench, options)
        for name in options.only or TWO_NODES:
            TWO_NODES[name](lab)
    else:
        lab = Lab(bench, options, nodes=4)
        four_nodes(lab)
    lab.machine.power_off()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vhostx_switch", help="the program under test")
    parser.add_argument("numa_guests", help="the guests; fill-node and deny-calls are beside it")
    parser.add_argument("machine", choices=("two-nodes", "four-nodes"))
    parser.add_argument("--only", nargs="+", choices=TWO_NODES, help="of the scenarios on two nodes")
    arguments = parser.parse_args()
    for program in ("fill-node", "deny-calls"):
        path = arguments.numa_guests.rpartition("/")[0] + "/" + program
        setattr(arguments, program.replace("-", "_"), path)
    run_test(run, arguments)
