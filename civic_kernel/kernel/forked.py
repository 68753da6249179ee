"""A kernel in a process forked from the template: as any other, but it leaves what it shares with all others alone.

A forked child shares the template's memory until it writes, and to count a reference is to write. Thirty kernels that
each look at every module there is copy half of what they should share.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ipykernel import ipkernel
from ipykernel.kernelapp import IPKernelApp
from IPython.core import shellapp

from civic_kernel.kernel.offline_maps import legend

#: Of the modules that the template imported: their files, which the debugger leaves out where a person steps only
#: through her own code, and their names, which `%reset -s aggressive` leaves alone.
_files: list[str] = []
_names: set[str] = set()


def prepare() -> None:
    """In the template, once all is imported: what every kernel would find out for itself."""
    legend()
    if registry := sys.modules.get("matplotlib.backends.registry"):
        registry.backend_registry.list_all()
    _files[:] = [file for one in list(sys.modules.values()) if (file := getattr(one, "__file__", None))]
    _names.update(sys.modules)


def run(arguments: Sequence[str]) -> int:
    """Be a kernel until it is shut down; its exit code. `arguments` are `ipykernel_launcher`'s."""
    app: Any = IPKernelApp.instance()
    with modules_unlooked_at():
        app.initialize(list(arguments))
    # These very lists: to copy one is to count a reference in each of its thousands of words.
    app.kernel._kernel_modules = _files
    if hasattr(app.kernel, "debugger"):
        app.kernel.debugger.kernel_modules = _files
    app.shell._sys_modules_keys = _names
    if "matplotlib.pyplot" in sys.modules:
        # A shell draws into the notebook from the import of this on; the template imported it for no shell.
        app.shell.enable_matplotlib("inline")
    app.start()
    return 0


class _WithoutModules:
    """`sys`, with an empty table of modules."""

    modules: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(sys, name, value)


@contextmanager
def modules_unlooked_at() -> Iterator[None]:
    """A kernel lists the files of all modules when it is made, for its debugger, and IPython their names: 20 MB of
    copied pages for lists that the template has already. Neither has a setting for it, so while the kernel is made,
    their own `sys` has no modules. Making it without a debugger was rejected: JupyterLab offers one to everybody."""
    ipkernel.sys = shellapp.sys = _WithoutModules()  # type: ignore[assignment,attr-defined]  # restored below
    try:
        yield
    finally:
        ipkernel.sys = shellapp.sys = sys  # type: ignore[attr-defined]
