"""A kernel of ours, forked ready, beside the stock one: from asking to the end of a first cell with all imports."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_client.manager import AsyncKernelManager

from benchmarks.figures import Figure, at_most, interleaved, median
from civic_kernel.settings import WARM_SOCKET
from hub_config.settings import PYTHON

FIRST_CELL = "import pandas, geopandas, folium, matplotlib.pyplot"
#: The template forks nobody as root; this uid owns nothing and is nobody's.
SOMEBODY = 1_899_999


def kernels(rounds: int) -> list[Figure]:
    """Both kinds in one process, turn about; each round starts a kernel, runs the cell and ends it."""
    if os.geteuid() == 0:
        return _as_somebody(rounds)
    with _template() as socket:
        ways: list[Callable[[], object]] = [lambda: _life("python3"), lambda: _life("civic")]
        os.environ[WARM_SOCKET] = socket
        interleaved(ways, 1)
        stock, ours = map(median, interleaved(ways, rounds))
    return [
        Figure("first cell with all imports, stock kernel", stock, "s"),
        Figure("first cell with all imports, forked kernel", ours, "s"),
        at_most("forked ÷ stock", ours / stock, "×", 0.1),
    ]


def _life(kernel: str) -> None:
    async def story() -> None:
        manager = AsyncKernelManager(kernel_name=kernel)
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=120)
        reply = await client.execute_interactive(FIRST_CELL, timeout=120, output_hook=lambda _: None)
        if reply["content"]["status"] != "ok":
            raise RuntimeError("a first cell failed")
        client.stop_channels()
        await manager.shutdown_kernel(now=True)

    asyncio.run(story())


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
