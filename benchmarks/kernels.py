"""A kernel of ours, forked ready, beside the stock one: from asking to the end of a first cell with all imports."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager

from benchmarks.figures import Figure, at_most, median
from civic_kernel.settings import WARM_SOCKET
from hub_config.settings import PYTHON

FIRST_CELL = "import pandas, geopandas, folium, matplotlib.pyplot"
#: The template forks nobody as root; this uid owns nothing and is nobody's.
SOMEBODY = 1_899_999


def kernels(rounds: int) -> list[Figure]:
    """Both kinds in one process, turn about; each round starts a kernel, runs the cell and ends it, untimed."""
    if os.geteuid() == 0:
        return _as_somebody(rounds)
    with _template() as socket:
        os.environ[WARM_SOCKET] = socket
        times: dict[str, list[float]] = {"python3": [], "civic": []}
        for turn in range(rounds + 1):
            for kind, taken in times.items():
                seconds = asyncio.run(_life(kind))
                if turn:  # the first warms the disk's cache
                    taken.append(seconds)
        stock, ours = map(median, times.values())
    return [
        Figure("first cell with all imports, stock kernel", stock, "s"),
        Figure("first cell with all imports, forked kernel", ours, "s"),
        at_most("forked ÷ stock", ours / stock, "×", 0.1),
    ]


async def _life(kind: str) -> float:
    """Seconds from asking for a kernel to its word that the first cell is done.

    As a server does it: one question on the shell's channel, which waits in the socket until the kernel is there.
    `wait_for_ready` was rejected: when all is ready it listens a fifth of a second more for messages to throw away."""
    began = time.perf_counter()
    manager = AsyncKernelManager(kernel_name=kind)
    await manager.start_kernel()
    client = manager.client()
    client.start_channels(stdin=False, hb=False)
    for ask in (client.kernel_info, partial(client.execute, FIRST_CELL)):
        asked = ask()
        while True:
            reply = await client.get_shell_msg(timeout=120)
            if reply["parent_header"].get("msg_id") == asked:
                break
        if reply["content"]["status"] != "ok":
            raise RuntimeError("a first cell failed")
    taken = time.perf_counter() - began
    client.stop_channels()
    await manager.shutdown_kernel(now=True)
    return taken


def _as_somebody(rounds: int) -> list[Figure]:
    """This very function as a user without rights, whose figures come back as JSON lines."""
    import json

    with tempfile.TemporaryDirectory(prefix="civic-bench-kernels-") as folder:
        os.chown(folder, SOMEBODY, SOMEBODY)
        code = (
            "import dataclasses, json, sys; from benchmarks.kernels import kernels\n"
            "print(json.dumps([dataclasses.asdict(f) for f in kernels(int(sys.argv[1]))]))"
        )
        root = Path(__file__).resolve().parents[1]
        done = subprocess.run(
            [PYTHON, "-c", code, str(rounds)],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": folder, "PYTHONPATH": str(root)},
            user=SOMEBODY,
            group=SOMEBODY,
            extra_groups=[],
            stdout=subprocess.PIPE,
            check=True,
        )
        # Kernels write on it as well.
        return [Figure(**each) for each in json.loads(done.stdout.splitlines()[-1])]


@contextmanager
def _template() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="civic-bench-warm-") as folder:
        path = Path(folder) / "s"
        process = subprocess.Popen([PYTHON, "-P", "-m", "civic_kernel.warm", str(path)])
        try:
            while not path.exists():
                if process.poll() is not None:
                    raise RuntimeError("the template ended")
                time.sleep(0.1)
            yield str(path)
        finally:
            process.terminate()
            process.wait()
