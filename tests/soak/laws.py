# SPDX-License-Identifier: BSD-3-Clause
"""What must hold at the end: every packet that did not arrive is one that a switch counted as dropped, or never took.

`port` is the switch's own account of a port, `report` that of the pair of guests. Each law yields a sentence for each
breach of it.
"""

import interop_path  # noqa: F401
from vhostx_switch import dropped


def drops(port):
    return sum(dropped(port).values())


def guests_and_ports_agree(report, ports):
    """A ring's used entries are the packets of the counters, over all connections."""
    for side, port in ports.items():
        taken = port["from_guest"]["packets"] + sum(port["from_guest"]["drops"].values())
        if report["taken"][side] != taken:
            yield f"{side}: {report['taken'][side]} chains of the guest were used, the switch counted {taken} packets"
        given = port["to_guest"]["packets"]
        if report["given"][side] != given:
            yield f"{side}: {report['given'][side]} buffers of the guest were filled, the switch counted {given}"


def losses_are_explained(report, ports, learning, flooded):
    """A learning switch forgets a guest that leaves, and floods what comes for it to all others. A witness among them
    counted those, of which some may have arrived too: there the sum is an upper bound. A flooded packet that a port could
    not take counts there (flood_not_ready), also when it was meant for somebody else."""
    explained = sum(drops(port) for port in ports.values()) + report["untaken"] + flooded
    if report["jumped"] > explained or (report["jumped"] != explained and not learning):
        yield (f"{report['jumped']} packets did not arrive, {explained} were counted as dropped or never taken, or came "
               "to everybody else")  # fmt: skip


def steady_loses_nothing(report):
    lost = report["jumped"] - report["jumped_at_begin"]
    if lost or report["sent"] != report["received"] + report["jumped"]:
        yield f"an undisturbed flow lost {lost} of {report['sent']} packets"


def what_goes_in_comes_out(ports):
    """Of a switch in mode io; also when guests were killed."""
    for side, other in (("left", "right"), ("right", "left")):
        taken, to = ports[side]["from_guest"]["packets"], ports[other]
        out = to["to_guest"]["packets"] + sum(to["to_guest"]["drops"].values()) + sum(to["switch_drops"].values())
        if taken != out:
            yield f"{taken} packets came in at the {side}, {out} went out or were counted as dropped at the {other}"


def breaches(plan, switch_plan, report, ports, witness):
    """`witness` is the report of an undisturbed pair of the same switch."""
    learning = switch_plan.mode != "io"
    found = []
    if plan.steady():
        found += steady_loses_nothing(report)
    if not plan.killed:
        found += guests_and_ports_agree(report, ports)
        found += losses_are_explained(report, ports, learning, witness["foreign"].get(str(report["number"]), 0))
    if not learning:
        found += what_goes_in_comes_out(ports)
    return [f"{switch_plan.name}/{plan.name}: {text}" for text in found]
