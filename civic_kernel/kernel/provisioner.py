"""Kernels forked from the warm template instead of started: ready with all imports in a tenth of the time.

Everything but the launch is jupyter_client's own: connection files, restart, interrupt, shutdown. Without a
template, or for a kernel that is not IPython, this is a plain start.
"""

from __future__ import annotations

import secrets
import signal
import time
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from civic_kernel import warm
from civic_kernel.settings import cold_environment, kernel_environment, warm_socket

_LAUNCHER = ("-m", "ipykernel_launcher")


class WarmProcess:
    """A forked kernel with the few members of `subprocess.Popen` that the provisioner uses.

    Its exit code is unknown: it is not our child. 0 stands for "ended", as in a resumed JupyterHub spawner."""

    stdin = stdout = stderr = None

    def __init__(self, child: warm.Child) -> None:
        self._child = child
        self.pid = child.pid

    def poll(self) -> int | None:
        return None if self._child.is_alive() else 0

    def wait(self, timeout: float | None = None) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if end is not None and time.monotonic() > end:
                raise TimeoutExpired("kernel", timeout or 0)
            time.sleep(0.01)
        return 0

    def send_signal(self, number: int) -> None:
        warm.send_signal(self.pid, self._child.started, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmProvisioner(LocalProvisioner):
    """Entry point `civic-warm` of jupyter_client's kernel provisioners."""

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Sockets by names that only this kernel has, and encrypted, whatever the server was told.

        Jupyter's own way, five ports of the machine chosen now and bound later, loses one to somebody else as soon as
        sixty kernels start at once, and that kernel never comes. Sockets in the person's folder were tried too: their
        paths are longer than the system allows. Names that begin with @ are in no folder (unix(7), abstract), so
        nothing guards them but what is drawn here: unguessable, so that nobody can be there first, and encrypted, or
        whoever connects to the socket that publishes is sent every cell and every output."""
        if _arguments(self.kernel_spec.argv) is not None and self.parent is not None:
            kwargs["transport_encryption"] = "required"
            if self.parent.transport == "tcp":  # not at a restart: whoever is connected stays so
                self.parent.transport = "ipc"
                self.parent.ip = f"@civic-{secrets.token_hex(16)}"
                self.parent.cache_ports = False
        return await super().pre_launch(**kwargs)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        socket = warm_socket()
        arguments = _arguments(cmd)
        if socket and arguments is not None:
            letter = warm.Letter(
                argv=("ipykernel", *arguments),
                env=kernel_environment(kwargs.get("env")),
                cwd=str(kwargs.get("cwd") or Path.cwd()),
            )
            try:
                child = warm.ask(socket, warm.Order(warm.Kind.KERNEL, follows=True), letter, (1, 2))
            except (warm.NoTemplate, warm.Refused) as fault:
                self.log.warning("civic: a kernel starts without the template (%s)", fault or "no answer")
            else:
                self.process = WarmProcess(child)  # type: ignore[assignment]  # Popen by its members
                self.pid = self.pgid = child.pid  # it leads a session of its own
                self.cwd = kwargs.get("cwd", Path.cwd())
                return self.connection_info
        kwargs["env"] = cold_environment(kwargs.get("env"))
        return await super().launch_kernel(cmd, **kwargs)


def _arguments(cmd: list[str]) -> list[str] | None:
    """What follows `-m ipykernel_launcher`; None where the command is another program's."""
    for place in range(len(cmd) - 1):
        if (cmd[place], cmd[place + 1]) == _LAUNCHER and "python" in Path(cmd[0]).name:
            return cmd[place + 2 :]
    return None
