# SPDX-License-Identifier: BSD-3-Clause
"""vhostx-switch --metrics as Prometheus asks it: HTTP over TCP or a Unix socket, and the text exposition format."""

import http.client
import re
import socket
import urllib.request

from processes import Failure, check_equal

TIMEOUT_S = 60
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9.e+]+)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\[\\"n])*)",?')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self.path)


def request(where, method="GET", url="/metrics"):
    """(status, headers, body) of one request; `where` as vhostx-switch's ready line has it."""
    if where.startswith("unix:"):
        connection = UnixConnection(where[len("unix:"):])
    else:
        host = re.match(r"http://(.+)/metrics$", where)[1]
        connection = http.client.HTTPConnection(host, timeout=TIMEOUT_S)
    connection.request(method, url)
    response = connection.getresponse()
    answer = response.status, response.headers, response.read().decode()
    connection.close()
    return answer


def urlopen(where):
    with urllib.request.urlopen(where, timeout=TIMEOUT_S) as response:
        return response.read().decode()


def parse(text):
    """{(name, frozenset of labels): value}; fails on a line that is not of the format, or of a family without a type."""
    samples, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            if match is None or match[1] not in types:
                raise Failure(f"no sample: {line!r}")
            labels = LABEL.findall(match[2] or "")
            check_equal("".join(f'{name}="{value}",' for name, value in labels).rstrip(","), match[2] or "", "labels")
            samples[match[1], frozenset(labels)] = float(match[3])
    return samples


def scrape(where):
    status, headers, text = request(where)
    check_equal((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"), "the answer")
    return parse(text)


def value(samples, name, **labels):
    return samples[name, frozenset(labels.items())]


def raw_socket(where):
    """A connection that says nothing yet."""
    if where.startswith("unix:"):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(TIMEOUT_S)
        client.connect(where[len("unix:"):])
        return client
    host, port = re.match(r"http://(.+):([0-9]+)/metrics$", where).groups()
    return socket.create_connection((host, int(port)), timeout=TIMEOUT_S)
