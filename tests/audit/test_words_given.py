"""Whose word a charge stands on, from public records alone; and a gateway that lies about it with its own key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from civic_kernel.verify.records import Records, read_records
from civic_kernel.verify.whole import check_all
from data_access.answers import Hold
from data_access.gateway.public import public_app
from data_access.parties import SigningKey
from tests.audit.conftest import make_watched
from tests.audit.test_anybody_verifies import changed, codes, rewritten
from tests.factories import ANN, BY_GU, PERIODS, ROOM, request
from tests.gateway.serving import served

MONTHLY = {**BY_GU, "by": ["gu", "month"]}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Records, SigningKey]]:
    """A room's question of three months, of which one is stored, approved by ann and asked again."""
    workspace = make_watched(tmp_path_factory.mktemp("words") / "home").workspace
    workspace.ask(ANN, {**MONTHLY, "where": {"column": "month", "op": "eq", "value": PERIODS[0]}})
    held = workspace.parts.approving.answer(ROOM, request(MONTHLY))
    assert isinstance(held, Hold)
    workspace.parts.approving.decide(ANN, held.id, "approve")
    workspace.parts.approving.answer(ROOM, request(MONTHLY))
    with served(public_app(workspace.parts)) as url:
        yield read_records(url, "en"), workspace.parts.key
    workspace.parts.close()


def test_a_charge_on_somebodys_word_verifies_and_is_counted(told: tuple[Records, SigningKey]) -> None:
    found = check_all(told[0])
    assert found.wrong == [] and found.counted["approvals"] == 1


LIES: dict[str, tuple[str, Callable[[dict[str, Any]], Any], str]] = {
    "a refusal that was used": (
        "approval_decided",
        lambda f: f.update(decision="refused"),
        "approval_unsaid",
    ),
    "another person's word": ("approval_used", lambda f: f.update(by="person-other"), "approval_unsaid"),
    "another question": ("approval_decided", lambda f: f.update(plan="pln-other"), "approval_unsaid"),
    "another team": ("approval_decided", lambda f: f.update(team="walk"), "approval_unsaid"),
    "a month more": ("approval_decided", lambda f: f["periods"].pop(), "approval_exceeded"),
    "a higher price": ("approval_decided", lambda f: f.update(nano=1), "approval_exceeded"),
    "another policy": ("approval_decided", lambda f: f.update(policy="0" * 64), "approval_exceeded"),
    "no charge": ("approval_used", lambda f: f.update(reservations=[]), "approval_exceeded"),
    "a charge that is not there": (
        "approval_used",
        lambda f: f["reservations"].append("rsv-x"),
        "approval_exceeded",
    ),
    "one charge twice": (
        "approval_used",
        lambda f: f["reservations"].append(f["reservations"][0]),
        "approval_exceeded",
    ),
    "nonsense": ("approval_used", lambda f: f.update(reservations=7), "approval_exceeded"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_chain_that_says_something_else_of_her_word_is_found(
    told: tuple[Records, SigningKey], lie: str
) -> None:
    kind, change, code = LIES[lie]

    def lying(body: dict[str, Any]) -> None:
        if body["kind"] == kind:
            change(body["facts"])

    assert code in codes(check_all(rewritten(told[0], told[1], lying)))


@pytest.mark.parametrize("kind", ["approval_decided", "approval_used"])
def test_a_word_is_given_once_and_used_once(told: tuple[Records, SigningKey], kind: str) -> None:
    records, key = told
    (again,) = [document["event"] for document in records.events if document["event"]["kind"] == kind]
    longer = [*records.events, {"event": {**again, "seq": len(records.events) + 1}}]
    assert codes(check_all(rewritten(changed(records, events=longer), key, lambda body: None))) == {
        "approval_twice"
    }
