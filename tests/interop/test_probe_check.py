#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-probe check against vhostx-switch, where nothing may fail, and against dpdk-testpmd's net_vhost.

Of the latter it is not asked which checks pass: where the specification leaves a choice, back-ends differ. It must live
through all that is no bad input, and the report must be one that other programs read.
"""

import argparse
import json
import subprocess
import xml.etree.ElementTree as ElementTree

from processes import Failure, check, check_equal, run_test, wait_until
from testpmd import TestpmdBackEnd
from vhost_user import NetGuest
from vhostx_switch import VhostSwitch

RUN_TIMEOUT_S = 110
PATIENT = ["--timeout", "20"]

# Feature bits that vhostx-switch offers on request: with them no check is left out for want of a bit that it can serve.
ALL = ",offer=in_order+reset_device+inband_notifications+gpa_addresses"

# What a network back-end of this project does not offer; each check names one of them.
NOT_OFFERED = ["INFLIGHT_SHMFD", "CONFIG", "CROSS_ENDIAN", "SHMEM"]


def connected(path):
    """Whether the kernel has a connection that was accepted at this socket: also one whose other end has left."""
    with open("/proc/net/unix") as table:
        return any(line.split()[5:8:2] == ["03", path] for line in table)


def run_probe(binary, *arguments, statuses=(0,)):
    """After whoever was at a socket before has left it, unless that is what the probe is to find."""
    if 3 not in statuses:
        wait_until(lambda: not any(connected(one) for one in arguments), "the back-end to have closed what was there before")
    done = subprocess.run([binary, "check", *arguments], capture_output=True, text=True, timeout=RUN_TIMEOUT_S)
    if done.returncode not in statuses:
        raise Failure(
            f"vhostx-probe check {' '.join(arguments)}: status {done.returncode}, expected {statuses}\n"
            f"{done.stdout[-6000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


def counts(report):
    return f"{report['passed']} passed, {report['failed']} failed, {report['not_applicable']} not applicable"


def of_result(report, result):
    return [one for one in report["checks"] if one["result"] == result]


def check_all_pass(report, label, also_expected=()):
    print(f"{label}: {counts(report)}", flush=True)
    failed = [f"{one['id']}: {one['seen']}" for one in of_result(report, "failed")]
    check_equal(failed, [], f"{label}: failed")
    check(report["passed"] > 150, f"{label}: {counts(report)}")
    for one in of_result(report, "not applicable"):
        expected = one["id"] in also_expected or any(name in one["seen"] for name in NOT_OFFERED)
        check(expected, f"{label}: {one['id']} does not apply: {one['seen']}")


def vhostx(bench, switch_binary, binary):
    a, b = bench.path("a"), bench.path("b")
    switch = VhostSwitch(bench, switch_binary, [f"{a},queues=2{ALL}", f"{b},queues=2{ALL}"])
    fds = switch.open_fds()
    report = json.loads(run_probe(binary, a, "--second", b, "--json", *PATIENT))
    check_all_pass(report, "vhostx-switch, two ports")
    listed = json.loads(run_probe(binary, "--list", "--json"))
    check_equal([one["id"] for one in report["checks"]], [one["id"] for one in listed], "checks that were run")
    print(run_probe(binary, b, "--only", "connection.*", *PATIENT), flush=True)
    switch.wait_fds(fds, "descriptors after all checks")
    switch.finish()
    looping = VhostSwitch(bench, switch_binary, [f"{a},queues=2{ALL}"], mode="io", extra=["--topology", "loop"])
    report = json.loads(run_probe(binary, a, "--json", *PATIENT))
    check_all_pass(report, "vhostx-switch, loop", also_expected=["receive.rarp"])
    looping.finish()


def reports(bench, switch_binary, binary):
    """Each form of the report, what is refused, and who is left alone."""
    a = bench.path("a")
    junit = bench.path("junit.xml")
    switch = VhostSwitch(bench, switch_binary, [a])
    tap = run_probe(binary, a, "--group", "stream", "--tap", "--junit", junit).splitlines()
    check_equal(tap[0], "TAP version 13", "TAP's first line")
    check_equal(tap[1], f"1..{len(tap) - 2}", "TAP's plan")
    check(all(line.startswith(f"ok {number} - stream.") for number, line in enumerate(tap[2:], 1)), str(tap))
    suites = ElementTree.parse(junit).getroot()
    check_equal([suite.get("name") for suite in suites], ["stream"], "test suites")
    check_equal(len(suites.findall(".//testcase")), len(tap) - 2, "test cases")
    ElementTree.fromstring(run_probe(binary, a, "--group", "negotiation", "--junit", "-"))
    run_probe(binary, a, "--only", "nothing.*", statuses=(2,))
    run_probe(binary, bench.path("nobody"), statuses=(1,))
    guest = NetGuest(a)
    run_probe(binary, a, "--group", "stream", statuses=(3,))
    check(guest is not None, "the guest stays")
    switch.finish()


def testpmd(bench, _switch_binary, binary):
    a, b = bench.path("a"), bench.path("b")
    junit = bench.path("junit.xml")
    back_end = TestpmdBackEnd(bench, "io", [a, b])
    # What it does otherwise is mostly that nothing happens: each such check takes the whole time.
    run_probe(binary, a, "--second", b, "--gentle", "--timeout", "2", "--junit", junit, statuses=(0, 1))
    cases = ElementTree.parse(junit).getroot().findall(".//testcase")
    failures = [case for case in cases if case.find("failure") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    passed = len(cases) - len(failures) - len(skipped)
    print(f"testpmd: {passed} passed, {len(failures)} differ, {len(skipped)} not applicable", flush=True)
    check(back_end.process.alive(), "testpmd lives")
    run_probe(binary, a, "--only", "negotiation.features-reply", *PATIENT)
    back_end.end()


PARTS = {"vhostx": vhostx, "reports": reports, "testpmd": testpmd}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("switch")
    parser.add_argument("probe")
    parser.add_argument("part", choices=PARTS)
    arguments = parser.parse_args()
    run_test(PARTS[arguments.part], arguments.switch, arguments.probe)


if __name__ == "__main__":
    main()
