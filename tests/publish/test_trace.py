"""Any number on a page is followed to a signed answer, or to the words of the notebook that the reviewers read."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from civic_kernel.errors import NotPublishable
from civic_kernel.publish.exporter import literals
from civic_kernel.verify.cli import trace
from civic_kernel.verify.trace import find_number, number_of, numbers_in, trace_page
from tests.publish.conftest import Made
from tests.reports import standin


def read_text(page: Path) -> str:
    """What a reader reads of a page: no scripts, no drawings, no addresses."""
    words = re.sub(
        r"<(script|style|svg|iframe|head)\b.*?</\1>", " ", page.read_text("utf-8"), flags=re.DOTALL
    )
    return re.sub(r"https://\S+", " ", html.unescape(re.sub(r"<[^>]+>", " ", words)))


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_number_on_the_page_leads_somewhere(made: Made, language: str) -> None:
    figures = trace_page(made.folder)
    written = {number_of(part) for part in literals(made.run.executed)}
    statements = [
        json.loads(path.read_text("utf-8"))["statement"] for path in (made.folder / "answers").iterdir()
    ]
    # What the page says of the answers themselves: bound, minimum, months, days; how many rows and districts.
    about = {number_of(str(s[name])) for s in statements for name in ("row_bound", "minimum")}
    about |= {
        number_of(part) for s in statements for part in numbers_in(" ".join(s["periods"]).replace("-", " "))
    }
    about |= {number_of(part) for s in statements for part in re.findall(r"\d+", s["issued_at"])}
    tables = [path.read_text("utf-8-sig") for path in (made.folder / "data").glob("*.csv")]
    about |= {number_of(str(len(table.splitlines()) - 1)) for table in tables}
    unknown = [
        spelled
        for spelled in numbers_in(read_text(made.folder / language / "index.html"))
        if not find_number(figures, spelled) and number_of(spelled) not in written | about
    ]
    assert unknown == []
    # The control: a number that no answer has is not found.
    assert find_number(figures, "987,654,321") == []


def test_a_sum_names_its_cells_and_a_figure_its_answers(made: Made) -> None:
    figures = trace_page(made.folder)
    asked = made.run.record["answers"]
    of_rides = {answer["answer_id"] for answer in asked if answer["dataset"] == "bike_rides"}
    rides = [f for f in figures if f.table == "map-by-gu" and f.column == "rides"]
    months = len(made.run.record["parameters"]["months"])
    assert len(rides) == 25 and all({*f.source.answers} < of_rides for f in rides)
    assert {f.source.cells for f in rides} == {months}
    by_month = [f for f in figures if f.table == "rides-by-month" and f.column == "rides"]
    assert [f.source.kind for f in by_month] == ["sum"] * months
    assert {f.source.cells for f in by_month} == {25}
    rates = [f for f in figures if f.column == "rate"]
    assert rates and all(len(f.source.answers) > 1 and not {*f.source.answers} <= of_rides for f in rates)
    assert {f.source.kind for f in rates} == {"computed"}


@pytest.mark.parametrize(
    ("spelled", "finds"), [("1,235", True), ("−4", True), ("1.5", True), ("1.4", False), ("2", True)]
)
def test_a_number_is_found_as_a_page_spells_it(made: Made, spelled: str, finds: bool) -> None:
    (some, *_) = trace_page(made.folder)
    known = [type(some)(**{**vars(some), "value": value}) for value in ("1235", "-4", "1.52", "2")]
    assert bool(find_number(known, spelled)) is finds


def test_the_command_says_it_in_words(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVIC_LANGUAGE", "en")
    rows = list(csv.DictReader(io.StringIO((made.folder / "data" / "map-by-gu.csv").read_text("utf-8-sig"))))
    wanted = f"{int(rows[0]['rides']):,}"
    call = CliRunner(catch_exceptions=False).invoke
    one = call(trace, ["verify", str(made.folder / "ko" / "index.html"), wanted])
    assert one.exit_code == 0 and rows[0]["gu"] in one.stdout and "signed answer ans-" in one.stdout
    every = call(trace, ["verify", str(made.folder), "--json"])
    kinds = {line["source"]["kind"] for line in json.loads(every.stdout)["figures"]}
    assert kinds <= {"cell", "sum", "computed"} and "computed" in kinds
    with pytest.raises(NotPublishable, match="987,654"):
        call(trace, ["verify", str(made.folder), "987,654"])


def test_an_altered_table_is_not_followed(copied: Path) -> None:
    path = copied / "data" / "map-by-gu.csv"
    path.write_bytes(path.read_bytes().replace(standin.GU[0].encode(), standin.GU[1].encode(), 1))
    with pytest.raises(NotPublishable):
        CliRunner(catch_exceptions=False).invoke(trace, ["verify", str(copied)])
