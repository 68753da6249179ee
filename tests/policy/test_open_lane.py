"""Which datasets may be opened row by row: those with nobody in them, signed for by both sides, from the first on."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from data_access.catalog.entry import Dataset, parse_entry
from data_access.errors import CivicError, DatasetClosed, PolicyMalformed
from data_access.flows.answering import Request
from data_access.policy import OpenPolicy, Policy, parse_policy
from tests.factories import (
    ANN,
    BY_GU,
    CATALOG,
    SENSORS,
    Workspace,
    entry_of,
    make_open_policy,
    make_policy,
    request,
)

ROWS: dict[str, Any] = {"dataset": "sensors", "rows": ["gu", "pm10"]}


def refusal(workspace: Workspace, *policies: Any) -> str | None:
    """The code with which the last of `policies` is refused, None where it takes effect."""
    *before, last = policies
    for policy in before:
        workspace.activate(policy)
    try:
        workspace.activate(last)
    except DatasetClosed as refused:
        return refused.code
    return None


def changed(name: str, **words: Any) -> Dataset:
    return parse_entry(yaml.safe_dump(yaml.safe_load(CATALOG[name]) | words, allow_unicode=True), name)


def test_a_dataset_with_a_column_of_persons_is_never_opened(workspace: Workspace) -> None:
    entry = workspace.entry("rides")
    assert refusal(workspace, make_open_policy(entry, version=2)) == "policy_lane_refused"
    assert workspace.ask(ANN).charged > 0, "the private policy is in force as before"


def test_what_was_private_once_stays_private_and_what_was_open_stays_open(workspace: Workspace) -> None:
    accidents, sensors = workspace.entry("accidents"), workspace.entry("sensors")
    private = make_policy(accidents)
    assert refusal(workspace, private, make_open_policy(accidents, version=2)) == "policy_lineage_changed"
    assert (
        refusal(workspace, make_open_policy(accidents, lineage="again", version=2))
        == "policy_lineage_changed"
    )
    later = make_policy(sensors, version=2)
    assert refusal(workspace, make_open_policy(sensors), later) == "policy_lineage_changed"


def test_one_side_alone_opens_no_rows(workspace: Workspace) -> None:
    policy = make_open_policy(workspace.entry("sensors"))
    with pytest.raises(DatasetClosed) as refused:
        workspace.activate(policy, workspace.keys.city)
    assert refused.value.code == "policy_half_signed"


def test_an_open_policy_ends_with_its_day_and_closes_its_rows(workspace: Workspace) -> None:
    workspace.load_sensors()
    workspace.ask(ANN, ROWS)
    workspace.clock.elapsed += 2 * 366 * 86_400
    with pytest.raises(DatasetClosed) as refused:
        workspace.ask(ANN, ROWS)
    assert refused.value.code == "policy_expired"


def test_a_policy_that_says_open_in_the_database_alone_opens_nothing(workspace: Workspace) -> None:
    """Whoever edits the database chooses which lane looks at the question, and both look at the signatures."""
    document = make_open_policy(workspace.entry("rides")).document()
    workspace.execute("UPDATE policies SET document = ?", json.dumps(document).encode())
    for asked in ({"dataset": "rides", "rows": ["gu"]}, {"dataset": "rides", "rows": ["*"]}, BY_GU):
        with pytest.raises(DatasetClosed) as refused:
            workspace.ask(ANN, asked)
        assert refused.value.code == "policy_edited"


def test_the_open_lane_itself_refuses_what_is_private(workspace: Workspace) -> None:
    """Asked past the dispatcher: no policy in force, no rows."""
    open_lane = workspace.parts.asking.open_lane
    for asked in ({"dataset": "rides", "rows": ["gu"]}, BY_GU):
        with pytest.raises(CivicError) as refused:
            open_lane.answer(ANN, request(asked))
        assert refused.value.code == "rows_refused"
    workspace.load_sensors()
    with pytest.raises(CivicError) as refused:
        workspace.parts.answering.answer(ANN, request(BY_GU | {"dataset": "sensors"}))
    assert refused.value.code == "not_offered"


@pytest.mark.parametrize(
    "asked", [{"plan": {"dataset": "rides", "rows": ["gu"]}}, {"sql": "SELECT gu FROM rides"}]
)
def test_rows_of_a_private_dataset_are_refused_and_cost_nothing(
    workspace: Workspace, asked: dict[str, Any]
) -> None:
    with pytest.raises(CivicError) as refused:
        workspace.parts.asking.answer(
            ANN, Request(asked.get("plan"), None, "bike", "research", sql=asked.get("sql"))
        )
    assert refused.value.code in ("rows_refused", "sql_refused")
    assert workspace.spent() == 0


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ({"budget": "0.5"}, "budget"),
        ({"unit": {"kind": "row", "period": "month"}}, "unit"),
        ({"keys": {}}, "keys"),
        ({"signers": [{"side": "city", "party": "city"}] * 2}, "Value error"),
        ({"lane": "ajar"}, "lane"),
    ],
)
def test_an_open_policy_has_no_words_of_protection(words: dict[str, Any], where: str) -> None:
    document = make_open_policy(entry_of("sensors")).document() | words
    with pytest.raises(PolicyMalformed) as refused:
        parse_policy(yaml.safe_dump(document, allow_unicode=True), "sensors")
    assert where in str(refused.value.facts["where"])


def test_each_lane_has_its_type_and_its_hash(workspace: Workspace) -> None:
    for policy, kind in (
        (make_open_policy(entry_of("sensors")), OpenPolicy),
        (make_policy(entry_of("rides")), Policy),
    ):
        read = parse_policy(yaml.safe_dump(policy.document(), allow_unicode=True), policy.dataset)
        assert type(read) is kind and read.hash() == policy.hash()


def test_decimals_without_places_and_a_month_beside_a_time_are_not_opened(workspace: Workspace) -> None:
    columns = yaml.safe_load(CATALOG["sensors"])["columns"]
    loose = changed(
        "sensors", columns=columns | {"no2": {k: v for k, v in columns["no2"].items() if k != "places"}}
    )
    month = changed("sensors", columns=columns | {"month": columns["gu"] | {"source": "pm10"}})
    places = changed("sensors", columns=columns | {"gu": columns["gu"] | {"source": "time"}})
    for entry, changes, where in (
        (loose, {}, "columns.no2.places"),
        (month, {}, "columns.month"),
        (places, {"geography": {"dong": "dong"}}, "geography.dong"),
    ):
        workspace.parts.governing.catalog["sensors"] = entry  # type: ignore[index]
        with pytest.raises(PolicyMalformed) as refused:
            workspace.activate(make_open_policy(entry, **changes))
            workspace.load("sensors", ("time", "gu", "pm10", "no2"), SENSORS)
        assert refused.value.facts["where"] == where


def test_a_private_policy_needs_a_time_column(workspace: Workspace) -> None:
    columns = yaml.safe_load(CATALOG["sensors"])["columns"]
    timeless = changed("sensors", columns={k: v for k, v in columns.items() if k != "at"}, time_column=None)
    workspace.parts.governing.catalog["sensors"] = timeless  # type: ignore[index]
    with pytest.raises(PolicyMalformed) as refused:
        workspace.activate(make_policy(timeless))
    assert refused.value.facts["where"] == "time_column"
