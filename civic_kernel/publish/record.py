"""The release record: the fingerprint of every file, under which the approvals stand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from civic_kernel.verify.documents import canonical_bytes, content_id, sha256_hex

RECORD_NAME: Final = "release.json"
SLUG: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+){0,12}")
#: The only names a release may have. A path that a record asks for becomes a path on the server.
_PLACE: Final = re.compile(
    r"(ko|en)/((index|method)\.html|summary\.json|report\.pdf|card\.png)|data/[a-z][a-z0-9-]{1,40}\.(csv|json)"
    r"|answers/ans-[a-z2-7]{26}\.json|policies/[0-9a-f]{64}\.json|parties\.json"
    r"|notebook/[a-z][a-z0-9_]{1,60}(\.schema\.json|\.told\.json|\.ipynb)"
)


def release_id(record: Mapping[str, Any]) -> str:
    return content_id("rel", canonical_bytes(record))


def list_files(folder: Path) -> list[dict[str, Any]]:
    """`[{"path", "sha256", "bytes"}]` of every file under `folder` but the record itself, by path."""
    lines = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if path.is_file() and place != RECORD_NAME:
            data = path.read_bytes()
            lines.append({"path": place, "sha256": sha256_hex(data), "bytes": len(data)})
    return sorted(lines, key=lambda line: str(line["path"]))


def make_record(
    run: Mapping[str, Any],
    *,
    title: Mapping[str, str],
    author: str,
    demonstration: bool,
    policies: list[str],
    files: list[dict[str, Any]],
    answered_at: str,
) -> dict[str, Any]:
    """The record of a report. What says the same is the same release, however often it is run: its moment is that
    of its newest answer, and its slug comes from all the rest of the record, so that a page that reads
    differently (other answers, another template) gets an address of its own."""
    record = {
        "kind": "civic-release",
        "report": run["report"],
        "title": dict(title),
        "author": author,
        "team": run["team"],
        "parameters": run["parameters"],
        "demonstration": demonstration,
        "answers": [answer["answer_id"] for answer in run["answers"]],
        "policies": policies,
        "notebook_sha256": run["notebook_sha256"],
        "files": files,
        "created_at": answered_at,
    }
    mark = sha256_hex(canonical_bytes(record))[:10]
    return {**record, "slug": f"{run['report'].replace('_', '-')}-{mark}"}


def read_record(folder: Path) -> dict[str, Any]:
    """Raises ValueError unless the folder holds a record with a slug and paths that we would write."""
    try:
        record = json.loads((folder / RECORD_NAME).read_text("utf-8"))
    except (OSError, ValueError):
        raise ValueError("no release record") from None
    check_record(record)
    assert isinstance(record, dict)
    return record


def check_record(record: Any) -> None:
    """Raises ValueError for a record that asks for a place outside its own folder, or is none."""
    try:
        places = [str(line["path"]) for line in record["files"]]
        good = record["kind"] == "civic-release" and bool(SLUG.fullmatch(record["slug"]))
        good = good and bool(places) and len(set(places)) == len(places)
        good = good and all(
            _PLACE.fullmatch(place) and ".." not in PurePosixPath(place).parts for place in places
        )
        good = good and all(re.fullmatch("[0-9a-f]{64}", line["sha256"]) for line in record["files"])
        good = good and all(isinstance(record["title"][language], str) for language in ("ko", "en"))
        good = good and {"ko/index.html", "en/index.html"} <= set(places)
    except (KeyError, TypeError):
        good = False
    if not good:
        raise ValueError("not a release record")


def altered_files(folder: Path, record: Mapping[str, Any]) -> list[str]:
    """Paths that the record lists and that are missing, links, or of other bytes."""
    wrong = []
    for line in record["files"]:
        path = folder / line["path"]
        try:
            # A link could point at anything that this user may read.
            whole = not path.is_symlink() and path.resolve().is_relative_to(folder.resolve())
            data = path.read_bytes() if whole else b""
        except OSError:
            whole, data = False, b""
        if not whole or sha256_hex(data) != line["sha256"] or len(data) != line["bytes"]:
            wrong.append(str(line["path"]))
    return wrong
