"""A notebook's life with the installed kernel "civic", run as a person: prints what happened as one JSON object.

A program of its own, since the template forks nobody as root.
"""

import asyncio
import json

from jupyter_client import AsyncKernelManager


async def run(client, code):
    """(streams and traceback as one text, error name) of `code`."""
    number = client.execute(code)
    said, error = "", ""
    while True:
        message = await client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != number:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            said += content["text"]
        if message["msg_type"] == "error":
            error = content["ename"]
            said += "\n".join(content["traceback"])
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return said, error


async def story():
    told = {}
    manager = AsyncKernelManager(kernel_name="civic")
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    await client.wait_for_ready(timeout=60)
    told["process"] = type(manager.provisioner.process).__name__
    first = manager.provisioner.pid
    said, _ = await run(client, "import os; print(f'pid={os.getpid()} uid={os.getuid()}')")
    told["who"], told["pid"] = said, first
    told["again"] = (await run(client, "print('again')"))[0]
    told["name"] = await run(client, "rides")
    told["magic"] = (await run(client, "print('civic' in get_ipython().magics_manager.magics['cell'])"))[
        0
    ].strip()
    font = "import matplotlib; print(matplotlib.rcParams['font.family'], matplotlib.rcParams['axes.unicode_minus'])"
    told["font"] = (await run(client, font))[0].strip()
    waiting = asyncio.create_task(run(client, "import time\ntime.sleep(60)"))
    await asyncio.sleep(1)
    await manager.interrupt_kernel()
    told["interrupted"] = (await asyncio.wait_for(waiting, 20))[1]
    await manager.restart_kernel()
    await client.wait_for_ready(timeout=60)
    told["restarted"] = [manager.provisioner.pid != first, (await run(client, "kept"))[1]]
    last = manager.provisioner.process
    client.stop_channels()
    await manager.shutdown_kernel()
    told["ended"] = last.poll() is not None
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(asyncio.wait_for(story(), 170))))
