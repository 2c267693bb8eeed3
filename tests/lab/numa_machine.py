# SPDX-License-Identifier: BSD-3-Clause
"""A machine with several NUMA nodes, and what its kernel says of where memory and threads are.

Each node has its own memory, huge pages and a CPU, node 0 has two; QEMU is one thread a CPU. Nothing here believes what the program
under test says: pages come from /proc/PID/numa_maps, CPUs from /proc/PID/task/TID/status.
"""

import re
from collections import Counter

from host_root import HostRootMachine
from processes import Failure, Skip, check

CPU_OF_GUESTS = 0  # where the switch has its main thread, which sleeps; its workers get the others


class NumaMachine(HostRootMachine):
    """memory_mib and huge_pages (of 2 MiB) are each node's."""

    def __init__(self, bench, name, nodes=2, memory_mib=448, huge_pages=80, modules=(), arguments=()):
        self.nodes, self.memory_mib = nodes, memory_mib
        layout = []
        for node in range(nodes):
            cpus = "0-1" if node == 0 else node + 1
            layout += ["-object", f"memory-backend-memfd,id=m{node},size={memory_mib}M,share=on"]
            layout += ["-numa", f"node,nodeid={node},memdev=m{node},cpus={cpus}"]
        super().__init__(bench, name, cpus=nodes + 1, memory_mib=nodes * memory_mib, huge_pages=huge_pages, modules=modules,
                         arguments=[*layout, *arguments])  # fmt: skip

    def reserve_huge_pages(self):
        for node in range(self.nodes):
            self.set_huge_pages(node, self.huge_pages)

    def set_huge_pages(self, node, pages):
        folder = self._huge_pages_of(node)
        if self.try_run(f"test -d {folder}")[0] != 0:
            raise Skip("the virtual machine's kernel has no NUMA nodes, or no huge pages")
        got = int(self.run(f"echo {pages} >{folder}/nr_hugepages; cat {folder}/nr_hugepages"))
        check(got == pages, f"node {node} has {got} huge pages, expected {pages}")

    def make_huge_pages_of_the_rest(self, node):
        """Of the node's free memory: as many as its kernel finds room for."""
        self.run(f"echo {self.memory_mib} >{self._huge_pages_of(node)}/nr_hugepages")

    @staticmethod
    def _huge_pages_of(node):
        return f"/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB"

    def node_of_cpu(self, cpu):
        return max(cpu - 1, 0)

    def cpus_of_thread(self, pid, tid):
        """CPUs that it may run on."""
        said = self.run(f"grep Cpus_allowed_list /proc/{pid}/task/{tid}/status").split()[1]
        cpus = set()
        for word in said.split(","):
            first, _, last = word.partition("-")
            cpus |= set(range(int(first), int(last or first) + 1))
        return cpus

    def address_space(self, pid):
        return AddressSpace(self.fetch(f"cat /proc/{pid}/maps"), self.fetch(f"cat /proc/{pid}/numa_maps"))


class AddressSpace:
    """A process's mappings, each with its pages by node."""

    def __init__(self, maps, numa_maps):
        pages_at = {}
        for line in numa_maps.splitlines():
            address, *words = line.split()
            pages = {int(node): int(count) for node, count in re.findall(r"\bN(\d+)=(\d+)", " ".join(words))}
            pages_at[int(address, 16)] = pages
        self.mappings = []  # (begin, end, name, {node: pages})
        for line in maps.splitlines():
            words = line.split(None, 5)
            begin, end = (int(word, 16) for word in words[0].split("-"))
            self.mappings.append((begin, end, words[5] if len(words) > 5 else "", pages_at.get(begin, {})))

    def named(self, text):
        """(begin, end) of the mappings whose name has the text in it."""
        return [(begin, end) for begin, end, name, _ in self.mappings if text in name]

    def pages(self, areas):
        """{node: pages} of the mappings in which the areas [(begin, end)] lie."""
        counts, seen = Counter(), set()
        for begin, end in areas:
            held = [mapping for mapping in self.mappings if mapping[0] < end and begin < mapping[1]]
            if not held:
                raise Failure(f"nothing is mapped at {begin:#x} to {end:#x}")
            for mapping in held:
                if mapping[0] not in seen:
                    seen.add(mapping[0])
                    counts.update(mapping[3])
        return dict(counts)


def areas_of(described):
    """(begin, end) of what the switch's JSON describes as [{"address": "0x..", "bytes": N}]."""
    return [(int(one["address"], 16), int(one["address"], 16) + one["bytes"]) for one in described]
