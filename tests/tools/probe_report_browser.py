#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The page of vhostx-probe report in a browser: it asks for nothing but itself, says what the record says, and fits wide and
narrow screens, light and dark, and paper. Records: a real session of QEMU's, one with everything, a hostile one.

probe_report_browser.py VHOSTX_PROBE [DIRECTORY]: with a directory, the screenshots stay there, to be looked at."""

import json
import os
import shutil
import subprocess
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop")]

from browser import Browser, rows_of
from probe_records import CONFIG_CHANGE, EVENTFD, GIB, MIB, SET_BACKEND_REQ_FD, SET_OWNER
from probe_records import SET_VRING_CALL, UVA, Record, fd
from processes import check, check_equal, run_test

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
EVIL = "</script></style></title></svg>'\"><img src=http://127.0.0.1:9/x onerror=alert(1)><script>alert(2)</script>"
STORM = 512
RINGS = 6

PAPER_WIDTH = 718  # A4 at 96 dots per inch, without its margins
SCREENS = [(1280, "light"), (1280, "dark"), (400, "light"), (400, "dark")]

# Elements whose box leaves the page to the right, those aside that nobody sees.
OVERFLOWING = """
const width = document.documentElement.clientWidth;
return [...document.querySelectorAll('body *')].filter(e => {
  const box = e.getBoundingClientRect();
  const style = getComputedStyle(e);
  return box.width > 1 && style.visibility !== 'hidden' && (box.right > width + 0.5 || box.left < -0.5);
}).map(e => e.tagName + '.' + (e.getAttribute('class') || '') + ': ' + e.textContent.slice(0, 60));
"""

# Pairs of texts of one drawing that lie on each other.
COLLIDING = """
const found = [];
for (const svg of document.querySelectorAll('svg')) {
  const texts = [...svg.querySelectorAll('text')].map(e => [e, e.getBBox()]);
  for (let i = 0; i < texts.length; ++i)
    for (let k = i + 1; k < texts.length; ++k) {
      const [a, b] = [texts[i][1], texts[k][1]];
      const across = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
      const down = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
      if (across > 1 && down > 3) found.push(texts[i][0].textContent + ' / ' + texts[k][0].textContent);
    }
}
return found;
"""

# Texts of drawings that leave their drawing.
CUT_OFF = """
return [...document.querySelectorAll('svg text')].filter(e => {
  const box = e.getBBox(), frame = e.ownerSVGElement.viewBox.baseVal;
  return box.x < -1 || box.y < -1 || box.x + box.width > frame.width + 1 || box.y + box.height > frame.height + 1;
}).map(e => e.textContent);
"""

DANGLING = """
return [...document.querySelectorAll('a')].map(a => a.getAttribute('href'))
    .filter(href => !href.startsWith('#') || document.getElementById(href.slice(1)) === null);
"""


def record_with_everything():
    record = Record()
    record.open()
    record.negotiate(0x1C001097860BB8B, 0x1017060BB83, 0x1E43D | 1 << 40, 0x1E43D)
    ram = fd("memfd", "/memfd:pc.ram (deleted)", 8 * GIB, 4096, ["shrink", "grow", "seal"])
    huge = fd("hugetlbfs", "/dev/hugepages/vm0 (deleted)", 64 * GIB, 2 * MIB)
    regions = [
        (0, 640 * 1024, UVA, 0),
        (768 * 1024, 2 * GIB - 768 * 1024, UVA + 768 * 1024, 768 * 1024),
        (4 * GIB, 5 * GIB, UVA + 2 * GIB, 2 * GIB),
        (0xFC00_0000_0000_0000, 64 * MIB, 0xFC00_7000_0000_0000, 0),
    ]
    record.memory(regions, [ram, ram, ram, huge])
    record.ask(SET_BACKEND_REQ_FD, b"", [fd("socket", "socket:[7]")])
    for index in range(RINGS):
        record.ring(index, 256, UVA + (100 + 16 * index) * MIB + (3 * GIB if index > 3 else 0))
    record.message("back_end_requests", CONFIG_CHANGE, b"", flags=1 | 8)
    record.message("replies_to_back_end", CONFIG_CHANGE, b"\0" * 8)
    for _ in range(STORM):
        record.ask_number(SET_VRING_CALL, 1, [EVENTFD])
    record.time_ns += 2_500_000_000
    record.ask(SET_OWNER)  # the second time
    record.ask(77)  # not known
    for index in range(RINGS):
        record.stop_ring(index)
    record.memory([], [])
    record.event("closed", text="the front-end closed it")
    return record


def hostile_record():
    record = Record(EVIL)
    record.open(EVIL, EVIL)
    record.negotiate((1 << 64) - 1, (1 << 64) - 1, (1 << 64) - 1, 0)
    regions = [(i << 61, 1 << 62, i << 61, (1 << 64) - 1) for i in range(8)]
    record.memory(regions, [fd(EVIL, EVIL * 30, (1 << 64) - 1, (1 << 64) - 1, [EVIL])] * 8)
    for index in (0, 255):
        record.ring(index, (1 << 32) - 1, (1 << 64) - (1 << 40), fd(EVIL, EVIL))
    record.event("note", text="x" * 3000)
    record.event("closed", text=EVIL)
    return record


def events_of(path):
    with open(path) as file:
        return [json.loads(line) for line in file][1:]


def make_page(bench, probe, record, name):
    page = bench.path(name + ".html")
    done = subprocess.run([probe, "report", record, "--html", page], capture_output=True, text=True)
    check_equal((done.returncode, done.stderr), (0, ""), f"report of {name}")
    return page


def check_is_alone(browser, page):
    url = "file://" + page
    browser.requests()
    browser.open(url)
    check_equal(browser.requests(), [url], "what the browser asked for")
    check_equal([entry["message"] for entry in browser.log("browser")], [], "what the console says")
    check_equal(browser.count("script, img, iframe, link, object, embed, form"), 0, "elements that could ask for more")


def check_fits(browser, name, keep):
    for width, scheme in SCREENS:
        what = f"{name} at {width} px, {scheme}"
        browser.look(width, scheme=scheme)
        check_equal(browser.run(OVERFLOWING)[:5], [], f"what leaves the page: {what}")
        shot = os.path.join(keep, f"{name}-{width}-{scheme}.png")
        browser.screenshot(shot, whole=True)
        check(rows_of(shot) > 100, f"a blank picture: {what}")
    browser.look(PAPER_WIDTH, paper=True)
    check_equal(browser.run(OVERFLOWING)[:5], [], f"what leaves the paper: {name}")
    browser.screenshot(os.path.join(keep, f"{name}-paper.png"), whole=True)
    browser.look(1280)
    browser.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    for width in (1280, 400):
        browser.look(width)
        check_equal(browser.run(OVERFLOWING)[:5], [], f"what leaves the page with all of it open: {name} at {width} px")
    check_equal(browser.run(COLLIDING)[:5], [], f"texts that lie on each other: {name}")
    check_equal(browser.run(CUT_OFF)[:5], [], f"texts that leave their drawing: {name}")
    check_equal(browser.run(DANGLING)[:5], [], f"links to nothing: {name}")


def check_colours(browser):
    browser.look(1280, scheme="light")
    light = browser.run("return getComputedStyle(document.body).backgroundColor")
    browser.look(1280, scheme="dark")
    check(browser.run("return getComputedStyle(document.body).backgroundColor") != light, "dark mode is as the light one")
    browser.look(1280, scheme="dark", paper=True)
    check_equal(browser.run("return getComputedStyle(document.body).backgroundColor"), light, "paper in dark mode")


def check_is_spoken(browser):
    check_equal(browser.run("return document.documentElement.lang"), "en", "language")
    check_equal(browser.count("h1"), 1, "h1")
    check_equal(browser.count("svg:not([role=img])"), 0, "drawings without a role")
    check_equal(browser.count("svg > title"), browser.count("svg"), "titles of drawings")
    levels = [int(name[1]) for name in browser.run("return [...document.querySelectorAll('h1,h2,h3,h4')].map(h => h.tagName)")]
    check(all(b <= a + 1 for a, b in zip(levels, levels[1:])), f"headings leave levels out: {levels}")
    ids = browser.run("return [...document.querySelectorAll('[id]')].map(e => e.id)")
    check_equal(len(ids), len(set(ids)), "ids that are there once")


def check_real_session(browser, record):
    events = events_of(record)
    messages = [event for event in events if event["event"] == "message"]
    connections = {event["connection"] for event in events}
    check_equal(browser.count("section.connection"), len(connections), "connections")
    check_equal(browser.count("li.row.message .arrow"), len(messages), "arrows, those that are folded in included")
    replies = sum(event["way"].startswith("replies") for event in messages)
    check_equal(browser.count("li.row.message .arrow.reply"), replies, "replies")
    check_equal(browser.texts("h1"), ["qemu-system-x86 and vhostx-switch"], "heading")
    check_equal(browser.count("#c1 section.ring"), 4, "rings of two queue pairs")
    check_equal(browser.count("#c2 section.ring"), 2, "rings of one queue pair")
    check_equal(browser.count("#c2 .region"), 1, "regions")


def check_everything(browser):
    check_equal(browser.count("svg.memory .region"), 4, "regions")
    check_equal(browser.count("svg.memory .mark"), 3 * RINGS, "areas of rings in the memory map")
    check_equal(browser.count("section.ring"), RINGS, "rings")
    check_equal(browser.count("ol.findings > li.violation"), 1, "violations")
    check_equal(browser.count("ol.findings > li.remark"), 1, "remarks")
    check(browser.texts("ol.findings > li")[0].startswith("✖ violation message"), "the violation is the first finding")
    check_equal(browser.count("li.run"), 1, "folded runs")
    check(f"CALL ×{STORM}" in browser.texts("li.run > details > summary .arrow")[0].replace("\n", ""), "the storm")
    check_equal(browser.count(".arrow.side"), 2, "messages on the back-end's channel")
    check("2.50 s" in "".join(browser.texts(".row.pause")), "the pause")
    check_equal(browser.count("li.row.violation"), 1, "rows of violations")
    signs = browser.texts("li.row.violation .arrow")
    check("✖" in signs[0], f"a violation has a sign beside its colour: {signs}")


def check_opens_on_a_link(browser, page):
    """A finding's link leads into a part that was closed."""
    browser.open("file://" + page)
    browser.look(1280)
    browser.run("document.querySelector('ol.findings a').click()")
    top = browser.run("return document.querySelector(':target').getBoundingClientRect().top")
    check(0 <= top < 900, f"the message that a finding names is seen: {top}")


def test(bench, probe, keep=None):
    browser = Browser(bench)
    keep = keep or bench.directory
    real = os.path.join(DATA, "qemu-two-sessions.jsonl")
    for name, record in (("everything", record_with_everything()), ("hostile", hostile_record())):
        record.write(bench.path(name + ".jsonl"))
    shutil.copy(real, bench.path("real.jsonl"))
    for name in ("real", "everything", "hostile"):
        page = make_page(bench, probe, bench.path(name + ".jsonl"), name)
        check_is_alone(browser, page)
        check_is_spoken(browser)
        if name == "real":
            check_real_session(browser, real)
        if name == "everything":
            check_everything(browser)
        check_colours(browser)
        check_fits(browser, name, keep)
        if name == "everything":
            check_opens_on_a_link(browser, page)


if __name__ == "__main__":
    run_test(test, *sys.argv[1:])
