"""`python within.py measure STOP_AT | delete`: measures the current folder, or deletes in it.

It is a person's home, and this runs as her. A program of its own, and no function of the Hub's: whoever owns the folder
can put a link where a folder was between one look and the next, nest folders deeper than a process may have files open,
and give files any name. As her own process all this reaches what she reaches anyway. Standard library only;
prints JSON.
"""

from __future__ import annotations

import contextlib
import heapq
import json
import os
import sys
from collections.abc import Iterator

#: What a file costs at least, so that a million empty ones are not free.
LEAST = 4096
#: Files shown to somebody who has to make room: those that make some, and not the notebooks' earlier contents.
MOST_SHOWN, LEAST_SHOWN, KEPT = 20, 1_000_000, ".civic/"


def measure(stop_at: int) -> dict[str, object]:
    """Bytes on disk below the current folder, not counted further once there are more than `stop_at`, and the largest
    files."""
    total = 0
    largest: list[tuple[int, str]] = []
    seen: set[int] = set()
    for path, about in _entries():
        if about.st_ino in seen:  # a second name of one file
            continue
        seen.add(about.st_ino)
        size = max(about.st_blocks * 512, LEAST)
        total += size
        # A name that is no text could not come back in a form.
        if size >= LEAST_SHOWN and path.isprintable() and not path.startswith(KEPT):
            (heapq.heappush if len(largest) < MOST_SHOWN else heapq.heappushpop)(largest, (size, path))
        if total > stop_at:
            break
    return {"bytes": total, "largest": [(path, size) for size, path in sorted(largest, reverse=True)]}


def _entries() -> Iterator[tuple[str, os.stat_result]]:
    waiting = ["."]
    while waiting:
        folder = waiting.pop()
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    about = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    yield entry.path.removeprefix("./"), about


def delete(paths: list[str]) -> None:
    """Deletes those that lie below the current folder. One that cannot be deleted stays."""
    for path in paths:
        if not path.startswith("/") and ".." not in path.split("/"):
            with contextlib.suppress(OSError, ValueError):
                os.unlink(path)


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        json.dump(measure(int(sys.argv[2])), sys.stdout)
    else:
        delete(json.load(sys.stdin))
