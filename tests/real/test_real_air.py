"""The open lane on a real file: 17,745 station-days of Seoul's air, every value as the file has it.

Where the file is not beside the checkout the tests skip. None of its rows is in the project: what is compared is read
from the file by Python's own csv reader, which shares nothing with the intake.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path
from typing import Any

import pytest

from data_access.errors import LoadValue
from data_access.flows.loading import load
from tests.factories import ANN, Workspace, make_open_policy, make_register, make_workspace
from tests.real.sources import SHARED

FILE = SHARED / "air" / "seoul_air_daily_2019.csv"
LAYOUT = Path(__file__).parent / "air_2019.yaml"
NUMBERS = {"no2": 3, "o3": 3, "co": 1, "so2": 3, "pm10": 0, "pm25": 0}
pytestmark = [
    pytest.mark.skipif(
        not FILE.is_file(), reason="the real file is not beside the checkout (../shared/data/air)"
    ),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    catalog = {"air_days": LAYOUT.read_text("utf-8")}
    workspace = make_workspace(
        tmp_path_factory.mktemp("air") / "home", isolated=True, catalog=catalog, governed=False
    )
    workspace.accept(make_register(workspace.keys))
    entry = workspace.entry("air_days")
    policy = workspace.activate(make_open_policy(entry, synthetic=False, lineage="real-air"))
    load(workspace.parts.vault, entry, [FILE], lineage=policy.lineage, policy=policy, by="test")
    yield workspace
    workspace.parts.close()


@pytest.fixture(scope="module")
def lines() -> list[list[str]]:
    """The file's lines without its header."""
    with FILE.open(encoding="cp949", newline="") as file:
        return list(csv.reader(file))[1:]


def ask(made: Workspace, **question: Any) -> dict[str, Any]:
    document: dict[str, Any] = made.ask(ANN, {"dataset": "air_days"} | question).answer.document()[
        "statement"
    ]
    return document


def as_answered(line: list[str]) -> list[Any]:
    day, station, *measured = line
    shown: list[Any] = [f"{day[:4]}-{day[4:6]}-{day[6:]}", station]
    for text, places in zip(measured, NUMBERS.values(), strict=True):
        shown.append(None if text == "" else f"{Decimal(text):.{places}f}" if places else int(text))
    return shown


def test_every_line_of_the_file_is_a_row_and_every_value_is_the_files(
    made: Workspace, lines: list[list[str]]
) -> None:
    found: list[Any] = []
    after = None
    while True:
        statement = ask(made, rows=["*"], after=after)
        assert statement["matching"] == len(lines) == 17_745 and statement["synthetic"] is False
        found += statement["table"]["rows"]
        after = statement["next"]
        if after is None:
            break
    assert found == [as_answered(line) for line in lines]


def test_sums_counts_and_means_are_those_of_the_file(made: Workspace, lines: list[list[str]]) -> None:
    by_station: dict[str, list[list[str]]] = defaultdict(list)
    for line in lines:
        by_station[line[1]].append(line)
    for place, (name, places) in enumerate(NUMBERS.items(), 2):
        measures = {"n": {"fn": "count"}} | {fn: {"fn": fn, "column": name} for fn in ("sum", "mean")}
        table = ask(made, by=["station"], measures=measures)["table"]
        assert [column["name"] for column in table["columns"]] == ["station", "mean", "n", "sum"]
        assert [row[0] for row in table["rows"]] == sorted(by_station)
        for station, mean, n, summed in table["rows"]:
            values = [Decimal(line[place]) for line in by_station[station] if line[place]]
            total, step = sum(values, Decimal(0)), Decimal(1).scaleb(-places - 3)
            assert n == len(by_station[station])
            assert summed == (f"{total:.{places}f}" if places else int(total))
            average = (total / len(values)).quantize(step, ROUND_HALF_EVEN) if values else None
            assert mean == (None if average is None else str(average))


def test_a_filter_and_sql_find_the_days_that_the_file_has(made: Workspace, lines: list[list[str]]) -> None:
    expected = [
        [as_answered(line)[0], line[1]] for line in lines if line[6] and int(line[6]) > 150 and line[2]
    ]
    sql = "SELECT day, station FROM air_days WHERE pm10 > 150 AND no2 IS NOT NULL"
    statement = made.ask(ANN, None, sql=sql).answer.document()["statement"]
    assert statement["table"]["rows"] == expected and statement["matching"] == len(expected) > 0


def test_a_value_with_more_decimals_than_the_catalog_says_refuses_the_file_at_its_line(
    made: Workspace, tmp_path: Path
) -> None:
    """Nothing is rounded in silence: the layout is mended, or the file is not taken."""
    text = FILE.read_bytes().decode("cp949").split("\r\n")
    spoiled = text[2].split(",")
    spoiled[4] = "0.95"
    path = tmp_path / "air.csv"
    path.write_bytes("\r\n".join([*text[:2], ",".join(spoiled), *text[3:]]).encode("cp949"))
    with made.parts.database.reading() as connection:
        policy = made.parts.governing.in_any_lane(connection, "air_days").policy
    with pytest.raises(LoadValue) as refused:
        load(
            made.parts.vault, made.entry("air_days"), [path], lineage=policy.lineage, policy=policy, by="test"
        )
    assert (refused.value.facts["line"], refused.value.facts["column"]) == (3, "일산화탄소농도(ppm)")
    assert ask(made, measures={"n": {"fn": "count"}})["table"]["rows"] == [[17_745]]
