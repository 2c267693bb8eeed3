#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch is killed, or ends and starts again, under traffic from guest to guest: its guests keep their connections.

vhostx-bench is both guests. Each packet carries a number: nothing may be lost, as packets wait in the rings while nobody serves. Of
the burst in work when the process died, packets may come twice. A connection that closes ends vhostx-bench.
"""

import argparse
import json
import random
import signal
import subprocess
import time
from functools import partial

from fake_systemd import FakeSystemd
from keeper import Keeper
from processes import check, check_equal, run_test, wait_until
from testpmd import Testpmd
from vhost_user import NetGuest
from vhostx_switch import VhostSwitch

TIMES = 20  # and more, of all parts together
BURST = 32
ROUNDS, ROUND_S = 3600, 2  # vhostx-bench measures until it is told to end, which it does after a round
MOMENT_S = 0.3  # traffic is seen; then another instant each time
FAULTS = ("lost", "damaged", "late", "duplicated")
RUN = ["--timeout", "60", "--json"]


class Lives:
    """One vhostx-switch after the other, on the same ports."""

    def __init__(self, bench, binary, keeper, ports, **switch):
        self.bench, self.binary, self.keeper, self.ports, self.switch = bench, binary, keeper, ports, switch
        self.count = 0
        self.current = None

    def begin(self):
        self.count += 1
        extra = [*self.keeper.arguments(), *self.switch.get("extra", [])]
        options = {**self.switch, **self.keeper.start_options(), "extra": extra}
        self.current = VhostSwitch(self.bench, self.binary, self.ports, name=f"switch-{self.count}", **options)
        return self.current

    def begin_beside(self, *extra):
        """The next one, while the one before serves. Returns that one."""
        before = self.current
        self.switch["extra"] = list(extra)
        self.begin()
        return before

    def wait_ownership(self, switch, ownership, since=0):
        """Each of its ports becomes owned so."""
        for port in self.ports:
            socket = port.split(",")[0]

            def told(socket=socket):
                switch.mark()
                events = [event for event in switch.events[since:] if event.get("event") == "ownership_changed"]
                return any(event["port"] == socket and event["ownership"] == ownership for event in events)

            wait_until(told, f"{socket}: {ownership}")

    def connected(self, since=0):
        """How each of its ports came to its front-end."""
        sockets = [port.split(",")[0] for port in self.ports]
        events = [self.current.wait_event("connected", port=socket, since=since) for socket in sockets]
        return [event.get("adopted", False) for event in events]

    def wait_moving(self):
        first = [port["to_guest"]["packets"] for port in self.current.stats()["ports"]]

        def moved(stats):
            return any(port["to_guest"]["packets"] > before for port, before in zip(stats["ports"], first))

        self.current.wait_stats(moved, "packets to move")


def start_bench(binary, arguments):
    argv = [binary, *arguments, "--duration", str(ROUNDS * ROUND_S), "--rounds", str(ROUNDS), *RUN]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def check_running(guests):
    check(guests.poll() is None, f"vhostx-bench ended with {guests.returncode}")


def finish_bench(guests):
    guests.send_signal(signal.SIGINT)
    report, _ = guests.communicate(timeout=300)
    check(report.startswith("{"), f"vhostx-bench ended with {guests.returncode}: {report}")
    (size,) = json.loads(report)["back_ends"][0]["sizes"]
    return size["counts"]


def check_listening(switch, socket, since):
    """The socket of the first life serves a front-end that connects to this one."""
    guest = NetGuest(socket)
    check(not switch.wait_event("connected", port=socket, since=since).get("adopted"), "a new front-end was adopted")
    guest.close()


def between_guests(bench, switch_binary, keeper, bench_binary, times, end, packets=(), port="", **switch):
    a, b = bench.path("a"), bench.path("b")
    lives = Lives(bench, switch_binary, keeper, [a + port, b + port], **switch)
    lives.begin()
    arguments = ["--connect", a, "--connect", b, "--bidirectional", *packets]
    guests = start_bench(bench_binary, arguments)
    check_equal(lives.connected(), [False, False], "adopted at first")
    held = None
    for _ in range(times):
        lives.wait_moving()
        time.sleep(random.random() * MOMENT_S)
        check_running(guests)
        end(lives.current)
        lives.begin()
        check_equal(lives.connected(), [True, True], f"adopted by life {lives.count}")
        lives.wait_moving()
        held = held or keeper.open_fds()
        wait_until(lambda: keeper.open_fds() <= held, f"the keeper to hold no more than {held} descriptors")
    since = lives.current.mark()
    counts = finish_bench(guests)
    check_listening(lives.current, a, since)
    print(f"{lives.count} lives: {counts}", flush=True)
    faults = {name: counts[name] for name in ("lost", "damaged", "late") if counts[name] != 0}
    check_equal(faults, {}, "faults")
    repeated = counts["duplicated"]
    check(repeated <= 4 * BURST * lives.count, f"{repeated} packets came twice in {lives.count} lives")
    lives.current.finish()


def killed(bench, switch, keeper, bench_binary, times=TIMES // 2, **traffic):
    between_guests(bench, switch, Keeper(bench, keeper), bench_binary, times, lambda life: life.process.kill(), **traffic)


# Few packets, and who waits for them sleeps: each kick and call counts, also those made while nobody served.
ASLEEP = ["--interrupt", "--rate", "2000"]
# Room for two packets, each in three of the receiver's buffers: the sender's packets wait for them.
FEW_BUFFERS = ["--ring-size", "8", "--sizes", "1518", "--receive-buffer", "600"]
PACKED = ["--packed"]


def both_killed(bench, switch_binary, keeper_binary, _bench_binary):
    """Nothing is left of the connection: the front-end connects again, as without a keeper."""
    socket = bench.path("testpmd")
    keeper = Keeper(bench, keeper_binary)
    lives = Lives(bench, switch_binary, keeper, [f"{socket},role=client"], mode="io", extra=["--topology", "loop"])
    guest = Testpmd(bench, socket, server=1)
    lives.begin()
    guest.ready()
    for life in range(4):
        check_equal(lives.connected(), [False], f"adopted by life {life}")
        guest.start("io", first_bursts=2)
        lives.wait_moving()
        if life < 3:
            lives.current.process.kill()
            keeper.process.kill()
            guest.stop()
            keeper = lives.keeper = Keeper(bench, keeper_binary)
            lives.begin()
    guest.end()
    lives.current.finish()


def lent_killed(*arguments, times=TIMES // 4, rings=()):
    """Packets are lent to the switch, and are in its mbufs when it is killed.

    Those that come twice need receive buffers, too: without one, mode io drops a packet. So fewer are in flight than there are.
    """
    lent = {"packets": ["--size", "1518", "--in-flight", "128", *rings], "port": ",zerocopy=lend", "mode": "io"}
    killed(*arguments, times=times, **lent)


def ended(bench, switch, keeper, *arguments, times=TIMES // 4):
    between_guests(bench, switch, Keeper(bench, keeper), *arguments, times, lambda switch: switch.finish())


def systemd_killed(bench, switch, _keeper, *arguments):
    between_guests(bench, switch, FakeSystemd(bench), *arguments, TIMES // 5, lambda switch: switch.process.kill())


def systemd_ended(bench, switch, _keeper, *arguments):
    between_guests(bench, switch, FakeSystemd(bench), *arguments, TIMES // 7, lambda switch: switch.finish())


def next_lives(bench, switch_binary, keeper_binary, bench_binary, times, succeed, rings=()):
    """Lives that overlap: `succeed(lives)` ends with the next one that serves. It returns from which of its events on."""
    keeper = Keeper(bench, keeper_binary)
    a, b = bench.path("a"), bench.path("b")
    lives = Lives(bench, switch_binary, keeper, [a, b])
    lives.begin()
    guests = start_bench(bench_binary, ["--connect", a, "--connect", b, "--bidirectional", *rings])
    check_equal(lives.connected(), [False, False], "adopted at first")
    for _ in range(times):
        lives.wait_moving()
        time.sleep(random.random() * MOMENT_S)
        check_running(guests)
        since = succeed(lives)
        check_equal(lives.connected(since), [True, True], f"adopted by life {lives.count}")
        lives.wait_moving()
    counts = finish_bench(guests)
    print(f"{lives.count} lives: {counts}", flush=True)
    lives.current.finish()
    return lives.count, counts


def upgraded(*arguments, times=TIMES // 4, rings=()):
    """Each new switch asks the one before for its ports, which ends by itself once the new one has served for a while."""

    def take_over(lives):
        before = lives.begin_beside("--take-over")
        lives.wait_ownership(lives.current, "serving")
        lives.wait_ownership(before, "handed_over")
        wait_until(lambda: not before.process.alive(), "the switch that handed over to end")
        check_equal(before.process.popen.returncode, 0, "its exit status")
        return 0

    _, counts = next_lives(*arguments, times, take_over, rings)
    faults = {name: count for name, count in counts.items() if name in FAULTS and count != 0}
    check_equal(faults, {}, "faults")


def taken_back(bench, switch_binary, keeper_binary, bench_binary):
    """A switch that takes over and dies at once: the one before goes on."""

    def fail(lives):
        before = lives.begin_beside("--take-over")
        lives.wait_ownership(lives.current, "serving")
        lives.wait_moving()
        since = before.mark()
        lives.current.process.kill()
        lives.current = before
        lives.wait_ownership(before, "serving", since)
        return since

    count, counts = next_lives(bench, switch_binary, keeper_binary, bench_binary, TIMES // 5, fail)
    check_equal({name: counts[name] for name in ("lost", "damaged", "late") if counts[name] != 0}, {}, "faults")
    check(counts["duplicated"] <= 4 * BURST * count, f"{counts['duplicated']} packets came twice in {count} lives")


def stood_by(bench, switch_binary, keeper_binary, bench_binary):
    """One switch serves, the next one waits until that is killed."""

    def killed_beside(lives):
        before = lives.begin_beside("--standby")
        lives.wait_ownership(lives.current, "standing_by")
        lives_now, lives.current = lives.current, before
        lives.wait_moving()
        lives.current = lives_now
        before.process.kill()
        lives.wait_ownership(lives.current, "serving")
        return 0

    count, counts = next_lives(bench, switch_binary, keeper_binary, bench_binary, TIMES // 5, killed_beside)
    check_equal({name: counts[name] for name in ("lost", "damaged", "late") if counts[name] != 0}, {}, "faults")
    check(counts["duplicated"] <= 4 * BURST * count, f"{counts['duplicated']} packets came twice in {count} lives")


def learned(switch):
    """Addresses that it has learned, by port."""
    return {port["name"]: port["stations"] for port in switch.stats()["ports"]}


def addresses(bench, switch_binary, keeper_binary, bench_binary):
    """Learned addresses are handed on with the ports: the next switch knows them before a frame has come.

    The guests of vhostx-bench are stopped meanwhile, so no frame comes.
    """
    a, b = bench.path("a"), bench.path("b")
    lives = Lives(bench, switch_binary, Keeper(bench, keeper_binary), [a, b])
    lives.begin()
    guests = bench.start("guests", [bench_binary, "--connect", a, "--connect", b, "--bidirectional", "--duration", "200"])
    lives.current.wait_stats(lambda _: learned(lives.current) == {a: 1, b: 1}, "two addresses to be learned")
    guests.popen.send_signal(signal.SIGSTOP)

    def adopted(since=0):
        check_equal(lives.connected(since), [True, True], f"adopted by life {lives.count}")
        check_equal(learned(lives.current), {a: 1, b: 1}, f"what life {lives.count} has learned")

    lives.current.finish()
    lives.begin()
    adopted()
    before = lives.begin_beside("--take-over")
    lives.wait_ownership(before, "handed_over")
    adopted()
    lives.switch["extra"] = []
    lives.current.process.kill()  # what it has adopted is still with the keeper
    lives.begin()
    adopted()
    lives.current.finish()
    guests.popen.send_signal(signal.SIGCONT)
    guests.kill()


def many_killed(*arguments):
    killed(*arguments, times=1000)


def virtio_user(bench, switch_binary, keeper_binary, _bench_binary):
    on_virtio_user(bench, switch_binary, Keeper(bench, keeper_binary))


def systemd_virtio_user(bench, switch_binary, _keeper_binary, _bench_binary):
    on_virtio_user(bench, switch_binary, FakeSystemd(bench))


def on_virtio_user(bench, switch_binary, keeper):
    """testpmd's own front-end, as client and as server of the socket."""
    for role in ("server", "client"):
        socket = bench.path("testpmd-" + role)
        lives = Lives(bench, switch_binary, keeper, [f"{socket},role={role}"], mode="io", extra=["--topology", "loop"])
        if role == "client":
            guest = Testpmd(bench, socket, name="testpmd-" + role, server=1)
            lives.begin()
            guest.ready()
        else:
            lives.begin()
            guest = Testpmd(bench, socket, name="testpmd-" + role).ready()
        guest.start("io", first_bursts=2)
        check_equal(lives.connected(), [False], "adopted at first")
        for _ in range(TIMES // 5):
            lives.wait_moving()
            time.sleep(random.random() * MOMENT_S)
            lives.current.process.kill()
            lives.begin()
            check_equal(lives.connected(), [True], f"adopted by life {lives.count}")
        lives.wait_moving()
        guest.end()
        lives.current.wait_event("disconnected")
        lives.current.finish()
        print(f"{lives.count} lives of a {role} with testpmd", flush=True)


PARTS = {
    "killed": killed,
    "asleep-killed": partial(killed, times=TIMES // 7, packets=ASLEEP),
    "asleep-event-idx-killed": partial(killed, times=TIMES // 7, packets=[*ASLEEP, "--event-idx"]),
    "few-buffers-killed": partial(killed, times=TIMES // 7, packets=FEW_BUFFERS),
    "both-killed": both_killed,
    "packed-killed": partial(killed, times=TIMES // 4, packets=PACKED),
    "packed-few-buffers-killed": partial(killed, times=TIMES // 7, packets=[*PACKED, *FEW_BUFFERS, *ASLEEP, "--event-idx"]),
    "packed-lent-killed": partial(lent_killed, times=TIMES // 5, rings=PACKED),
    "packed-upgraded": partial(upgraded, times=TIMES // 7, rings=PACKED),
    "lent-killed": lent_killed,
    "ended": ended,
    "virtio-user": virtio_user,
    "many": many_killed,
    "upgraded": upgraded,
    "taken-back": taken_back,
    "stood-by": stood_by,
    "addresses": addresses,
    "systemd-killed": systemd_killed,
    "systemd-ended": systemd_ended,
    "systemd-virtio-user": systemd_virtio_user,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("switch")
    parser.add_argument("keeper")
    parser.add_argument("bench")
    parser.add_argument("part", choices=PARTS)
    options = parser.parse_args()
    run_test(PARTS[options.part], options.switch, options.keeper, options.bench)


if __name__ == "__main__":
    main()
