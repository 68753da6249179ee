"""How much a home holds, what is largest in it, and making room.

No quota of the file system is asked for, since few machines have one set up: a home is measured when its seat starts,
and no single file may outgrow the quota while the seat runs (RLIMIT_FSIZE). A machine with quotas may have them for the
workspace's user numbers as well.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub_config.settings import PYTHON, Settings

MEGABYTE = 1_000_000
PROGRAM = Path(__file__).with_name("within.py")
#: Seconds. What takes longer to count is more than a home should hold.
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Held:
    """What a home holds: bytes on disk, and its largest files by path within it, the largest first."""

    bytes: int
    largest: tuple[tuple[str, int], ...]


def measure(settings: Settings, home: Path, uid: int, stop_at: int = 2**62) -> Held | None:
    """Measures `home`, counting no further once there are more than `stop_at` bytes. None: it could not be measured in
    time. Blocks."""
    if not home.is_dir():
        return Held(0, ())
    try:
        done = _as_owner(settings, home, uid, ["measure", str(stop_at)])
        told = json.loads(done)
    except (subprocess.SubprocessError, OSError, ValueError):
        return None
    return Held(int(told["bytes"]), tuple((path, size) for path, size in told["largest"]))


def is_full(settings: Settings, home: Path, uid: int) -> bool:
    """Whether `home` holds more than the quota, or cannot be measured. Blocks."""
    if not settings.home_quota:
        return False
    most = settings.home_quota * MEGABYTE
    held = measure(settings, home, uid, most)
    return held is None or held.bytes > most


def delete(settings: Settings, home: Path, uid: int, paths: list[str]) -> None:
    """Deletes files of a home by their paths within it. One that cannot be deleted stays, as the page then shows."""
    if home.is_dir():
        _as_owner(settings, home, uid, ["delete"], json.dumps(paths))


def _as_owner(settings: Settings, home: Path, uid: int, words: list[str], given: str = "") -> str:
    owner: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []} if settings.is_root else {}
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [PYTHON, "-I", "-S", str(PROGRAM), *words],
        cwd=home,
        env={},
        input=given,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
        **owner,
    )
    return done.stdout
