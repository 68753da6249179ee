"""The citizen site: only files whose hashes stand in a record that both sides have approved.

    public/index.html                       leads to the reader's language
    public/{ko,en}/, public/latest/         all reports, and all versions of each (`lists`)
    public/reports/<slug>/{ko,en}/…         one release: renamed into place whole, then never changed
    public/reports/<slug>/status/{ko,en}.html   approvals and what came afterwards; replaced file by file
    public/reports/<slug>/status/…          what a reader checks the release with, and all of it as one ZIP (`evidence`)
    public/records/*.json                   ledger, events, head, register, policies, witnesses: `civic ledger verify`

A kill at any moment leaves whole pages: a release's folder appears by one rename, every other file by one
replace, and the lists that lead to a release are written after it. Nothing of the gateway's word is believed:
the register, both approvals and every byte are checked here again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from civic_kernel.publish import evidence
from civic_kernel.publish.layout import render
from civic_kernel.publish.lists import Shown, lists
from civic_kernel.publish.record import RECORD_NAME, altered_files, check_record, release_id
from civic_kernel.publish.summary import read_summary, series
from civic_kernel.publish.tables import json_bytes
from civic_kernel.publish.words import day_in_words
from civic_kernel.texts import LANGUAGES, Language, text
from civic_kernel.verify.documents import (
    Key,
    canonical_bytes,
    check_approvals,
    read_register,
    sha256_hex,
    spelled,
)
from civic_kernel.verify.records import Records, record_bytes


@dataclass(frozen=True)
class Listed:
    """One release that is on the site, and who approved it."""

    id: str
    record: Mapping[str, Any]
    approvals: Sequence[Mapping[str, Any]]
    approvers: Sequence[Key]
    #: The gateway's word, and no more than an order among equals rests on it.
    approved_at: str = ""


@dataclass(frozen=True)
class Built:
    """What a build did: releases on the site, and `(release, reason key)` for those that were kept off it."""

    listed: Sequence[Listed]
    refused: Sequence[tuple[str, str]]


def build_site(
    releases: Iterable[Mapping[str, Any]],
    folders: Sequence[Path],
    parties: Mapping[str, Any],
    public: Path,
    staging: Path,
    *,
    on: date | None = None,
    records: Records | None = None,
    address: str = "",
) -> Built:
    """Put every approved release on the site `public`, from whichever of `folders` holds its very bytes.

    With `records` their files are put beside the reports, and the lists say when each side last signed the chain.
    `address` is the site's own, where it has one that others can reach: feed and previews of links need it.

    `releases` are `{"release_id", "record", "approvals"}` as the gateway gives them; `folders` are release
    folders. `staging` must be on `public`'s file system and not be served. Raises ValueError where the
    register of parties is not whole: then nobody's approval can be checked and nothing is changed.
    """
    on = on or datetime.now(UTC).date()
    keys = read_register(parties, on)
    for folder in (public, staging):
        folder.mkdir(parents=True, exist_ok=True)
    _sweep(staging)
    listed: list[Listed] = []
    refused: list[tuple[str, str]] = []
    for release in sorted(releases, key=lambda line: str(line.get("release_id"))):
        identity = str(release.get("release_id"))[:40]
        try:
            found = _checked(release, keys, on)
        except (ValueError, KeyError, TypeError):
            refused.append((identity, "approval"))
            continue
        if not _place(found, folders, public, staging):
            refused.append((identity, "file"))
            continue
        listed.append(found)
    # By what is signed; of two versions made from the same answers the one that was approved later.
    listed.sort(key=lambda line: (line.record["created_at"], line.approved_at, line.id), reverse=True)
    _write_lists(listed, public, staging, records, address.rstrip("/"))
    return Built(listed, refused)


def _checked(release: Mapping[str, Any], keys: Mapping[str, Key], on: date) -> Listed:
    record = release["record"]
    check_record(record)
    if release_id(record) != release["release_id"]:
        raise ValueError("a release's id is not the hash of its record")
    approvals = [{part: line[part] for part in ("key_id", "ed25519")} for line in release["approvals"]]
    moment = max(str(line.get("approved_at", "")) for line in release["approvals"])
    return Listed(
        release["release_id"], record, approvals, check_approvals(record, approvals, keys, on), moment
    )


# --- a release's folder ---


def _place(found: Listed, folders: Sequence[Path], public: Path, staging: Path) -> bool:
    """Whether the release's files stand on the site, after putting them there if need be."""
    target = public / "reports" / found.record["slug"]
    if target.exists():
        # Permanent: another record under this slug, or bytes changed in place, keep it off the lists.
        return _same_record(target, found) and not altered_files(target, found.record)
    source = next((f for f in folders if _same_record(f, found) and not altered_files(f, found.record)), None)
    if source is None:
        return False
    staged = Path(tempfile.mkdtemp(prefix="release-", dir=staging))
    try:
        for line in found.record["files"]:
            data = (source / line["path"]).read_bytes()
            if (
                sha256_hex(data) != line["sha256"]
            ):  # the bytes that are written are the bytes that were checked
                return False
            _write(staged / line["path"], data)
        _write(staged / RECORD_NAME, json_bytes(found.record))
        for language in LANGUAGES:
            _write(staged / "status" / f"{language}.html", _status_page(found, language))
        staged.chmod(0o755)
        _sync(staged)
        target.parent.mkdir(exist_ok=True)
        os.rename(staged, target)
        return True
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _same_record(folder: Path, found: Listed) -> bool:
    import json

    try:
        there = json.loads((folder / RECORD_NAME).read_text("utf-8"))
        return canonical_bytes(there) == canonical_bytes(found.record)
    except (OSError, ValueError, TypeError):
        return False


# --- pages of the site's own ---


def _write_lists(
    listed: Sequence[Listed], public: Path, staging: Path, records: Records | None, address: str
) -> None:
    if records is not None:
        # The head last: a reader who comes in between finds more than it promises, never less.
        for name, document in sorted(records.documents().items(), key=lambda line: line[0] == "head"):
            _replace(public / "records" / f"{name}.json", record_bytes(document), staging)
        _replace(public / "records" / "records.js", evidence.records_script(records), staging)
    later: dict[str, Listed] = {}
    for line in listed:  # newest first
        folder = public / "reports" / line.record["slug"] / "status"
        after = later.get(series(line.record))
        later[series(line.record)] = line
        for language in LANGUAGES:
            _replace(folder / f"{language}.html", _status_page(line, language, after), staging)
        approvals = {"release_id": line.id, "approvals": list(line.approvals)}
        _replace(folder / "approvals.json", json_bytes(approvals), staging)
        _write_evidence(folder, line, records, staging)
    shown = [_shown(line, public) for line in listed]
    for place, data in lists(shown, address, records, public).items():
        _replace(public / place, data, staging)


def _write_evidence(folder: Path, line: Listed, records: Records | None, staging: Path) -> None:
    """What a reader checks the page with; the ZIP last, since it holds the rest of `folder`."""
    found = evidence.evidence_script(folder.parent, line.id, line.record, line.approvals)
    _replace(folder / evidence.EVIDENCE, found, staging)
    others = (path for path in folder.iterdir() if path.name != evidence.BUNDLE)
    status = {path.name: path.read_bytes() for path in others}
    _replace(folder / evidence.BUNDLE, evidence.bundle(folder.parent, line.record, status, records), staging)


def _shown(line: Listed, public: Path) -> Shown:
    folder = public / "reports" / line.record["slug"]
    return Shown(
        id=line.id,
        slug=line.record["slug"],
        series=series(line.record),
        made_at=line.record["created_at"],
        demonstration=line.record["demonstration"],
        summaries={language: read_summary(folder, line.record, language) for language in LANGUAGES},
    )


def _status_page(line: Listed, language: Language, after: Listed | None = None) -> bytes:
    """`after` is the version of the same report that follows this one, where there is one."""
    say = partial(text, language, "citizen")
    approvers = []
    for key in line.approvers:
        side = say(f"status.side.{key.side}")
        words = say("status.signer", party=key.title[language], side=side)
        approvers.append(
            {
                "words": f"{words} · {say('status.demo')}" if key.demo else words,
                "fingerprint": spelled(key.id),
                "prints": key.prints.get(language, ""),
            }
        )
    return render(
        "status.html.j2",
        language,
        title=line.record["title"][language],
        approvers=approvers,
        author=line.record["author"],
        release=line.id,
        count=len(line.record["files"]),
        demonstration=line.record["demonstration"],
        made=day_in_words(line.record["created_at"], language),
        after=after
        and {
            "date": day_in_words(after.record["created_at"], language),
            "address": f"../../{after.record['slug']}/{language}/index.html",
        },
        all_versions=f"../../../latest/{series(line.record)}/{language}/index.html",
    )


# --- files ---


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o644)


def _replace(path: Path, data: bytes, staging: Path) -> None:
    """`path` with `data`, by one replace; untouched where it already says so."""
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix="file-", dir=staging)
    os.close(handle)
    _write(Path(name), data)
    os.replace(name, path)


def _sync(folder: Path) -> None:
    """Names on the disk too, before the rename shows them."""
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sweep(staging: Path) -> None:
    """What a killed build left behind."""
    for path in staging.iterdir():
        if path.name.startswith("release-") and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name.startswith("file-"):
            path.unlink(missing_ok=True)
