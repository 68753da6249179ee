"""A kernel in a process forked from the template: as any other, but it leaves what it shares with all others alone.

A forked child shares the template's memory until it writes, and to count a reference is to write. Thirty kernels that
each look at every module there is copy half of what they should share.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from ipykernel import ipkernel
from ipykernel.kernelapp import IPKernelApp

#: Files of the modules that the template imported. The debugger leaves them out where a person steps only through her
#: own code.
_files: list[str] = []


def remember_modules() -> None:
    """In the template, once all is imported."""
    _files[:] = [file for one in list(sys.modules.values()) if (file := getattr(one, "__file__", None))]


def run(arguments: Sequence[str]) -> int:
    """Be a kernel until it is shut down; its exit code. `arguments` are `ipykernel_launcher`'s."""
    app = IPKernelApp.instance()
    with _modules_unlooked_at():
        app.initialize(list(arguments))
    app.kernel._kernel_modules[:] = _files
    if "matplotlib.pyplot" in sys.modules:
        # A shell draws into the notebook from the import of this on; the template imported it for no shell.
        app.shell.enable_matplotlib("inline")
    app.start()
    return 0


@contextmanager
def _modules_unlooked_at() -> Iterator[None]:
    """A kernel lists the files of all modules when it is made, for its debugger: 16 MB of copied pages for a list that
    the template has already. ipykernel has no setting for it, so while its kernel is made, its module's `sys` has an
    empty table of modules. Making the kernel without a debugger was rejected: JupyterLab offers it to everybody."""
    stand_in = ModuleType("sys")
    stand_in.__dict__.update(vars(sys), modules={})
    ipkernel.sys = stand_in  # type: ignore[assignment]  # restored below
    try:
        yield
    finally:
        ipkernel.sys = sys
