"""What a team's room has beside what every seat has: who ran which cell, a bounded store of its shared documents, and
nothing lost when another program writes a notebook that is open.

A server extension; the two classes besides are named in the room's arguments (hub_config/spawners.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "civic_kernel.rooms"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    from civic_kernel.rooms.second_writer import keep_before_overwriting
    from civic_kernel.rooms.unsaved import save_what_the_store_has

    keep_before_overwriting()
    save_what_the_store_has()
