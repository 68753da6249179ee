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


#: PROJ opens its table anew in a forked process; and what the kernel lost by it.
PROJECTED = """
import geopandas, os, shapely

def held():
    with os.scandir("/proc/self/fd") as listed:
        return {(one.name, os.readlink(one.path)) for one in listed if os.path.lexists(one.path)}

before = {one for one in held() if not one[1].startswith("/")}  # sockets and signals, that stay
seoul = geopandas.GeoSeries([shapely.Point(127, 37.5)], crs=4326).to_crs(5179)
print(round(seoul[0].x), sorted(before - held()))
"""


async def debug(client, command, **arguments):
    """The debugger's answer to one of its requests, as JupyterLab sends them."""
    content = {"type": "request", "seq": 1, "command": command, "arguments": arguments}
    message = client.session.msg("debug_request", content)
    client.control_channel.send(message)
    while True:
        told = await client.get_control_msg(timeout=60)
        if told["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            return told["content"]


async def stopped_at(client):
    """The line at which the debugger stops a cell, stepped on to its end."""
    await debug(
        client,
        "initialize",
        clientID="t",
        adapterID="",
        pathFormat="path",
        linesStartAt1=True,
        columnsStartAt1=True,
    )
    attached = await debug(client, "attach")
    code = "first = 1\nsecond = 2\nthird = first + second"
    source = (await debug(client, "dumpCell", code=code))["body"]["sourcePath"]
    await debug(client, "setBreakpoints", source={"path": source}, breakpoints=[{"line": 2}], lines=[2])
    await debug(client, "configurationDone")
    client.execute(code)
    while True:
        message = await client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "debug_event" and message["content"]["event"] == "stopped":
            break
    thread = message["content"]["body"]["threadId"]
    frames = (await debug(client, "stackTrace", threadId=thread))["body"]["stackFrames"]
    await debug(client, "continue", threadId=thread)
    await debug(client, "disconnect", restart=False, terminateDebuggee=False)
    return [attached["success"], frames[0]["source"]["path"] == source, frames[0]["line"]]


#: What this kernel imported itself, of modules that the template does not have, and what of them `%reset` would keep.
IMPORTED = """
import sys
from civic_kernel.kernel import forked
print({getattr(one, '__file__', None) for one in list(sys.modules.values())} - {*forked._files, None})
print(len(get_ipython()._sys_modules_keys & forked._names) > 1_000)
"""


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
    told["imported"] = (await run(client, IMPORTED))[0].splitlines()
    told["again"] = (await run(client, "print('again')"))[0]
    told["projected"] = (await run(client, PROJECTED))[0].strip()
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
    told["debugged"] = await stopped_at(client)
    told["after"] = (await run(client, "print(third)"))[0]
    last = manager.provisioner.process
    client.stop_channels()
    await manager.shutdown_kernel()
    told["ended"] = last.poll() is not None
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(asyncio.wait_for(story(), 170))))
