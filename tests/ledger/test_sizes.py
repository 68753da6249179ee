"""How exact a question will be is told for a size of cell, and the price says who named the size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_access.catalog.entry import parse_entry
from data_access.errors import MarginRefused, PolicyMalformed, SpendInvalid, UnknownAnswer
from data_access.flows.answering import PriceTag
from data_access.gateway.shapes import price_document
from tests.factories import (
    ACCIDENTS,
    ANN,
    BEN,
    BY_GU,
    CATALOG,
    PERIODS,
    Workspace,
    make_policy,
    make_workspace,
    request,
)
from tests.postgresql import Server

SIZES = """
sizes:
  - {by: [], rows: 900, persons: 300}
  - {by: [gu], rows: 200, persons: 80}
  - {by: [gu, hour(started_at)], rows: 20}
"""
PERCENT = {"margin": {"rides": "50%"}}
BEFORE = "4e2455d3e68776a46f3d9ea852f00a56c1831f7424ffe84e38fc1bfa41337f98"
SEPTEMBER = {"column": "month", "op": "eq", "value": PERIODS[1]}
MONTHLY = BY_GU | {"by": ["gu", "month"]}


@pytest.fixture(scope="module")
def sized(tmp_path_factory: pytest.TempPathFactory, server: Server | None) -> Iterator[Workspace]:
    """A catalog with sizes, policies that can pay for narrow margins, and questions that change nothing here."""
    made = make_workspace(
        tmp_path_factory.mktemp("sized") / "home",
        catalog=CATALOG | {"rides": CATALOG["rides"] + SIZES},
        server=server,
    )
    caps = [{"name": "all", "teams": "others", "rho": "0.4"}]
    made.activate(make_policy(made.entry(), version=2, caps=caps, max_spend="0.4"))
    made.activate(make_policy(made.entry("accidents")))
    made.load("accidents", ("time", "gu"), ACCIDENTS)
    yield made
    made.parts.close()


def priced(
    workspace: Workspace, plan: dict[str, Any], spend: Any, asker: Any = ANN, team: str = "bike"
) -> Any:
    tag: PriceTag = workspace.parts.answering.price(asker, request(plan, spend=spend, team=team))
    return price_document(tag, team)


def test_what_the_asker_names_comes_before_what_the_catalog_declares(sized: Workspace) -> None:
    named = priced(sized, MONTHLY, PERCENT | {"cell": 100})
    declared = priced(sized, MONTHLY, PERCENT)
    assert (named["cell"], named["cell_from"]) == (100, "asker")
    assert (declared["cell"], declared["cell_from"]) == (200, "catalog")
    # Half of a size of 100, and of 200.
    assert named["measures"]["rides"]["margin"] <= 50 < declared["measures"]["rides"]["margin"] <= 100
    assert named["rho"] > declared["rho"]
    assert priced(sized, MONTHLY, {"rho": "0.01"})["cell_from"] == "catalog"


def test_the_catalogs_size_is_of_a_month_and_a_cell_of_several_holds_them_all(sized: Workspace) -> None:
    assert priced(sized, BY_GU, None)["cell"] == 3 * 200
    assert priced(sized, BY_GU | {"where": SEPTEMBER}, None)["cell"] == 200
    hourly = {"fn": "hour", "column": "started_at"}
    assert priced(sized, BY_GU | {"by": [hourly, "gu", "month"]}, None)["cell"] == 20
    assert priced(sized, BY_GU | {"by": []}, None)["cell"] == 2700
    # A filter that chooses whole cells leaves their size; one that takes some rows of a cell does not.
    whole = {"column": "gu", "op": "in", "values": ["중구"]}
    some = {"column": "sex", "op": "eq", "value": "F"}
    assert priced(sized, MONTHLY | {"where": whole}, None)["cell"] == 200
    season = {"fn": "season", "column": "month"}
    for plan in (MONTHLY | {"where": some}, BY_GU | {"by": ["sex"]}, BY_GU | {"by": ["gu", season]}):
        assert priced(sized, plan, None)["cell"] is None
        with pytest.raises(MarginRefused):
            priced(sized, plan, PERCENT)


def test_persons_are_told_for_persons_and_never_added_over_months(sized: Workspace) -> None:
    persons = {"measures": {"rides": {"fn": "persons"}}}
    found = priced(sized, BY_GU | persons | {"where": SEPTEMBER}, PERCENT)
    assert found["measures"]["rides"]["margin"] <= 40
    with pytest.raises(MarginRefused):
        priced(sized, BY_GU | persons, PERCENT)


def test_a_stored_answer_shows_the_size_and_the_price_names_it(sized: Workspace) -> None:
    answered = sized.ask(ANN, BY_GU | {"where": SEPTEMBER}, spend={"rho": "0.02"})
    spent = sized.spent(period=PERIODS[1])
    found = priced(sized, MONTHLY, {"rho": "0.01", "cell": answered.answer.id})
    # Of one month's cells 7, 4, 0 and 1 (`other`) the first two are shown.
    assert (found["cell"], found["cell_from"]) == (5, f"answer:{answered.answer.id}")
    share = {"by": ["gu", "sex"], "measures": {"part": {"fn": "share", "within": ["gu"]}}}
    expected = priced(sized, BY_GU | share, {"rho": "0.02", "cell": answered.answer.id})["measures"]["part"]
    assert expected["expected"]["cell"] == 5
    assert sized.spent(period=PERIODS[1]) == spent


def test_an_answer_that_the_asker_may_not_reopen_shows_her_nothing(sized: Workspace) -> None:
    answered = sized.ask(ANN, BY_GU)
    for unknown in (answered.answer.id, "ans-" + "a" * 26):
        with pytest.raises(UnknownAnswer):
            priced(sized, MONTHLY, {"rho": "0.01", "cell": unknown}, BEN, "walk")
    other = sized.ask(ANN, BY_GU | {"dataset": "accidents"})
    with pytest.raises(SpendInvalid):
        priced(sized, MONTHLY, {"rho": "0.01", "cell": other.answer.id})


def test_a_size_gives_the_same_question_the_same_price_and_the_same_answer(sized: Workspace) -> None:
    plan = BY_GU | {"where": {"column": "month", "op": "eq", "value": PERIODS[2]}, "by": ["gu"]}
    spend = PERCENT | {"cell": 150}
    first = sized.ask(ANN, plan, spend=spend)
    again = sized.ask(BEN, plan, spend={"margin": {"rides": 75}}, team="walk")
    assert (again.charged, again.answer.statement) == (0, first.answer.statement)


def test_an_entry_without_sizes_keeps_its_hash_and_one_with_them_is_signed_with_them() -> None:
    plain, sized = (parse_entry(CATALOG["rides"] + more, "rides.yaml") for more in ("", SIZES))
    document = plain.model_dump(mode="json")
    assert "sizes" in document and plain.hash() != sized.hash()
    # The hash of this very entry as it was before there were sizes.
    assert plain.hash() == BEFORE
    for wrong in ("sizes:\n  - {by: [nowhere], rows: 5}\n", "sizes:\n  - {by: [gu], rows: 0}\n",
                  "sizes:\n  - {by: [gu], rows: 5}\n  - {by: [gu], rows: 6}\n"):  # fmt: skip
        with pytest.raises(PolicyMalformed):
            parse_entry(CATALOG["rides"] + wrong, "rides.yaml")


def test_the_demonstrations_sizes_fit_its_catalog() -> None:
    source = Path("data_access/demo/catalog/bike_rides.yaml")
    entry = parse_entry((Path(__file__).parents[2] / source).read_text("utf-8"), source.name)
    assert {frozenset(size.by) for size in entry.sizes} >= {frozenset(), frozenset({"start_gu"})}
