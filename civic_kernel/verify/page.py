"""`civic report check PAGE`: what anyone can find out about a release folder from its own files alone.

Proves: no file differs from the record; every answer is what the gateway's key signed; every policy is what both sides
signed, as is the record itself once it is on the site; every figure of a table that is a cell of an answer equals that
cell; and, where the site's public records lie beside it, that each answer stands in the chain of events, was paid for,
and the ledger agrees (civic_kernel.verify.standing). Does not prove that the data behind the answers were true, nor
that the keys belong to whom the register says: for that their fingerprints are compared with those that each party
prints elsewhere.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from civic_kernel.publish.record import RECORD_NAME, altered_files, read_record
from civic_kernel.verify import chain
from civic_kernel.verify.documents import (
    Key,
    check_answer,
    check_approvals,
    check_policy,
    read_register,
)
from civic_kernel.verify.standing import check_standing, records_beside


@dataclass
class Findings:
    """`wrong` holds `(text key, name)` pairs; an empty list means that all is well."""

    files: int = 0
    answers: int = 0
    numbers: int = 0
    policies: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)
    #: Of the public records beside the page; None where there are none. Its own `wrong` counts like the page's.
    records: chain.Findings | None = None
    #: Who approved it; empty for a page that is on no site yet.
    approvers: list[Key] = field(default_factory=list)
    #: All keys of its register.
    keys: list[Key] = field(default_factory=list)

    @property
    def good(self) -> bool:
        return not self.wrong and not (self.records and self.records.wrong)


def release_folder(page: Path) -> Path:
    """The folder of a release, from itself or from one of its pages."""
    start = page if page.is_dir() else page.parent
    return next((f for f in (start, *start.parents[:2]) if (f / RECORD_NAME).is_file()), start)


def check_page(page: Path, *, on: date | None = None) -> Findings:
    """Checks a release folder, or the one that a page lies in. Never raises for what it finds."""
    folder = release_folder(page)
    found = Findings()
    try:
        record = read_record(folder)
    except ValueError:
        found.wrong.append(("record", ""))
        return found
    found.wrong += [("file", place) for place in altered_files(folder, record)]
    found.files = len(record["files"])
    listed = {line["path"] for line in record["files"]}
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        # `status/` comes after the record and cannot stand in it; the site builder writes it.
        if (
            path.is_file()
            and place not in listed
            and place != RECORD_NAME
            and not place.startswith("status/")
        ):
            found.wrong.append(("extra", place))
    try:
        keys = read_register(_read(folder / "parties.json"), on or _day_of(record))
    except (OSError, ValueError):
        found.wrong.append(("register", ""))
        return found
    answers = _check_answers(folder, record, keys, found)
    found.keys = list(keys.values())
    policies = _check_policies(folder, record, answers, keys, on or _day_of(record), found)
    _check_tables(folder, record, answers, found)
    _check_approvals(folder, record, policies, keys, on or _day_of(record), found)
    source = records_beside(folder)
    if source is not None:
        found.records = check_standing(source, record, answers, approved=bool(found.approvers))
    return found


def _check_answers(
    folder: Path, record: Mapping[str, Any], keys: Mapping[str, Key], found: Findings
) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for identity in record["answers"]:
        try:
            body = _read(folder / "answers" / f"{identity}.json")
            if body["answer_id"] != identity:
                raise ValueError("another answer")
            check_answer(body, keys)
        except (OSError, ValueError, KeyError, TypeError):
            found.wrong.append(("answer", str(identity)))
            continue
        answers[identity] = body["statement"]
        found.answers += 1
    return answers


def _check_policies(
    folder: Path,
    record: Mapping[str, Any],
    answers: Mapping[str, Any],
    keys: Mapping[str, Key],
    on: date,
    found: Findings,
) -> list[Mapping[str, Any]]:
    """Those that are whole."""
    whole: list[Mapping[str, Any]] = []
    for identity in sorted({*record["policies"], *(s["policy_hash"] for s in answers.values())}):
        try:
            published = _read(folder / "policies" / f"{identity}.json")
            check_policy(published, identity, keys, on)
            lanes = {s["lane"] for s in answers.values() if s["policy_hash"] == identity}
            if not lanes <= {published["policy"]["lane"]}:
                # An exact figure is only as good as both sides' word that the data are open.
                raise ValueError("an answer of another lane than its policy's")
            found.policies += 1
            whole.append(published["policy"])
        except (OSError, ValueError, KeyError, TypeError):
            found.wrong.append(("policy", str(identity)))
    return whole


def _check_tables(
    folder: Path, record: Mapping[str, Any], answers: Mapping[str, Any], found: Findings
) -> None:
    """Cells of a CSV with an answer's own keys and columns must equal it; sums and rates are left alone."""
    for line in record["files"]:
        if not line["path"].endswith(".csv"):
            continue
        name = Path(line["path"]).stem
        try:
            about = _read(folder / "data" / f"{name}.json")
            spelled = (folder / line["path"]).read_bytes().decode("utf-8-sig")
            rows = list(csv.DictReader(io.StringIO(spelled)))
            keys = [column["name"] for column in about["columns"] if column["role"] == "key"]
            stated = [answers[identity] for identity in about["answers"] if identity in answers]
            if stated and all("rows" in statement["plan"] for statement in stated):
                found.numbers += _equal_rows(rows, [statement["table"] for statement in stated])
            else:
                for statement in stated:
                    found.numbers += _equal_cells(rows, keys, statement["table"])
        except (OSError, ValueError, KeyError, TypeError):
            found.wrong.append(("number", name))


def _equal_cells(rows: list[dict[str, str]], keys: list[str], table: Mapping[str, Any]) -> int:
    """How many figures were compared. Raises ValueError at the first that differs."""
    names = [column["name"] for column in table["columns"]]
    own_keys = [column["name"] for column in table["columns"] if column["role"] == "key"]
    figures = [column["name"] for column in table["columns"] if column["role"] in ("measure", "low", "high")]
    if set(keys) != set(own_keys):
        return 0
    cells = {tuple(str(row[names.index(key)]) for key in own_keys): row for row in table["rows"]}
    compared = 0
    for row in rows:
        answer = cells.get(tuple(row[key] for key in own_keys))
        for figure in figures:
            if answer is None or figure not in row:
                continue
            if not is_same(row[figure], answer[names.index(figure)]):
                raise ValueError("a figure differs from its answer")
            compared += 1
    return compared


def _equal_rows(rows: list[dict[str, str]], pages: list[Mapping[str, Any]]) -> int:
    """Rows of an open dataset, on one page or several: each that a table shows with all its columns stands among those
    that were signed. A table with other columns was computed from them, and is left alone. Raises ValueError.
    """
    names = [column["name"] for column in pages[0]["columns"]]
    if not rows or set(rows[0]) != set(names):
        return 0
    signed = [line for page in pages for line in page["rows"]]
    # Most tables show every digit, and are found by their words at once.
    known = {tuple("" if value is None else str(value) for value in line) for line in signed}
    for row in rows:
        spelled = tuple(row[name] for name in names)
        if spelled not in known and not any(all(map(is_same, spelled, line)) for line in signed):
            raise ValueError("a row differs from its answer")
    return len(rows) * len(names)


def is_same(spelled: str, signed: Any) -> bool:
    """Whether a table's words are the signed value; a decimal may be rounded to the digits that the table shows."""
    if spelled == ("" if signed is None else str(signed)):
        return True
    try:
        wanted, shown = Decimal(signed), Decimal(spelled)
    except (InvalidOperation, TypeError, ValueError):
        return False
    if not isinstance(signed, str) or not (wanted.is_finite() and shown.is_finite()):
        return False
    return abs(wanted - shown) <= Decimal(5).scaleb(int(shown.as_tuple().exponent) - 1)


def _check_approvals(
    folder: Path,
    record: Mapping[str, Any],
    policies: Sequence[Mapping[str, Any]],
    keys: Mapping[str, Key],
    on: date,
    found: Findings,
) -> None:
    """What the site builder wrote beside a published page; a folder that still waits for approval has none."""
    path = folder / "status" / "approvals.json"
    if not path.exists():
        return
    try:
        found.approvers = check_approvals(record, _read(path)["approvals"], keys, on, policies)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        found.wrong.append(("approvals", ""))


def _read(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _day_of(record: Mapping[str, Any]) -> date:
    """The day of the run: a key that ran out later still signed what it signed."""
    try:
        return datetime.strptime(record["created_at"], "%Y-%m-%dT%H:%M:%SZ").date()
    except (KeyError, TypeError, ValueError):
        return datetime.now(UTC).date()
