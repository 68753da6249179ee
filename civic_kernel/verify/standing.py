"""Whether one page's answers stand in the public records: in the chain of events, each paid for, in an agreeing ledger.

The records are those beside the page: `records/` of the site, or of the ZIP that somebody took away. They may be newer
than the page, never older: what was published was in the chain before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from civic_kernel.errors import RecordsUnreadable
from civic_kernel.publish.record import release_id
from civic_kernel.texts import Language
from civic_kernel.verify.chain import Event, Findings
from civic_kernel.verify.records import Records, read_records
from civic_kernel.verify.whole import check_all


def records_beside(folder: Path) -> Path | None:
    """The public records of the site that a release folder lies in (`reports/<slug>` beside `records`)."""
    found = folder.resolve().parent.parent / "records"
    return found if (found / "events.json").is_file() else None


def check_standing(
    source: Path, record: Mapping[str, Any], answers: Mapping[str, Mapping[str, Any]], *, approved: bool
) -> Findings:
    """All checks of the records (civic_kernel.verify.whole), then of this page in them. Never raises for what it finds.

    `answers` are statements by id; `approved` says whether the page stands on a site, so that both approvals of its
    record must be in the chain.
    """
    language: Language = "ko"  # of an error that nobody sees
    try:
        records = read_records(str(source), language)
    except RecordsUnreadable:
        found = Findings()
        found.add("unreadable")
        return found
    found = check_all(records)
    events = _held(records, found)
    for identity, statement in answers.items():
        reason = reason_unlisted(identity, statement, events)
        if reason is not None:
            found.add(reason, answer=identity)
        else:
            found.count("page_answers")
    if approved:
        sides = {
            str(e.facts.get("side"))
            for e in events
            if e.kind == "release_approved" and e.facts.get("release") == release_id(record)
        }
        if sides != {"city", "cso"}:
            found.add("approval_untold")
    return found


def _held(records: Records, found: Findings) -> list[Event]:
    """The events that `check_all` found to hold: up to the first break."""
    bodies = [line["event"] for line in records.events[: found.counted.get("events", 0)]]
    return [Event(body["seq"], body["at"], body["kind"], body["facts"]) for body in bodies]


def reason_unlisted(identity: str, statement: Mapping[str, Any], events: Sequence[Event]) -> str | None:
    """Why the chain does not bear out this answer (`answer_untold`, `answer_other`, `answer_price`), or None."""
    told = [
        e
        for e in events
        if e.kind in ("answered", "answered_open", "answer_derived") and e.facts.get("answer") == identity
    ]
    if len(told) != 1:
        return "answer_untold"
    facts = told[0].facts
    same = {
        "dataset": "dataset",
        "plan": "plan_id",
        "policy": "policy_hash",
        "purpose": "purpose",
        "team": "team",
    }
    if any(facts.get(name) != statement.get(where) for name, where in same.items()):
        return "answer_other"
    match told[0].kind:
        case "answered":
            charge = next(
                (
                    e
                    for e in events
                    if e.kind == "charged" and e.facts.get("reservation") == statement.get("reservation")
                ),
                None,
            )
            paid = charge is not None and (
                charge.facts.get("nano") == statement["spend"]["rho"]
                and charge.facts.get("periods") == statement["periods"]
            )
            return None if paid else "answer_price"
        case "answer_derived":
            parts = [*statement.get("joined", ()), *statement.get("rolled_up", ())]
            return None if facts.get("sources") == [part["answer_id"] for part in parts] else "answer_other"
        case _:
            return None if statement["spend"]["rho"] == 0 and statement["lane"] == "open" else "answer_price"
