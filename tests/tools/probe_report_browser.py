#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The page of vhostx-probe report in a browser: it asks for nothing but itself, says what the record says, and fits wide and
narrow screens, light and dark, and paper. Records: a real session of QEMU's, one with everything, one of 64
connections, a hostile one.

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


CONNECTIONS = 64
BAD, REMARKED, IDLE = {7, 20, 61}, {30}, {40, 41}


def record_of_many():
    """A back-end's day: guests that come and go, some of them in the wrong."""
    record = Record()
    ram = fd("memfd", "/memfd:pc.ram (deleted)", GIB, 4096)
    for number in range(1, CONNECTIONS + 1):
        record.connection = number
        record.open("qemu-system-x86" if number % 3 else "dpdk-testpmd")
        record.negotiate(0x1C001097860BB8B, 0x1017060BB83, 0x1E43D, 0x1E43D)
        if number in BAD:
            record.ask(SET_OWNER)  # the second time
        if number in REMARKED:
            record.ask(77)  # not known
        if number not in IDLE:
            record.memory([(0, GIB, UVA, 0)], [ram])
            for index in range(2):
                record.ring(index, 256, UVA + (100 + 16 * index) * MIB)
        record.time_ns += 1_500_000_000
        if number != CONNECTIONS:
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


def seen(browser, selector):
    """How many of these elements are shown."""
    return browser.run("return [...document.querySelectorAll(arguments[0])].filter(e => e.checkVisibility()).length", selector)


def choose(browser, name):
    browser.run("document.getElementById(arguments[0]).click()", "show-" + name)


def check_many(browser, page, keep):
    """A table leads into 64 connections, which are closed until one is wanted; and some of them can be chosen."""
    browser.look(1280)
    check_equal(browser.count("#connections tbody tr"), CONNECTIONS, "rows of the table")
    check_equal(browser.count("section.connection > details[open]"), 0, "connections that are open at first")
    height = browser.run("return document.documentElement.scrollHeight")
    check(height < 9000, f"the page is {height} px high, and nothing was opened")
    row = browser.texts("#c7-row")[0]
    for words in ("Connection 7", "qemu-system-x86 (1001)", "1.50 s", "1 violation"):
        check(words in row, f"the row of connection 7: {row}")
    check_equal(browser.count("ol.findings > li.violation"), 1, "findings that say the same are one")
    for name, expected in (("bad", BAD), ("found", BAD | REMARKED), ("open", {CONNECTIONS})):
        choose(browser, name)
        check_equal(seen(browser, "#connections tbody tr"), len(expected), f"rows {name}")
        check_equal(seen(browser, "section.connection"), len(expected), f"connections {name}")
    choose(browser, "ran")
    check_equal(seen(browser, "section.connection"), CONNECTIONS - len(IDLE), "connections whose rings were started")
    browser.screenshot(os.path.join(keep, "many-chosen.png"))
    choose(browser, "bad")
    browser.run("document.querySelector('#c20-row a').click()")
    check_opened(browser, 20)
    browser.screenshot(os.path.join(keep, "many-opened.png"))
    choose(browser, "all")
    browser.run("document.querySelector('#c20 .neighbours a:last-child').click()")
    check_opened(browser, 21)
    browser.run("document.querySelector('ol.findings li.violation a:nth-of-type(3)').click()")
    check_opened(browser, 61)


def check_opened(browser, number):
    check(browser.run("return document.querySelector(arguments[0]).open", f"#c{number} > details"), f"connection {number}")
    top = browser.run("return document.querySelector(':target').getBoundingClientRect().top")
    check(-1 <= top < 900, f"what the link to connection {number} leads to is seen: {top}")


def test(bench, probe, keep=None):
    browser = Browser(bench)
    keep = keep or bench.directory
    real = os.path.join(DATA, "qemu-two-sessions.jsonl")
    for name, record in (("everything", record_with_everything()), ("many", record_of_many()), ("hostile", hostile_record())):
        record.write(bench.path(name + ".jsonl"))
    shutil.copy(real, bench.path("real.jsonl"))
    for name in ("real", "everything", "many", "hostile"):
        page = make_page(bench, probe, bench.path(name + ".jsonl"), name)
        check_is_alone(browser, page)
        check_is_spoken(browser)
        if name == "real":
            check_real_session(browser, real)
        if name == "everything":
            check_everything(browser)
        if name == "many":
            check_many(browser, page, keep)
        check_colours(browser)
        check_fits(browser, name, keep)
        if name == "everything":
            check_opens_on_a_link(browser, page)


if __name__ == "__main__":
    run_test(test, *sys.argv[1:])
