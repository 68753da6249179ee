"""A release is published by two signatures over its record, one of each side, neither the author's."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from data_access.canonical import canonical_bytes, content_id
from data_access.documents import Labels
from data_access.errors import (
    ApprovalByAuthor,
    ApprovalByOther,
    ApprovalInvalid,
    CivicError,
    MalformedRequest,
    TeamNotYours,
    UnknownAnswer,
    UnknownRelease,
)
from data_access.flows.answering import Asker
from data_access.parties import Party, SigningKey
from tests.factories import (
    ACCIDENTS,
    ANN,
    BEN,
    Workspace,
    make_keys,
    make_policy,
    make_register,
)


def record(workspace: Workspace, *answers: str, **changes: Any) -> dict[str, Any]:
    """A record of Ann's about `answers` (default: one new answer about rides)."""
    chosen = answers or (workspace.ask().answer.id,)
    document = {
        "kind": "civic-release",
        "report": "bike_routes",
        "slug": "bike-routes-2026",
        "title": {"ko": "자전거 길", "en": "Bike routes"},
        "author": workspace.parts.releasing.public_name(ANN.name),
        "team": "bike",
        "parameters": {"gu": ["종로구"], "months": ["2026-09"]},
        "demonstration": True,
        "answers": list(chosen),
        "policies": sorted({policy_of(workspace, answer) for answer in chosen}),
        "notebook_sha256": "0" * 64,
        "files": [{"path": "ko/index.html", "sha256": "1" * 64, "bytes": 10}],
        "created_at": "2026-11-23T04:05:06Z",
    }
    return document | changes


def policy_of(workspace: Workspace, answer: str) -> str:
    with workspace.parts.database.reading() as connection:
        return workspace.parts.shelf.get(connection, answer).policy_hash


def submit(workspace: Workspace, document: dict[str, Any], author: Asker = ANN) -> str:
    return str(workspace.parts.releasing.submit(author, document)["release_id"])


def approve(workspace: Workspace, release: str, document: dict[str, Any], *keys: Any) -> str:
    for key in keys:
        found = workspace.parts.releasing.approve(release, key.sign(document))
    return str(found["state"])


def test_a_record_waits_until_both_sides_have_signed_it(workspace: Workspace) -> None:
    document = record(workspace)
    release = submit(workspace, document)
    assert release == content_id("rel", canonical_bytes(document))
    releasing = workspace.parts.releasing
    assert releasing.get(release)["state"] == "waiting"
    assert approve(workspace, release, document, workspace.keys.city) == "waiting"
    assert approve(workspace, release, document, workspace.keys.city, workspace.demo_keys.city) == "waiting"
    assert approve(workspace, release, document, workspace.keys.cso) == "approved"
    assert [a["side"] for a in releasing.get(release)["approvals"]] == ["city", "cso"]
    assert releasing.list()[0]["release_id"] == release
    assert submit(workspace, document) == release and releasing.get(release)["state"] == "approved"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"policies": ["0" * 64]}, "record.policies"),
        ({"demonstration": False}, "record.demonstration"),
        ({"demonstration": "true"}, "record.demonstration"),
        ({"demonstration": 1}, "record.demonstration"),
        ({"author": "ben"}, "record.author"),
        ({"surprise": 1}, "record.surprise"),
        ({"kind": "civic-policy"}, "record.kind"),
        ({"slug": "../up"}, "record.slug"),
        ({"answers": []}, "record.answers"),
        ({"files": [{"path": "../x", "sha256": "1" * 64, "bytes": 1}]}, "record.files.0.path"),
        ({"files": [{"path": "/etc/passwd", "sha256": "1" * 64, "bytes": 1}]}, "record.files.0.path"),
        ({"files": [{"path": "x.html\n", "sha256": "1" * 64, "bytes": 1}]}, "record.files.0.path"),
        ({"files": [{"path": "a", "sha256": "1" * 64, "bytes": 1}] * 2}, "record.files"),
        ({"files": [{"path": "a", "sha256": "xyz", "bytes": 1}]}, "record.files.0.sha256"),
        ({"parameters": {"share": 0.5}}, "record"),
        ({"created_at": "yesterday"}, "record.created_at"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_record_that_does_not_fit_its_answers_is_not_taken(
    workspace: Workspace, changes: dict[str, Any], where: str
) -> None:
    with pytest.raises(MalformedRequest) as refused:
        submit(workspace, record(workspace, **changes))
    assert refused.value.facts["where"] == where
    assert workspace.parts.releasing.list() == []


def test_a_deeply_nested_record_is_refused(workspace: Workspace) -> None:
    deep: Any = 1
    for _ in range(600):
        deep = [deep]
    try:
        submit(workspace, record(workspace, parameters={"deep": deep}))
    except CivicError as refused:
        assert refused.code == "malformed_request"


def test_an_answer_that_does_not_exist_cannot_be_published(workspace: Workspace) -> None:
    with pytest.raises(UnknownAnswer):
        submit(workspace, record(workspace) | {"answers": ["ans-" + "a" * 26]})


def test_a_record_is_handed_in_by_its_author_for_her_own_team(workspace: Workspace) -> None:
    document = record(workspace)
    with pytest.raises(MalformedRequest):
        submit(workspace, document, BEN)
    with pytest.raises(TeamNotYours):
        submit(workspace, document | {"team": "walk"})


def test_a_person_stands_in_the_public_record_as_a_keyed_pseudonym(workspace: Workspace) -> None:
    with pytest.raises(MalformedRequest):
        submit(workspace, record(workspace, author=ANN.name))
    release = submit(workspace, record(workspace))
    author = workspace.parts.releasing.get(release)["record"]["author"]
    assert author.startswith("person-") and ANN.name not in author
    assert author == workspace.parts.releasing.public_name(ANN.name)
    assert author != workspace.parts.releasing.public_name(BEN.name)
    assert workspace.parts.releasing.public_name("service-reports") == "service-reports"


def test_a_signature_over_another_record_or_by_a_stranger_approves_nothing(workspace: Workspace) -> None:
    document = record(workspace)
    release = submit(workspace, document)
    other = document | {"slug": "another"}
    stranger = make_keys(demo=False).city
    for key, text in ((workspace.keys.city, other), (stranger, document), (workspace.parts.key, document)):
        with pytest.raises(ApprovalInvalid):
            workspace.parts.releasing.approve(release, key.sign(text))
    with pytest.raises(UnknownRelease):
        workspace.parts.releasing.approve("rel-" + "a" * 26, workspace.keys.city.sign(document))
    assert workspace.parts.releasing.get(release)["approvals"] == []


def test_nobody_approves_a_report_of_their_own(workspace: Workspace) -> None:
    steward = Asker("steward-city", frozenset({"bike"}))
    document = record(workspace, author=workspace.parts.releasing.public_name(steward.name))
    release = submit(workspace, document, steward)
    with pytest.raises(ApprovalByAuthor):
        approve(workspace, release, document, workspace.keys.city)
    assert approve(workspace, release, document, workspace.keys.cso) == "waiting"


def test_for_data_that_a_charity_signed_the_charity_approves_and_no_other_of_its_side(
    workspace: Workspace,
) -> None:
    charity = with_charity(workspace)
    document = record(workspace)
    release = submit(workspace, document)
    with pytest.raises(ApprovalByOther):
        approve(workspace, release, document, workspace.keys.cso)
    assert approve(workspace, release, document, workspace.keys.city) == "waiting"
    # Nor does its genuine signature, once it stands in the database.
    workspace.execute(
        "INSERT INTO approvals VALUES (?, 'cso', ?, 'steward-cso', ?, '2026-11-23T04:05:06Z')",
        release,
        workspace.keys.cso.id,
        base64.b64decode(workspace.keys.cso.sign(document).ed25519),
    )
    assert workspace.parts.releasing.get(release)["state"] == "waiting"
    workspace.execute("DELETE FROM approvals WHERE side = 'cso'")
    assert approve(workspace, release, document, charity) == "approved"


def test_data_of_two_owners_on_one_side_are_approved_by_neither_alone(workspace: Workspace) -> None:
    charity = with_charity(workspace)
    workspace.activate(make_policy(workspace.entry("accidents")))
    workspace.load("accidents", ("time", "gu"), ACCIDENTS)
    other = workspace.ask(ANN, {"dataset": "accidents", "by": ["gu"], "measures": {"n": {"fn": "count"}}})
    document = record(workspace, workspace.ask().answer.id, other.answer.id)
    release = submit(workspace, document)
    for key in (workspace.keys.cso, charity):
        with pytest.raises(ApprovalByOther):
            approve(workspace, release, document, key)


def with_charity(workspace: Workspace) -> SigningKey:
    """Rides become a charity's: it stands beside the CSO, and signs for them with the city. Its steward's key."""
    charity = SigningKey.generate()
    plain = make_register(workspace.keys, workspace.demo_keys, version=2)
    key = plain.keys[0].model_copy(
        update={
            "id": charity.id,
            "public": base64.b64encode(charity.public).decode("ascii"),
            "party": "charity",
            "person": "steward-charity",
        }
    )
    party = Party(id="charity", side="cso", title=Labels(ko="재단", en="Charity"))
    workspace.accept(
        plain.model_copy(update={"parties": (*plain.parties, party), "keys": (*plain.keys, key)})
    )
    signers = [{"side": "city", "party": "city"}, {"side": "cso", "party": "charity"}]
    policy = make_policy(workspace.entry(), version=2, signers=signers)
    workspace.activate(policy, workspace.keys.city, charity)
    return charity


def test_demo_keys_approve_a_demonstration(workspace: Workspace) -> None:
    document = record(workspace)
    release = submit(workspace, document)
    assert (
        approve(workspace, release, document, workspace.demo_keys.city, workspace.demo_keys.cso) == "approved"
    )


def _real(made: Workspace) -> None:
    """Rides that are real, accidents that are made up."""
    made.accept(make_register(made.keys, made.demo_keys))
    made.activate(make_policy(made.entry(), synthetic=False))
    made.load_rides()
    made.activate(make_policy(made.entry("accidents")))
    made.load("accidents", ("time", "gu"), ACCIDENTS)


def test_demo_keys_approve_nothing_real(real_workspace: Workspace) -> None:
    _real(real_workspace)
    document = record(real_workspace, demonstration=False)
    release = submit(real_workspace, document)
    for key in (real_workspace.demo_keys.city, real_workspace.demo_keys.cso):
        with pytest.raises(ApprovalInvalid):
            approve(real_workspace, release, document, key)
    assert (
        approve(real_workspace, release, document, real_workspace.keys.city, real_workspace.keys.cso)
        == "approved"
    )


@pytest.mark.parametrize("mark", [True, False, "false"])
def test_real_answers_do_not_become_a_demonstration_beside_a_made_up_one(
    real_workspace: Workspace, mark: Any
) -> None:
    _real(real_workspace)
    made_up = {"dataset": "accidents", "by": ["gu"], "measures": {"n": {"fn": "count"}}}
    answers = [real_workspace.ask().answer.id, real_workspace.ask(ANN, made_up).answer.id]
    with pytest.raises(MalformedRequest):
        submit(real_workspace, record(real_workspace, *answers, demonstration=mark))


def test_an_approval_written_into_the_database_by_hand_approves_nothing(workspace: Workspace) -> None:
    document = record(workspace)
    release = submit(workspace, document)
    approve(workspace, release, document, workspace.keys.city)
    forged = base64.b64decode(workspace.keys.city.sign(document).ed25519)
    for key in (workspace.keys.city.id, workspace.keys.cso.id):
        workspace.execute("DELETE FROM approvals WHERE side = 'cso'")
        workspace.execute(
            "INSERT INTO approvals VALUES (?, 'cso', ?, 'steward-cso', ?, '2026-11-23T04:05:06Z')",
            release,
            key,
            forged,
        )
        assert workspace.parts.releasing.get(release)["state"] == "waiting"


def test_an_approval_stays_when_its_key_leaves_the_register(workspace: Workspace) -> None:
    document = record(workspace)
    release = submit(workspace, document)
    approve(workspace, release, document, workspace.keys.city, workspace.keys.cso)
    workspace.accept(make_register(make_keys(demo=False), version=2))
    assert workspace.parts.releasing.get(release)["state"] == "approved"
    with pytest.raises(ApprovalInvalid):
        approve(workspace, release, document, workspace.keys.city)
