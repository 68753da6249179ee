"""What a seat's or a room's server has beside JupyterLab: earlier notebooks back, work taken home, help asked for.

history.py     earlier contents of notebooks, in one bounded file
keeping.py     when a content is kept: at each save, before it is overwritten, every minute
pages.py       the restore page
handlers.py    its addresses, and those that the buttons call
extension.py   puts them into the server, and forbids its pages every other host
labextension/  the buttons in JupyterLab, written by hand as a module that JupyterLab loads ready-made
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "civic_kernel.lab"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    from civic_kernel.lab.extension import load

    load(server)
