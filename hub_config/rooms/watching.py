"""A room's notebooks as a page to look at: read by a process of the room's user, cleaned here.

All who watch a room share what was read in the last seconds, so that thirty observers cost the room what one does.
"""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Literal

import nh3
from pydantic import BaseModel, ValidationError

from hub_config.members.people import Account
from hub_config.rooms.room_reader import IMAGES, MOST, SECONDS
from hub_config.settings import PYTHON, Settings, checkout_path

#: Seconds for which what was read is still new.
FRESH = 2.0
#: Notebooks remembered; each may be 10 MB.
MOST_KEPT = 20
#: No link: a page that a stranger wrote must lead nowhere.
_TAGS = nh3.ALLOWED_TAGS - {"a", "map", "area", "nav", "header", "footer", "article", "aside"}
_ATTRIBUTES = {
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
}
_PICTURE = re.compile(r"data:image/(png|jpeg|gif|svg\+xml);base64,[A-Za-z0-9+/=\s]*")
_NO_ALT = re.compile(r"<img(?![^>]* alt=)")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")


class Output(BaseModel):
    text: str = ""
    html: str = ""
    image: str = ""
    data: str = ""
    alt: str = ""


class Piece(BaseModel):
    kind: Literal["words", "code", "raw", "more"]
    html: str = ""
    source: str = ""
    outputs: list[Output] = []
    ran_by: str = ""
    ran_at: str = ""


class Listed(BaseModel):
    path: str
    changed: float


class Seen(BaseModel):
    """As hub_config.rooms.room_reader.look says; read from a process that the room may have meddled with."""

    notebooks: list[Listed]
    path: str
    version: str
    fault: Literal["", "too_big", "no_notebook"]
    pieces: list[Piece] | None = None


@dataclass
class View:
    """What a watcher is shown. `changed` is the number of the cell that changed last, from 0; None at first."""

    notebooks: list[Listed] = field(default_factory=list)
    path: str = ""
    version: str = ""
    fault: str = ""
    pieces: list[Piece] = field(default_factory=list)
    changed: int | None = None
    at: float = 0.0


class Watching:
    """`settings` of the workspace; one for the Hub's process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._views: OrderedDict[tuple[str, str], View] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}

    async def look(self, room: Account, path: str) -> View:
        """The notebook `path` of `room`, or the last changed one. At most FRESH seconds old."""
        # One reader a room at a time: a room full of watchers must not start a process for each.
        async with self._locks.setdefault(room.name, asyncio.Lock()):
            known = self._views.get((room.name, path))
            if known is not None and time.monotonic() - known.at < FRESH:
                return known
            view = await self._read(room, path, known or View())
            self._views[room.name, path] = view
            self._views.move_to_end((room.name, path))
            while len(self._views) > MOST_KEPT:
                self._views.popitem(last=False)
            return view

    async def _read(self, room: Account, path: str, before: View) -> View:
        told = await self._ask(room, path, before.version)
        try:
            seen = Seen.model_validate_json(told)
        except ValidationError:
            return View(fault="no_notebook", at=time.monotonic())
        at = time.monotonic()
        if seen.pieces is None:
            if seen.path == before.path:
                before.notebooks, before.at = seen.notebooks, at
                return before
            seen.pieces = []  # two files of one second and size, or a lie
        pieces = await asyncio.to_thread(_clean_all, seen.pieces)
        changed = _first_difference(before.pieces, pieces) if before.path == seen.path else None
        return View(seen.notebooks, seen.path, seen.version, seen.fault, pieces, changed, at)

    async def _ask(self, room: Account, path: str, version: str) -> bytes:
        """What the reader says, or nothing if it says too much or takes too long."""
        identity: dict[str, Any] = {}
        if self._settings.is_root:
            identity = {"user": room.uid, "group": room.uid, "extra_groups": []}
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        checkout = checkout_path()
        if checkout is not None:
            environment["PYTHONPATH"] = str(checkout)
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "-P", "-m", "hub_config.rooms.room_reader"),
            *(str(self._settings.home / "rooms" / room.name), path, version),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,
            **identity,
        )
        assert process.stdout is not None
        told = b""
        try:
            async with asyncio.timeout(2 * SECONDS):
                while chunk := await process.stdout.read(1 << 16):
                    told += chunk
                    if len(told) > 2 * MOST:
                        return b""
                return told if await process.wait() == 0 else b""
        except TimeoutError:
            return b""
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def clean(html: str) -> str:
    """Of a stranger's markup what is text, table or a picture within it: no script, style, form, frame, link, or
    address of anything."""
    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        attribute_filter=_only_pictures_inside,
        url_schemes={"data"},
        link_rel=None,
        generic_attribute_prefixes=set(),
    )
    # Without one a screen reader would read the picture's whole address.
    return _NO_ALT.sub('<img alt=""', cleaned)


def _only_pictures_inside(tag: str, attribute: str, value: str) -> str | None:
    if tag == "img" and attribute == "src" and not _PICTURE.fullmatch(value):
        return None
    return value


def _clean_all(pieces: list[Piece]) -> list[Piece]:
    for piece in pieces:
        piece.html = clean(piece.html)
        for output in piece.outputs:
            output.html = clean(output.html)
            if not re.sub(r"<(?!img)[^>]*>", "", output.html).strip():
                output.html = ""
            if output.image:
                _make_picture(output)
    return pieces


def _make_picture(output: Output) -> None:
    """`data` becomes an address that a picture may have. An SVG's text is one too: as a picture it runs nothing and
    loads nothing."""
    if output.image not in IMAGES:
        output.image = ""
    elif output.image == "image/svg+xml":
        encoded = base64.b64encode(output.data.encode("utf-8", "replace")).decode("ascii")
        output.data = f"data:image/svg+xml;base64,{encoded}"
    elif _BASE64.fullmatch(output.data):
        output.data = f"data:{output.image};base64,{''.join(output.data.split())}"
    else:
        output.image = ""


def _first_difference(before: list[Piece], after: list[Piece]) -> int | None:
    if not before or not after:
        return None
    for number, (old, new) in enumerate(zip(before, after, strict=False)):
        if old != new:
            return number
    return len(after) - 1
