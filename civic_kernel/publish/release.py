"""A run becomes a release: its folder under its id, its record with the gateway."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from civic_kernel.publish.gateway import PublicGateway
from civic_kernel.publish.pages import build_release
from civic_kernel.publish.printing import Paper
from civic_kernel.publish.record import release_id
from civic_kernel.publish.screen import Known
from civic_kernel.reports.record import Run
from civic_kernel.texts import Language


def make_release(
    run: Run,
    folder: Path,
    gateway: PublicGateway,
    *,
    author: str,
    known: Known | None = None,
    language: Language = "ko",
    paper: Paper | None = None,
    address: str = "",
) -> tuple[str, Path]:
    """Build the release folder `folder/<release id>` and hand its record in; the id and the folder.

    The files lie in place before the record is handed in: stewards must be able to read what they approve.
    `paper` and `address` are those of `build_release`.
    The same run again gives the same id and leaves the folder that is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".made-", dir=folder))
    try:
        record = build_release(
            run,
            staged / "release",
            gateway.sources(),
            author=author,
            known=known,
            language=language,
            paper=paper,
            address=address,
        )
        identity = release_id(record)
        target = folder / identity
        if not target.exists():
            os.rename(staged / "release", target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    gateway.submit(record)
    return identity, target
