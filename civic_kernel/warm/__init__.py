"""The warm template: one process with the imports done, that forks ready children on request.

Importing pandas, geopandas, folium and JupyterLab costs seconds of processor time and over 100 MB for each
process. Here they are imported once, in a process that holds no secret and no data; seat servers, kernels and
report runs are forked from it.

    template.py  the process: one thread, a unix socket, requests in, children out
    child.py     what a forked child does between the fork and the first line of its own program
    sandbox.py   the room of a report run: no network, no files
    limits.py    memory, processor and process limits (cgroups of either version)
    wire.py      order, letter and reply on the socket
    asking.py    the other end: ask for a child, see whether it still runs

Children outlive the template: each is handed to the nearest process that adopts orphans (the workspace's
supervisor), so a template that dies is replaced while people go on working.
"""

from civic_kernel.warm.asking import Child, NoTemplate, Refused, ask, end_run, is_alive, send_signal
from civic_kernel.warm.limits import Cgroups, find_cgroups
from civic_kernel.warm.wire import Kind, Letter, Limits, Order

__all__ = [
    "Cgroups",
    "Child",
    "Kind",
    "Letter",
    "Limits",
    "NoTemplate",
    "Order",
    "Refused",
    "ask",
    "end_run",
    "find_cgroups",
    "is_alive",
    "send_signal",
]
