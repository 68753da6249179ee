"""`python -P -m civic_kernel.warm SOCKET --uids FIRST END --runs FIRST [--reports UID] [--cgroup NAME]
[--gateway SOCKET] [--processes MOST] [--file MOST_BYTES]`"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from civic_kernel.warm.limits import find_cgroups
from civic_kernel.warm.preload import preload, prepare_environment
from civic_kernel.warm.template import Rules, Template
from civic_kernel.warm.wire import Limits

#: /proc/<pid>/environ of every child shows the environment that this program was started with.
KEPT = {"PATH", "LANG", "LC_CTYPE", "PYTHONPATH"}  # LC_CTYPE: set by Python itself where LANG is C


def main(argv: list[str]) -> int:
    if not os.environ.keys() <= KEPT:
        clean = {name: value for name, value in os.environ.items() if name in KEPT}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], clean)
    parser = argparse.ArgumentParser(prog="civic_kernel.warm")
    parser.add_argument("socket", type=Path)
    parser.add_argument("--uids", type=int, nargs=2, default=(1000, 2**31 - 1))
    parser.add_argument("--runs", type=int, default=2**31 - 1)
    parser.add_argument("--reports", type=int, default=-1)
    parser.add_argument("--cgroup", default="")
    parser.add_argument("--gateway")
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--file", type=int, default=0)
    told = parser.parse_args(argv)
    # Beside the socket, so that the next template finds the list of fonts, and a killed one leaves nothing behind.
    home = told.socket.parent / ".home"
    home.mkdir(mode=0o700, exist_ok=True)
    prepare_environment(str(home))
    # A library may keep a file open for good, in children too, whose own begin at 0.
    low = [os.open(os.devnull, os.O_RDONLY) for _ in range(16)]
    preload()
    for number in low:
        os.close(number)
    cgroups = find_cgroups(told.cgroup) if told.cgroup else None
    limits = Limits(processes=told.processes, file=told.file)
    rules = Rules(told.uids[0], told.uids[1], told.runs, told.reports, limits)
    Template(told.socket, rules, cgroups, told.gateway).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
