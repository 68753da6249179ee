"""What runs in a process forked from the template: a notebook, its rehearsal, or the making of a page.

    the channel (a socket of the asker's)
    run       in: notebook, parameters, token; out: the notebook with its parameters, then each cell that begins and,
              when it has ended, its outputs, and at the end `failed`
    rehearse  in: notebook, parameters of many runs, token; out: for each what it asked of made-up rows
    page      in: a finished run and public documents, no token to ask with; out: the page's files

A run's kernel is ipykernel's in-process one: its messages are those of any kernel, without sockets, threads or a second
process, which would cost more than a small report. Papermill drives it through an engine of ours. What comes out of a
run is somebody else's word: notebook and engine share the process, so nothing that the asker must rely on is decided
here. The notebook's cells go out before the first of them runs, and from then on only outputs are believed to be what
they are.
"""

from __future__ import annotations

import base64
import gc
import resource
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from civic_kernel.reports.channel import Channel

if TYPE_CHECKING:
    import httpx
    from papermill.engines import NotebookExecutionManager

    from civic_kernel.client import Client

ENGINE = "civic-in-process"
#: Of the twin, in a rehearsal: one page of the gateway's. The questions are the same with many rows or few.
ROWS = 20_000
_SHOWN = ("stream", "display_data", "execute_result", "error")


class InProcess(Engine):  # type: ignore[misc]  # papermill ships no types
    """Papermill's engine for a kernel in this process."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, *, channel: Channel, **_: Any
    ) -> None:
        from ipykernel.inprocess.manager import InProcessKernelManager

        from civic_kernel.kernel.extension import load_ipython_extension
        from civic_kernel.kernel.forked import modules_unlooked_at

        channel.send({"notebook": nbformat.writes(nb_man.nb)})
        manager = InProcessKernelManager()
        with modules_unlooked_at():
            manager.start_kernel()
        client = manager.client()
        client.start_channels()
        shell = manager.kernel.shell  # type: ignore[union-attr]  # a started manager has one
        load_ipython_extension(shell)
        if "matplotlib.pyplot" in sys.modules:
            # As in forked kernels (civic_kernel.warm.child): the template imported it for no shell.
            shell.enable_matplotlib("inline")
        for index, cell in enumerate(nb_man.nb.cells):
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            channel.send({"begins": index})
            nb_man.cell_start(cell, index)
            started = time.perf_counter()
            try:
                _run(client, cell)
            finally:
                nb_man.cell_complete(cell, cell_index=index)
            channel.send(
                {
                    "ended": index,
                    "outputs": cell.outputs,
                    "count": cell.execution_count or 0,
                    "seconds": time.perf_counter() - started,
                }
            )
            if any(output.output_type == "error" for output in cell.outputs):
                nb_man.cell_exception(cell, index)
                break
            # Papermill writes the notebook at the end, though to nowhere: megabytes of maps, for nobody.
            cell.outputs = []


def _run(client: Any, cell: Any) -> None:
    """Executes the cell; its outputs are what the kernel published, in order."""
    cell.outputs = []
    client.execute(cell.source, store_history=True)
    shown: dict[str, list[Any]] = {}
    while client.iopub_channel.msg_ready():
        message = client.get_iopub_msg(timeout=0)
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "execute_input":
            cell.execution_count = content["execution_count"]
        elif kind == "clear_output":
            cell.outputs = []
        elif kind == "update_display_data":
            for output in shown.get(content.get("transient", {}).get("display_id"), []):
                output.data, output.metadata = content["data"], content["metadata"]
        elif kind in _SHOWN:
            output = nbformat.v4.output_from_msg(message)
            last = cell.outputs[-1] if cell.outputs else None
            if (
                last is not None
                and last.output_type == output.output_type == "stream"
                and last.name == output.name
            ):
                last.text += output.text
                continue
            cell.outputs.append(output)
            name = content.get("transient", {}).get("display_id")
            if name:
                shown.setdefault(name, []).append(output)


papermill_engines.register(ENGINE, InProcess)


def main(descriptor: int) -> int:
    """Serve one request on the channel and end."""
    with socket.socket(fileno=descriptor) as connection:
        channel = Channel(connection)
        told = channel.receive()
        if told is None:
            return 1
        _bound_memory(told["memory"])
        # A process that ends in seconds: to look for cycles as often as Python does took a fifth of a page's time.
        gc.set_threshold(100_000, 20, 20)
        {"run": execute, "rehearse": rehearse, "page": make_page}[told["work"]](told, channel)
    return 0


def _bound_memory(size: int) -> None:
    """A cell that asks for more than `size` bytes of address space gets a MemoryError, instead of being ended from
    outside without a word. Of each process alone: all of a run's together are the asker's to watch."""
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


def execute(told: dict[str, Any], channel: Channel) -> None:
    """Run the notebook. The last message: `failed`, where a cell raised."""
    import papermill

    _sign_in(told)
    failed: dict[str, Any] | None = None
    try:
        papermill.execute_notebook(
            nbformat.reads(told["notebook"], as_version=4),
            None,
            parameters=told["parameters"],
            kernel_name="python3",
            engine_name=ENGINE,
            progress_bar=False,
            # Papermill would save the whole notebook before and after each cell.
            request_save_on_cell_execute=False,
            channel=channel,
        )
    except PapermillExecutionError as fault:
        failed = {"ename": str(fault.ename), "evalue": str(fault.evalue)}
    channel.send({"failed": failed})


def rehearse(told: dict[str, Any], channel: Channel) -> None:
    """Run the notebook on made-up rows, once for each of the parameters, and tell what it asked."""
    for found in rehearse_each(told["notebook"], told["parameters"], _sign_in(told)):
        channel.send({"rehearsed": found})
    channel.send({"done": True})


def rehearse_each(
    source: str, parameters: Sequence[Mapping[str, Any]], client: Client
) -> Iterator[dict[str, Any]]:
    """What each run of the notebook asks: `{"asked": …, "stopped": …}`, as `forked.rehearse` has it."""
    import papermill

    from civic_kernel.rehearsing import Remembering, code_cells
    from civic_kernel.rehearsing import rehearse as run_through

    client = Remembering(client)
    for values in parameters:
        notebook = papermill.execute_notebook(
            nbformat.reads(source, as_version=4),
            None,
            parameters=dict(values),
            kernel_name="python3",
            engine_name=ENGINE,
            prepare_only=True,
        )
        cells = code_cells(nbformat.writes(notebook))
        found = run_through(cells, Path.cwd(), client, rows=ROWS, go_on=True)
        asked = [{"plan": one.plan, "spend": one.spend, "purpose": one.purpose} for one in found.asked]
        yield {"asked": asked, "stopped": [vars(fault) for fault in found.faults]}


def make_page(told: dict[str, Any], channel: Channel) -> None:
    """`run` has `record`, `source`, `schema` and `executed` as texts; `policies` and `parties` are the gateway's;
    `author`, and what the screen looks for: `secrets`, `paths`, `people`. Out go `files` (base64), or `refused`."""
    import json

    from civic_kernel.errors import CivicError
    from civic_kernel.publish.pages import Sources, build_release
    from civic_kernel.publish.screen import Known
    from civic_kernel.reports.record import Run

    run = told["run"]
    try:
        build_release(
            Run(
                json.loads(run["record"]),
                run["source"].encode("utf-8"),
                run["schema"].encode("utf-8"),
                nbformat.from_dict(json.loads(run["executed"])),
            ),
            Path("page"),
            Sources(told["policies"], told["parties"]),
            author=told["author"],
            known=Known(tuple(told["secrets"]), tuple(told["paths"]), tuple(told["people"])),
            language=told["language"],
        )
    except CivicError as refused:
        channel.send({"refused": refused.as_dict()})
        return
    files = sorted(path for path in Path("page").rglob("*") if path.is_file())
    channel.send(
        {
            "files": {
                path.relative_to("page").as_posix(): base64.b64encode(path.read_bytes()).decode("ascii")
                for path in files
            }
        }
    )


def _sign_in(told: dict[str, Any]) -> Client:
    """The run's one client: through the gateway's socket in the sandbox, else to its address; or, where a page is run
    again, to its own answers (`evidence`)."""
    import civic_kernel
    from civic_kernel.calling import open_http, socket_transport
    from civic_kernel.client import Client

    transport: httpx.BaseTransport | None = None
    if "evidence" in told:
        from civic_kernel.verify.replay import Evidence, Replay

        transport = Replay(Evidence(**told["evidence"]))
    elif told.get("socket"):
        transport = socket_transport(told["socket"])
    http = open_http(told.get("gateway_url", "http://answers"), transport)
    return civic_kernel.connect(
        Client("", told.get("token", ""), told["team"], told["purpose"], told["language"], http=http)
    )
