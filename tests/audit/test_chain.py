"""The log of events: whole, in order, and by the gateway's key."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from data_access.audit import Event, Head, check_chain
from data_access.audit.chain import head, read_events
from data_access.errors import AuditBroken
from data_access.parties import SigningKey
from tests.factories import Workspace


def events_of(workspace: Workspace) -> list[Event]:
    with workspace.parts.database.reading() as connection:
        return read_events(connection)


def test_everything_that_happens_is_in_the_chain_and_it_verifies_from_any_kept_head(
    workspace: Workspace,
) -> None:
    with workspace.parts.database.reading() as connection:
        before = head(connection)
    workspace.ask(key="once")
    found = events_of(workspace)
    kinds = [json.loads(event.body)["kind"] for event in found]
    assert kinds == [
        *("register_accepted", "policy_activated", "data_loaded", "view_made"),
        *("period_opened", "period_opened", "period_opened", "charged", "answered"),
    ]
    public = workspace.parts.key.public
    last = check_chain(found, public)
    assert last == Head(9, found[-1].hash)
    assert check_chain(found[before.seq :], public, before) == last


def test_no_event_holds_a_value_a_count_of_rows_or_a_key(workspace: Workspace) -> None:
    workspace.ask(key="once")
    text = b"".join(event.body for event in events_of(workspace)).decode()
    for word in ("종로구", "m1", "once", "steward", str(workspace.home)):
        assert word not in text
    assert all(json.loads(event.body)["facts"].get("rows") is None for event in events_of(workspace))


def _altered(events: list[Event]) -> list[Event]:
    body = events[3].body.replace(b"2026", b"2027")
    return [*events[:3], Event(4, events[3].hash, body, events[3].signature), *events[4:]]


def _no_json(events: list[Event]) -> list[Event]:
    return [*events[:3], Event(4, events[3].hash, b"{", events[3].signature), *events[4:]]


TAMPERINGS: dict[str, Callable[[list[Event]], list[Event]]] = {
    "altered": _altered,
    "no json": _no_json,
    "another hash": lambda e: [*e[:-1], Event(e[-1].seq, "0" * 64, e[-1].body, e[-1].signature)],
    "removed": lambda e: [*e[:3], *e[4:]],
    "first removed": lambda e: e[1:],
    "reordered": lambda e: [*e[:3], e[4], e[3], *e[5:]],
    "repeated": lambda e: [*e[:4], e[3], *e[4:]],
    "another place": lambda e: [*e[:3], Event(9, e[3].hash, e[3].body, e[3].signature), *e[4:]],
}


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=str)
def test_a_tampered_chain_is_found(workspace: Workspace, tampering: str) -> None:
    workspace.ask()
    events = events_of(workspace)
    with pytest.raises(AuditBroken):
        check_chain(TAMPERINGS[tampering](events), workspace.parts.key.public)


def test_another_key_cannot_write_the_chain_and_a_cut_tail_shows_against_a_kept_head(
    workspace: Workspace,
) -> None:
    workspace.ask()
    events = events_of(workspace)
    with pytest.raises(AuditBroken):
        check_chain(events, SigningKey.generate().public)
    kept = check_chain(events, workspace.parts.key.public)
    assert check_chain(events[:-1], workspace.parts.key.public).seq < kept.seq


def test_a_missing_gateway_key_is_never_replaced_in_silence(workspace: Workspace) -> None:
    from data_access.errors import VaultKeyWrong

    (workspace.home / "keys" / "gateway.pem").unlink()
    with pytest.raises(VaultKeyWrong):
        workspace.reopen()
    assert not (workspace.home / "keys" / "gateway.pem").exists()
