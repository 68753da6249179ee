"""A workshop's notebook is rehearsed on made-up rows, and what it would ask is known, and bought once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

import civic_kernel as civic
from civic_kernel import opening_cli, practice
from civic_kernel.client import Client
from civic_kernel.opening_cli import add_up, price_tables
from civic_kernel.rehearsing import Rehearsal, code_cells, rehearse
from data_access.compose import Parts
from data_access.gateway.workspace import workspace_app
from tests.factories import FakeIdentity, copy_city, make_caller

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
RIDES = "rides = civic.dataset('bike_rides')\n"
BY_GU = "rides.where(rides.month == '2026-09').by(rides.start_gu).agg(n=civic.count())"


def run(notebook: Path, client: Client) -> Rehearsal:
    return rehearse(code_cells(notebook.read_text("utf-8")), notebook.parent, client)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory, small_city: Path) -> Iterator[Parts]:
    """The demonstration with a small city in its vault."""
    made = copy_city(small_city, tmp_path_factory.mktemp("rehearsal") / "home")
    yield made
    made.close()


@pytest.fixture
def asking(parts: Parts) -> Callable[[str], Client]:
    """Two persons of one team, each with a client of her own."""
    people = {name: make_caller(name, ["bike"], "read", "ask") for name in ("facilitator", "seat")}
    app = workspace_app(parts, FakeIdentity(people), prefix="")
    return lambda name: Client("", name, "bike", "workshop", "en", http=TestClient(app))


@pytest.fixture
def client(asking: Callable[[str], Client]) -> Client:
    return asking("facilitator")


@pytest.fixture(autouse=True)
def small_twins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(practice, "ROWS", 5_000)


def write(folder: Path, *cells: str) -> Path:
    path = folder / "workshop.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells]), path)
    return path


def test_the_workshops_notebook_runs_to_its_end_on_made_up_rows_and_asks_three_tables(
    client: Client,
) -> None:
    client.language = "ko"
    before = civic._client
    found = run(NOTEBOOKS / "workshop_bike.ipynb", client)
    assert found.fault is None and found.cells == 8
    assert [asked.plan["dataset"] for asked in found.asked] == ["bike_rides", "bike_rides", "accidents"]
    # Nothing was asked, and this process speaks with whom it spoke before.
    assert civic._client is before and client.team_answers() == []


@pytest.mark.parametrize(
    ("name", "tables"), [("1_reading", 6), ("2_comparing", 3), ("3_telling", 2)], ids=lambda part: str(part)
)
def test_a_tutorial_runs_to_its_end_in_both_languages_and_asks_the_same(
    client: Client, name: str, tables: int
) -> None:
    told: list[list[object]] = []
    for language in ("ko", "en"):
        client.language = language
        found = run(NOTEBOOKS / f"tutorial_{name}.{language}.ipynb", client)
        assert found.fault is None, found.fault
        told.append([found.cells, [(asked.plan, asked.spend) for asked in found.asked]])
    assert told[0] == told[1] and len(told[0][1]) == tables  # type: ignore[arg-type]
    assert client.team_answers() == []


def test_a_question_is_noted_once_and_whichever_data_the_notebook_says(
    client: Client,
    tmp_path: Path,
) -> None:
    notebook = write(
        tmp_path,
        "import civic_kernel as civic\ncivic.use('twin')\n" + RIDES,
        f"{BY_GU}.ask()",
        "civic.use('real')\n" + RIDES + f"{BY_GU}.ask(quiet=True)",
        f"{BY_GU}.ask('fine', purpose='exploration')",
        "%%civic --spend normal\nSELECT start_gu, count(*) n FROM bike_rides WHERE month = '2026-08' GROUP BY start_gu",
        f"{BY_GU}.price()",
    )
    found = run(notebook, client)
    assert found.fault is None
    assert [(asked.spend, asked.purpose) for asked in found.asked] == [
        (None, None),
        ({"precision": "fine"}, "exploration"),
        ({"precision": "normal"}, None),
    ]
    assert found.asked[2].plan["where"] == {"column": "month", "op": "in", "values": ["2026-08"]}
    assert practice.in_use() == "real"


@pytest.mark.parametrize(
    ("line", "kind", "says"),
    [
        ("1 / 0", "ZeroDivisionError", ""),
        ("rides.start_goo", "UnknownColumn", "start_goo"),
        ("civic.connect().allow({})", "PlanInvalid", "allowance"),
        ("civic.approve('apr-x')", "PlanInvalid", "allowance"),
        ("1 +", "SyntaxError", ""),
    ],
)
def test_a_notebook_that_stops_says_in_which_cell(
    client: Client,
    tmp_path: Path,
    line: str,
    kind: str,
    says: str,
) -> None:
    notebook = write(tmp_path, "import civic_kernel as civic\n" + RIDES, f"{BY_GU}.ask()", line, "never = 1")
    fault = run(notebook, client).fault
    assert fault is not None and (fault.cell, fault.kind) == (3, kind) and says in fault.sentence


def test_bought_once_the_tables_are_free_for_a_seat_of_the_team(
    asking: Callable[[str], Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = write(
        tmp_path,
        "import civic_kernel as civic\n" + RIDES,
        f"{BY_GU}.ask(quiet=True)",
        "rides.where(rides.month == '2026-09').agg(n=civic.count()).ask(quiet=True)",
    )
    monkeypatch.setattr(Client, "from_settings", lambda *_: asking("facilitator"))
    runner = CliRunner()
    tried = runner.invoke(opening_cli.open_, [str(notebook)])
    assert tried.exit_code == 0, tried.output
    assert "to be bought" in tried.output and "Nothing is bought yet" in tried.output
    seat = asking("seat")
    rehearsal = run(notebook, seat)
    before = price_tables(seat, rehearsal.asked)
    assert len(before) == 2 and all(table.months == ["2026-09"] for table in before)
    [total] = add_up(seat, before)
    assert total.nano == sum(table.price.rho for table in before) and 0 < total.of_cap <= total.of_left
    paid = runner.invoke(opening_cli.open_, [str(notebook), "--buy", "--json"])
    assert paid.exit_code == 0, paid.exception
    bought = json.loads(paid.stdout)
    assert len(bought["bought"]) == 2 and max(bought["bought"].values()) > 0
    after = price_tables(seat, rehearsal.asked)
    assert all(table.price.free and not table.months for table in after) and add_up(seat, after) == []
    assert seat.ask(after[0].asked.plan, after[0].asked.spend).charged == 0


def test_nothing_is_bought_for_a_notebook_that_stops(
    asking: Callable[[str], Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Client, "from_settings", lambda *_: asking("facilitator"))
    notebook = write(
        tmp_path,
        "import civic_kernel as civic\n" + RIDES,
        "rides.where(rides.month == '2026-07').agg(n=civic.count()).ask()",
        "1 / 0",
    )
    done = CliRunner().invoke(opening_cli.open_, [str(notebook), "--buy"])
    assert done.exit_code == opening_cli.EXIT_STOPPED and "code cell 3 (ZeroDivisionError)" in done.output
    asked = [line.plan for line in asking("seat").team_answers()]
    assert not any("2026-07" in str(plan) for plan in asked)
    broken = tmp_path / "broken.ipynb"
    broken.write_text("not a notebook")
    assert CliRunner().invoke(opening_cli.open_, [str(broken)]).exit_code == 2
