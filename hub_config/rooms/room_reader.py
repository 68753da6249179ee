"""`python -m hub_config.rooms.room_reader FOLDER PATH VERSION`: what a room's notebook shows, as JSON on stdout.

Runs as the room's own user, so that a link or a name that the room has planted leads to nothing that the room could not
read itself, and so that a notebook made to exhaust its reader exhausts this process and not the Hub. Whoever can write
the notebook can also meddle with this process, being the same user: the Hub believes nothing of what comes out
(hub_config.rooms.watching).
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Bytes of a notebook that is shown; JupyterLab itself becomes slow at this size.
LARGEST = 20_000_000
#: Bytes of what is shown of it altogether, in characters of one text, in cells, and in outputs of one cell.
MOST, LONGEST_TEXT, MOST_CELLS, MOST_OUTPUTS = 10_000_000, 20_000, 500, 30
#: Folders below the room's own, files looked at, and notebooks listed.
DEPTH, MOST_FILES, MOST_LISTED = 4, 20_000, 100
MEMORY, SECONDS = 1 << 30, 10
#: Times that a notebook is read which is being written.
PATIENCE = 5
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/svg+xml")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")

Piece = dict[str, Any]


def list_notebooks(folder: Path) -> list[dict[str, Any]]:
    """`path` below `folder` and `changed` (seconds since 1970) of each notebook, the last changed first. No link is
    followed, nothing hidden is shown."""
    found: list[tuple[float, str]] = []
    waiting, seen = [(folder, 0)], 0
    while waiting and seen < MOST_FILES:
        place, depth = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue
        for entry in entries:
            seen += 1
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False) and depth < DEPTH:
                waiting.append((Path(entry.path), depth + 1))
            elif entry.name.endswith(".ipynb") and entry.is_file(follow_symlinks=False):
                path = Path(entry.path).relative_to(folder).as_posix()
                found.append((entry.stat(follow_symlinks=False).st_mtime, path))
    found.sort(reverse=True)
    return [{"path": path, "changed": changed} for changed, path in found[:MOST_LISTED]]


def read_notebook(file: Path) -> list[Piece]:
    """The pieces to show. Raises OSError, and ValueError for what is no notebook."""
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as opened:
        text = opened.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise ValueError("too_big")
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise ValueError("no_notebook")
    pieces: list[Piece] = []
    left = MOST
    for cell in document["cells"][:MOST_CELLS]:
        if not isinstance(cell, dict):
            raise ValueError("no_notebook")
        piece = _piece(cell)
        left -= len(json.dumps(piece))
        if left < 0:
            break
        pieces.append(piece)
    if len(pieces) < len(document["cells"]):
        pieces.append({"kind": "more"})
    return pieces


def _read_patiently(file: Path) -> list[Piece]:
    """A server writes into the file itself, so that for a moment it is empty or half there."""
    for _ in range(PATIENCE):
        try:
            return read_notebook(file)
        except json.JSONDecodeError:
            if time.time() - file.lstat().st_mtime > 2:
                break
            time.sleep(0.2)
    return read_notebook(file)


def _piece(cell: dict[str, Any]) -> Piece:
    source = _text(cell.get("source"))
    if cell.get("cell_type") == "markdown":
        return {"kind": "words", "html": _markdown(source)}
    if cell.get("cell_type") != "code":
        return {"kind": "raw", "source": source}
    outputs = cell.get("outputs")
    shown = [_output(o) for o in (outputs if isinstance(outputs, list) else [])[:MOST_OUTPUTS]]
    return {"kind": "code", "source": source, "outputs": shown, **_who_ran(cell)}


def _who_ran(cell: dict[str, Any]) -> dict[str, str]:
    """What the room's server noted in the cell (civic_kernel.rooms)."""
    metadata = cell.get("metadata")
    note = metadata.get("civic") if isinstance(metadata, dict) else None
    if not isinstance(note, dict):
        return {}
    return {key: _text(note.get(key))[:80] for key in ("ran_by", "ran_at") if note.get(key)}


def _output(output: Any) -> Piece:
    if not isinstance(output, dict):
        raise ValueError("no_notebook")
    if output.get("output_type") == "stream":
        return {"text": _plain(output.get("text"))}
    if output.get("output_type") == "error":
        lines = output.get("traceback")
        return {"text": _plain("\n".join(map(str, lines)) if isinstance(lines, list) else "")}
    data = output.get("data")
    if not isinstance(data, dict):
        return {"text": ""}
    for kind in IMAGES:
        if kind in data:
            return {"image": kind, "data": _whole(data[kind]), "alt": _alt(output)}
    if "text/html" in data:
        return {"html": _whole(data["text/html"])}
    if "text/markdown" in data:
        return {"html": _markdown(_text(data["text/markdown"]))}
    return {"text": _plain(data.get("text/plain"))}


def _alt(output: dict[str, Any]) -> str:
    metadata = output.get("metadata")
    for part in metadata.values() if isinstance(metadata, dict) else ():
        if isinstance(part, dict) and isinstance(part.get("alt"), str):
            return str(part["alt"])[:1000]
    return ""


def _whole(value: Any) -> str:
    """A text as notebooks keep it: one string or its lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def _text(value: Any) -> str:
    return _whole(value)[:LONGEST_TEXT]


def _plain(value: Any) -> str:
    """The end of it, where a result stands, without a terminal's colours."""
    return _ANSI.sub("", _whole(value)[-LONGEST_TEXT:])


def _markdown(source: str) -> str:
    import mistune

    class Renderer(mistune.HTMLRenderer):
        def heading(self, text: str, level: int, **attrs: Any) -> str:
            # The page has a heading of its own above the notebook's.
            return super().heading(text, min(level + 1, 6))

    return str(mistune.create_markdown(renderer=Renderer(escape=False), plugins=["table"])(source))


def look(folder: Path, path: str, version: str) -> dict[str, Any]:
    """`notebooks`; `path` of the one shown (the last changed one for an empty `path`, empty where there is none); its
    `version`; `pieces`, absent if that is the version asked with; `fault`, if it cannot be shown."""
    notebooks = list_notebooks(folder)
    found: dict[str, Any] = {"notebooks": notebooks, "path": "", "version": "", "fault": ""}
    listed = [entry["path"] for entry in notebooks]
    if not listed or (path and path not in listed):
        return {**found, "pieces": []}
    shown = path or listed[0]
    found["path"] = shown
    try:
        state = (folder / shown).lstat()
        found["version"] = f"{state.st_mtime_ns:x}-{state.st_size:x}"
        if found["version"] == version:
            return found
        return {**found, "pieces": _read_patiently(folder / shown)}
    except (OSError, ValueError, RecursionError, MemoryError) as fault:
        reason = str(fault) if str(fault) in ("too_big", "no_notebook") else "no_notebook"
        return {**found, "pieces": [], "fault": reason}


def limits() -> Iterator[tuple[int, int]]:
    yield resource.RLIMIT_AS, MEMORY
    yield resource.RLIMIT_CPU, SECONDS
    yield resource.RLIMIT_FSIZE, 0
    yield resource.RLIMIT_CORE, 0


if __name__ == "__main__":
    for limit, most in limits():
        resource.setrlimit(limit, (most, most))
    os.nice(10)
    json.dump(look(Path(sys.argv[1]), sys.argv[2], sys.argv[3]), sys.stdout)
