"""What runs in a report run's process, forked from the template: the notebook, in a kernel of the same process.

    the channel (a socket of the asker's)   request in: notebook, parameters, token
                                            out: each cell that begins, then the notebook with its outputs, or the fault

The kernel is ipykernel's in-process one: its messages are those of any kernel, without sockets, threads or a second
process, which would cost more than a small report. Papermill drives it through an engine of ours. What comes out is
somebody else's word: notebook and engine share the process, so nothing that the asker must rely on is decided here.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import nbformat
from papermill.engines import Engine, papermill_engines
from papermill.exceptions import PapermillExecutionError

from civic_kernel.reports.channel import Channel

if TYPE_CHECKING:
    from papermill.engines import NotebookExecutionManager

ENGINE = "civic-in-process"
_SHOWN = ("stream", "display_data", "execute_result", "error")


class InProcess(Engine):  # type: ignore[misc]  # papermill ships no types
    """Papermill's engine for a kernel in this process."""

    @classmethod
    def execute_managed_notebook(
        cls, nb_man: NotebookExecutionManager, kernel_name: str, *, began: Any, **_: Any
    ) -> None:
        from ipykernel.inprocess.manager import InProcessKernelManager

        from civic_kernel.kernel.extension import load_ipython_extension

        manager = InProcessKernelManager()
        manager.start_kernel()
        client = manager.client()
        client.start_channels()
        load_ipython_extension(manager.kernel.shell)  # type: ignore[union-attr]  # a started manager has one
        for index, cell in enumerate(nb_man.nb.cells):
            if cell.cell_type != "code" or not cell.source.strip():
                continue
            began(cell)
            nb_man.cell_start(cell, index)
            try:
                _run(client, cell)
            finally:
                nb_man.cell_complete(cell, cell_index=index)
            if any(output.output_type == "error" for output in cell.outputs):
                nb_man.cell_exception(cell, index)
                break


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
        channel.send(execute(told, channel))
    return 0


def execute(told: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Run the notebook; the last message: `executed`, and `failed` where a cell failed (then with what there is up to
    it)."""
    import papermill

    _sign_in(told)
    notebook = nbformat.reads(told["notebook"], as_version=4)
    failed: dict[str, Any] | None = None
    try:
        executed = papermill.execute_notebook(
            notebook,
            None,
            parameters=told["parameters"],
            kernel_name="python3",
            engine_name=ENGINE,
            progress_bar=False,
            request_save_on_cell_execute=False,
            began=lambda cell: channel.send({"cell": cell.get("metadata", {}).get("civic", {})}),
        )
    except PapermillExecutionError as fault:
        failed = {"ename": str(fault.ename), "evalue": str(fault.evalue)}
        executed = notebook
    return {"executed": nbformat.writes(executed), "failed": failed}


def _sign_in(told: dict[str, Any]) -> None:
    """The run's one client: through the gateway's socket in the sandbox, else to its address; or, where a page is run
    again, to its own answers (`evidence`)."""
    import httpx

    import civic_kernel
    from civic_kernel.client import Client

    transport: httpx.BaseTransport | None = None
    if "evidence" in told:
        from civic_kernel.verify.replay import Evidence, Replay

        transport = Replay(Evidence(**told["evidence"]))
    elif told.get("socket"):
        transport = httpx.HTTPTransport(uds=told["socket"])
    http = httpx.Client(
        base_url=told.get("gateway_url", "http://answers"),
        transport=transport,
        timeout=httpx.Timeout(180.0, connect=5.0),
        trust_env=False,
    )
    civic_kernel.connect(
        Client("", told.get("token", ""), told["team"], told["purpose"], told["language"], http=http)
    )
