"""Measures of a clipped column, from a file to a signed table: what stands there is what the rows say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from data_access.errors import BinsMissing, MarginRefused
from data_access.flows import running
from data_access.query.compiler import compile_sql
from tests.factories import ANN, CATALOG, Workspace, make_policy, make_register, make_workspace, table

MINUTES = "  minutes: {source: minutes, type: integer, label: {ko: 분, en: Minutes}}\n"
#: Twenty members, one ride each: half of them in 중구, one of those without minutes, one far past the clip.
ROWS = [
    (
        "2026-08-01 08:30",
        f"m{i}",
        "중구" if i % 2 else "종로구",
        "FM"[i % 4 == 1],
        "" if i == 1 else str(1000 if i == 3 else i),
    )
    for i in range(20)
]


@pytest.fixture
def timed(tmp_path: Path) -> Iterator[Workspace]:
    made = make_workspace(tmp_path, catalog={"rides": CATALOG["rides"] + MINUTES}, governed=False)
    made.accept(make_register(made.keys, made.demo_keys))
    clips = {"minutes": {"low": 0, "high": 30, "unit": "minute", "bins": [0, 10, 30]}}
    made.activate(make_policy(made.entry(), clips=clips))
    made.load("rides", ("time", "member", "gu", "sex", "minutes"), ROWS)
    yield made
    made.parts.close()


def plan(**measures: dict[str, Any]) -> dict[str, Any]:
    return {"dataset": "rides", "by": ["gu"], "measures": measures}


def test_without_noise_every_figure_is_what_the_rows_say(timed: Workspace) -> None:
    found = table(
        timed.ask(
            ANN,
            plan(
                n={"fn": "count"},
                s={"fn": "sum", "column": "minutes"},
                m={"fn": "mean", "column": "minutes"},
                h={"fn": "histogram", "column": "minutes"},
                q={"fn": "quantiles", "column": "minutes", "at": [50]},
                f={"fn": "share", "where": {"column": "sex", "op": "eq", "value": "M"}},
                part={"fn": "share"},
            ),
        )
    )
    row = found[("중구",)]
    # 5, 7, … 19 and 30, which 1000 is clipped to; the missing one counts as a ride and as no minutes.
    assert (row["n"], row["s"], row["m"]) == (10, 126, "14.000")
    assert (row["h_bin1"], row["h_bin2"]) == (3, 6)
    assert (row["f"], row["part"]) == ("0.50000", "0.50000")
    assert row["q_q50_low"] == "0.000" and row["q_q50_high"] == "30.000"
    assert row["s_high"] - row["s"] == row["s"] - row["s_low"] > 0
    # Minimum 2 and bound 2 ask for a noisy count of 4.
    empty = found[("강동구",)]
    assert empty.pop("withheld") and set(empty.values()) == {None}


def test_the_statement_names_bins_places_mechanisms_and_methods(timed: Workspace) -> None:
    measures = plan(
        m={"fn": "mean", "column": "minutes"},
        h={"fn": "histogram", "column": "minutes"},
        q={"fn": "quantiles", "column": "minutes", "at": [50]},
    )
    statement = timed.ask(ANN, measures).answer.document()["statement"]
    columns = {column["name"]: column for column in statement["table"]["columns"]}
    assert columns["h_bin1_low"] == {"name": "h_bin1_low", "role": "low", "measure": "h", "bin": [0, 9]}
    assert columns["h_bin2"]["bin"] == [10, 30] and columns["q_q50"]["per_cent"] == 50
    assert "count" in columns, "withheld by a count that was paid for"
    mechanisms = statement["mechanism"]["measures"]
    assert [part["sensitivity_squared"] for part in mechanisms["m"]["parts"]] == [4, 60 * 60]
    assert mechanisms["m"]["scale"] is None and mechanisms["m"]["interval"] == "fieller"
    assert mechanisms["q"]["interval"] == "woodruff" and mechanisms["h"]["margin"] > 0
    assert sum(m["rho"] for m in mechanisms.values()) <= statement["spend"]["rho"]


def test_asked_again_in_other_words_it_is_free_and_the_same_bytes(timed: Workspace) -> None:
    first = timed.ask(ANN, plan(s={"fn": "sum", "column": "minutes"}))
    again = timed.ask(ANN, plan(count={"fn": "count"}, s={"fn": "sum", "column": "minutes", "weight": 1}))
    assert first.charged > 0 == again.charged and first.answer.statement == again.answer.statement


@pytest.mark.parametrize("column", ["minutes"])
def test_missing_values_are_asked_for_by_name_and_bands_have_their_own_key(
    timed: Workspace, column: str
) -> None:
    count = {"n": {"fn": "count"}}
    bands = table(timed.ask(ANN, plan(**count) | {"by": [{"fn": "band", "column": column}]}))
    # Below 4 a cell is withheld: only one ride has no minutes.
    assert {key: row["n"] for key, row in bands.items()} == {("0..9",): 8, ("10..30",): 11, ("other",): None}
    present = plan(**count) | {"by": [], "where": {"column": column, "op": "not_null"}}
    assert table(timed.ask(ANN, present))[()]["n"] == 19


def test_what_is_refused_is_refused_before_it_costs(timed: Workspace) -> None:
    with pytest.raises(MarginRefused):
        timed.ask(ANN, plan(m={"fn": "mean", "column": "minutes"}), spend={"margin": {"m": 1}})
    timed.activate(
        make_policy(timed.entry(), version=2, clips={"minutes": {"low": 0, "high": 30, "unit": "minute"}})
    )
    with pytest.raises(BinsMissing):
        timed.ask(ANN, plan(h={"fn": "histogram", "column": "minutes"}))
    assert timed.spent() == 0


def test_persons_are_counted_some_after_the_others_and_every_measure_adds_up(
    timed: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = plan(
        p={"fn": "persons"},
        n={"fn": "count"},
        s={"fn": "sum", "column": "minutes"},
        m={"fn": "mean", "column": "minutes"},
        h={"fn": "histogram", "column": "minutes"},
    )
    whole = table(timed.ask(ANN, asked, spend={"rho": "0.01"}))
    compiled: list[Any] = []

    def compile_part(*arguments: Any, units: tuple[int, int]) -> str:
        compiled.append(units)
        return compile_sql(*arguments, units=units)

    monkeypatch.setattr(running, "UNITS_AT_ONCE", 7)
    monkeypatch.setattr(running, "compile_sql", compile_part)
    assert table(timed.ask(ANN, asked, spend={"rho": "0.01"}, fresh=True)) == whole
    assert compiled == [(1, 8), (8, 15), (15, 22)]
    assert whole[("중구",)]["p"] == 10
    monthly = asked | {"by": ["gu", "month"]}
    assert table(timed.ask(ANN, monthly, spend={"rho": "0.01"}))[("중구", "2026-08")]["p"] == 10
