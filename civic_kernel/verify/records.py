"""The public records, as anybody gets them: from an address, or from files that somebody copied.

    head.json  events.json  ledger.json  parties.json  policies.json  witnesses.json

A folder holds what the citizen site has under `records/`; an address is the citizen site's or the gateway's. From
both comes one `Records`, and nothing in it is believed: civic_kernel.verify.chain and .ledger judge it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from civic_kernel.errors import GatewayUnreachable, RecordsUnreadable, error_from_envelope
from civic_kernel.texts import Language

NAMES = ("head", "ledger", "policies", "parties", "witnesses", "events")
_PAGE_SECONDS = 60.0


@dataclass(frozen=True)
class Records:
    """Documents as they were published. `events` are in the order in which they came."""

    head: Mapping[str, Any]
    events: list[dict[str, Any]]
    ledger: Mapping[str, Any]
    parties: Mapping[str, Any]
    policies: list[dict[str, Any]]
    witnesses: Mapping[str, Any]

    def documents(self) -> dict[str, Any]:
        """Name of the file, and what stands in it."""
        return {name: getattr(self, name) for name in NAMES}


def read_records(source: str, language: Language, *, after: int = 0) -> Records:
    """Everything at `source`. Events only after place `after`, for one who checked those before it.

    Raises RecordsUnreadable where a file or document is missing or of another shape, GatewayUnreachable.
    """
    if "://" in source:
        # Events last: what the ledger and the lists tell of is then among them, however much is asked meanwhile.
        with PublicRecords(source, language) as public:
            found = {name: public.get(name) for name in NAMES if name != "events"}
            found["events"] = public.events(after)
    else:
        folder = Path(source)
        found = {name: _read(folder / f"{name}.json", language) for name in NAMES}
        found["events"] = found["events"][after:] if isinstance(found["events"], list) else None
    shapes = {"events": list, "policies": list}
    if not all(isinstance(found[name], shapes.get(name, dict)) for name in NAMES):
        raise RecordsUnreadable.say(language)
    return Records(**found)


def _read(path: Path, language: Language) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise RecordsUnreadable.say(language) from None


class PublicRecords:
    """The public `/v1` of a citizen site or gateway. No token goes along: none is needed."""

    def __init__(self, url: str, language: Language) -> None:
        import httpx

        self._language: Language = language
        self._http = httpx.Client(
            base_url=url.rstrip("/"),
            timeout=_PAGE_SECONDS,
            trust_env=False,
            headers={"Accept-Language": language},
        )

    def __enter__(self) -> PublicRecords:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, name: str) -> Any:
        return self._call("GET", f"/v1/audit/{name}" if name in ("head", "witnesses") else f"/v1/{name}")

    def events(self, after: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", f"/v1/audit/events?after={after + len(found)}")
            events = page.get("events") if isinstance(page, dict) else None
            if not isinstance(events, list):
                raise RecordsUnreadable.say(self._language)
            if not events:
                return found
            found += events

    def hand_in(self, witness: Mapping[str, Any]) -> None:
        """Post a signed head. Raises WitnessInvalid or WitnessTooOften as the gateway says."""
        self._call("POST", "/v1/audit/witnesses", witness)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        import httpx

        try:
            response = self._http.request(method, path, json=body)
        except (httpx.HTTPError, httpx.InvalidURL):
            raise GatewayUnreachable.say(self._language) from None
        try:
            document = response.json()
        except (ValueError, RecursionError):
            document = None
        if response.status_code == 200 and document is not None:
            return document
        raise error_from_envelope(document) or RecordsUnreadable.say(self._language)


def write_records(records: Records, folder: Path) -> None:
    """One file for each document, each put in place whole; the head last, so that it never runs ahead."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in sorted(records.documents().items(), key=lambda line: line[0] == "head"):
        staged = folder / f".{name}.json.new"
        staged.write_bytes(record_bytes(document))
        staged.chmod(0o644)
        os.replace(staged, folder / f"{name}.json")


def record_bytes(document: Any) -> bytes:
    """How a record lies in a file: readable, and the same bytes for the same record."""
    return (json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode("utf-8")
