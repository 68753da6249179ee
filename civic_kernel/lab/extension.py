"""Puts our addresses and hooks into a Jupyter server, and forbids its pages every host but the workspace's."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tornado.web import GZipContentEncoding

from civic_kernel.lab.forms.addresses import ADDRESSES
from civic_kernel.lab.handlers import (
    ButtonsHandler,
    DataHandler,
    HelpHandler,
    LookHandler,
    RestoreHandler,
    TakeHomeHandler,
)
from civic_kernel.lab.history import History
from civic_kernel.lab.keeping import Keeper
from civic_kernel.lab.place import read_place

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

#: Nothing from outside, by construction. JupyterLab makes code from text ('unsafe-eval') and carries styles in tags;
#: a map in an output is a document of its own with its script in it, which inherits this.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' data: blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


class Packed(GZipContentEncoding):
    """Tornado packs at level 6; 3 takes half the time for a tenth more bytes."""

    GZIP_LEVEL = 3


def load(server: ServerApp) -> None:
    root = Path(server.root_dir)
    history = History(Path.home() / ".civic" / "history.sqlite", time.time)
    keeper = Keeper(history, root, server.log)
    contents = server.contents_manager
    contents.register_pre_save_hook(keeper.before_save)
    contents.register_post_save_hook(keeper.after_save)
    contents.event_logger.add_listener(schema_id=contents.event_schema_id, listener=keeper.told)
    server.io_loop.add_callback(lambda: _keep(asyncio.ensure_future(keeper.look_every_minute())))

    # JupyterLab's scripts are seven megabytes, and thirty laptops come at once through one room's Wi-Fi.
    server.web_app.add_transform(Packed)
    server.web_app.settings.setdefault("headers", {})["Content-Security-Policy"] = POLICY
    given = {"keeper": keeper, "place": read_place()}
    base = server.base_url
    server.web_app.add_handlers(
        ".*$",
        [
            (f"{base}civic/{address}", handler, given)
            for address, handler in (
                ("restore", RestoreHandler),
                ("restore/look", LookHandler),
                ("buttons", ButtonsHandler),
                ("help", HelpHandler),
                ("data", DataHandler),
                ("take-home", TakeHomeHandler),
                *ADDRESSES,
            )
        ],
    )


#: An asyncio task that nothing refers to may be collected while it sleeps.
_tasks: set[asyncio.Future[None]] = set()


def _keep(task: asyncio.Future[None]) -> None:
    _tasks.add(task)
