"""999 real trips and 1,656 real accidents, from two files to a page that anyone may read.

Real: files, users, verbs, gateway process, DuckDB, SQLite, HTTP, kernel, noise, signatures. Faked: the Hub.
No row of the files is in the repository; they are read from ../shared/data (or CIVIC_SHARED_DATA).
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from civic_kernel.reports.cli import report
from civic_kernel.verify.page import check_page
from data_access.privacy.budget import Rho
from data_access.privacy.mechanisms import DiscreteGaussianNoise, Gaussian
from tests.real import sources
from tests.real.conftest import Exact, Published, reason_to_skip

_LACKING = reason_to_skip()
pytestmark = [
    pytest.mark.root,
    pytest.mark.slow,
    pytest.mark.skipif(_LACKING is not None, reason=str(_LACKING)),
]

AT_LEAST = 0.93
#: Canonical plans have their keys in alphabetical order.
KEYS = {("hour", "start_gu"), ("month", "start_gu"), ("gu", "hour"), ("gu", "month")}


def keys_of(statement: dict[str, Any]) -> list[str]:
    return [column["name"] for column in statement["table"]["columns"] if column["role"] == "key"]


def cells_of(statement: dict[str, Any]) -> list[tuple[Any, ...]]:
    width = len(keys_of(statement))
    return [tuple(row[:width]) for row in statement["table"]["rows"]]


def rows_of(statement: dict[str, Any]) -> Any:
    return sources.trips() if statement["dataset"] == "bike_rides_public" else sources.accidents()


def mechanism_of(statement: dict[str, Any]) -> Gaussian:
    (signed,) = statement["mechanism"]["measures"].values()
    return Gaussian(signed["sensitivity_squared"], Rho(signed["rho"]), signed["scale"])


# --- what was asked and counted ---


def test_real_data_are_open_since_the_vault_belongs_to_another_user(published: Published) -> None:
    assert published.isolated
    vault = published.city.home / "vault"
    assert vault.stat().st_uid != 0 and vault.stat().st_mode & 0o077 == 0
    assert {path.stat().st_uid for path in vault.iterdir()} == {vault.stat().st_uid}


def test_both_files_were_asked_by_gu_and_hour_and_by_gu_and_month(published: Published) -> None:
    statements = [body["statement"] for body in published.answers]
    assert {tuple(keys_of(s)) for s in statements} == KEYS
    for statement in statements:
        assert statement["lane"] == "private" and statement["synthetic"] is False
        assert statement["unit"] == {"kind": "row", "period": "month"} and statement["row_bound"] == 1
        assert statement["periods"] == [f"2017-{month:02d}" for month in range(1, 13)]
        assert statement["team"] == "site"


def test_the_vault_counts_every_row_where_it_belongs(published: Published) -> None:
    """Against counts that pandas makes of the files, and with the 22 trips from stations that no list has."""
    for body in published.answers:
        statement, exact = body["statement"], published.exact[body["answer_id"]]
        keys, cells = keys_of(statement), cells_of(statement)
        # Compared outside the assert, which would print both: exact counts belong in no log.
        same = exact.tolist() == sources.true_counts(rows_of(statement), keys, cells)
        assert same, keys
        other = sum(n for n, cell in zip(exact.tolist(), cells, strict=True) if "other" in cell)
        trips = statement["dataset"] == "bike_rides_public"
        assert (int(exact.sum()), other) == ((999, 22) if trips else (1_656, 0))


def test_signed_cells_are_the_true_counts_and_noise(published: Published) -> None:
    """All cells that are shown lie within six σ, and they are not the counts themselves."""
    for body in published.answers:
        statement, exact = body["statement"], published.exact[body["answer_id"]].tolist()
        width, sigma = len(keys_of(statement)), float(mechanism_of(statement).scale)
        shown = [
            (row[width], n) for row, n in zip(statement["table"]["rows"], exact, strict=True) if not row[-1]
        ]
        assert shown
        assert max(abs(noisy - n) for noisy, n in shown) <= 6 * sigma
        assert any(noisy != n for noisy, n in shown)
        hidden = [row[width:-1] for row in statement["table"]["rows"] if row[-1]]
        assert all(value is None for row in hidden for value in row)


def test_an_answer_is_charged_once_and_kept(published: Published) -> None:
    assert [body["charged"] for body in published.answers] == [12 * 100_000_000] * 4
    for first, again in zip(published.answers, published.again, strict=True):
        assert again["charged"] == 0
        assert (again["statement"], again["signature"]) == (first["statement"], first["signature"])


# --- how sure the page may be ---


def coverage(statement: dict[str, Any], exact: Exact, draws: int) -> tuple[float, float]:
    """The part of all cells of so many answers, before withholding, whose interval holds the true count: with the
    signed margin, and with half of it.
    """
    true = np.tile(exact, draws)
    off = np.abs(np.asarray(DiscreteGaussianNoise().add(true, mechanism_of(statement))) - true)
    (signed,) = statement["mechanism"]["measures"].values()
    return float((off <= signed["margin"]).mean()), float((off <= signed["margin"] / 2).mean())


def test_intervals_cover_the_true_counts(published: Published, pytestconfig: pytest.Config) -> None:
    """And half their width, as the control, does not. Each draw has hundreds of cells; `make coverage` takes 1,000."""
    draws = int(pytestconfig.getoption("--draws"))
    statements = [body["statement"] for body in published.answers]
    exact = [published.exact[body["answer_id"]] for body in published.answers]
    with ThreadPoolExecutor(2) as pool:  # opendp draws outside Python's lock
        measured = list(pool.map(partial(coverage, draws=draws), statements, exact))
    for statement, (whole, half) in zip(statements, measured, strict=True):
        print(statement["dataset"], *keys_of(statement), f"covered {whole:.4f}, by half {half:.4f}")
        assert whole >= AT_LEAST > half


# --- what stands on the site ---


def test_two_stewards_approvals_put_the_page_on_the_site(published: Published) -> None:
    assert published.approvals == ["waiting", "approved"]
    assert len(published.built.listed) == 1 and not published.built.refused
    (listed,) = published.built.listed
    assert {key.person for key in listed.approvers} == {"steward-city", "steward-cso"}
    assert not any(key.demo for key in listed.approvers)


def test_civic_report_check_passes_on_the_page(published: Published) -> None:
    done = CliRunner().invoke(report, ["check", str(published.page / "ko" / "index.html"), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    shown = sum(not row[-1] for b in published.answers for row in b["statement"]["table"]["rows"])
    assert found["good"] and found["answers"] == 4
    # Every cell of the four answers was compared with its signed words, the withheld ones as blanks.
    assert found["numbers"] == 3 * sum(len(b["statement"]["table"]["rows"]) for b in published.answers)
    assert shown > 100


def test_check_finds_one_digit_changed(published: Published, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(published.page, tmp_path / "page"))
    path = copied / "data" / "trips-by-hour-cells.csv"
    path.write_bytes(path.read_bytes().replace(b",false", b"0,false", 1))
    assert check_page(copied).wrong


def test_the_pages_own_ranges_lie_around_the_truth(published: Published) -> None:
    """The map's table, which the notebook's functions made. A withheld gu has no range to be wrong about."""
    table = (published.page / "data" / "accidents-by-gu.csv").read_bytes().decode("utf-8-sig")
    shown = [row for row in csv.DictReader(io.StringIO(table)) if row["withheld"] == "false"]
    cells = [(row["gu"], "2017-09") for row in shown]
    true = sources.true_counts(sources.accidents(), ["gu", "month"], cells)
    inside = [
        float(row["accidents_low"]) <= n <= float(row["accidents_high"])
        for row, n in zip(shown, true, strict=True)
    ]
    # One page is one draw of some 20 ranges at 95 %. Under half of them would come less than once in a million
    # pages; how often they cover is measured over many draws, above.
    assert len(inside) >= 10 and sum(inside) / len(inside) >= 0.5


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_page_speaks_of_records_and_never_of_a_demonstration(published: Published, language: str) -> None:
    page = (published.page / language / "index.html").read_text("utf-8")
    words = html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"srcdoc='.*?'", "", page, flags=re.DOTALL)))
    for title in (
        ("Public bike trips", "Bike accidents")
        if language == "en"
        else (
            "공공자전거 대여이력",
            "자전거 교통사고",
        )
    ):
        counted = {
            "ko": f"{title}: 사람 수가 아니라 기록된 건수로 셉니다.",
            "en": f"{title}: counted per record, never per person.",
        }[language]
        assert counted in words
        protected = {
            "ko": f"{title}: 기록에 사람이 적혀 있지 않아",
            "en": f"{title}: the records name no person",
        }
        assert protected[language] in words
    false = {
        "ko": ("시연", "가상", "한 사람의 한 달", "한 사람 한 사람을"),
        "en": ("demonstration", "made-up", "person's month", "each person"),
    }[language]
    assert [phrase for phrase in false if phrase in words] == []
    # No page of the site, in its maps neither, speaks of a demonstration in either language.
    site = " ".join(path.read_text("utf-8") for path in published.site.rglob("*.html"))
    site = site.replace("record.demonstration", "")  # the name of a field, in the script of the check
    assert [phrase for phrase in ("시연", "가상", "emonstration", "made-up") if phrase in site] == []


def test_every_figure_says_per_record(published: Published) -> None:
    for language, words in (("ko", "기록된 건수로 셉니다."), ("en", "counted per record, never per person.")):
        page = (published.page / language / "index.html").read_text("utf-8")
        figures = re.findall(r"<figure>.*?</figure>", page, flags=re.DOTALL)
        assert len(figures) == 7
        assert all(words in figure for figure in figures)


def readings(data: bytes) -> str:
    """A file as a person or program may read it: as it is, with entities and with JSON's escapes undone."""
    plain = data.decode("utf-8-sig")
    once = html.unescape(plain)
    spelled = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m.group(1), 16)), plain)
    return "\n".join({plain, once, html.unescape(once), spelled})


def test_the_search_finds_every_person_level_value_in_the_sources() -> None:
    """The positive control: what the next test looks for is there, and would be seen in any spelling."""
    found = sources.values_in(readings(sources.TRIPS.read_bytes()) + readings(sources.ACCIDENTS.read_bytes()))
    # Asserts here name kinds and numbers alone: one that failed would write the values into a log.
    sought = sources.person_level_values()
    missed = [kind for kind, values in sought.items() if found.get(kind, set()) != set(values)]
    assert missed == []
    many = {kind: len(values) for kind, values in sought.items()}
    assert len(many) == 12 and many["accident number"] == 1_656 and many["birth year"] > 50
    for kind, values in sought.items():
        value = sorted(values)[0]
        for planted in (
            value,
            html.escape(f"<b>{value}</b>"),
            json.dumps({"at": value}),
            f'data-x="{value}"',
        ):
            seen = value in sources.values_in(readings(planted.encode())).get(kind, set())
            assert seen, kind


def test_no_person_level_value_is_anywhere_on_the_site(published: Published) -> None:
    files = [path for path in published.site.rglob("*") if path.is_file()]
    assert len(files) > 20
    kinds = {path.relative_to(published.site): _kinds_in(path) for path in files}
    assert {path: found for path, found in kinds.items() if found} == {}


def _kinds_in(path: Path) -> list[str]:
    if path.suffix in (".pdf", ".png"):
        # Drawn by a browser from one of the pages, which is looked at itself: in them words are shapes.
        assert path.with_name("index.html").is_file()
        return []
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as packed:
            parts = [packed.read(n) for n in packed.namelist() if not n.endswith((".pdf", ".png"))]
        assert len(parts) > 20
    else:
        parts = [path.read_bytes()]
    return sorted({kind for part in parts for kind in sources.values_in(readings(part))})


def test_tables_hold_places_times_and_counts_alone(published: Published) -> None:
    """No column that a row of the files could stand in: gu, hour or month, and figures with their ranges."""
    figures = {"trips", "accidents", "rate"}
    allowed = {"gu", "start_gu", "hour", "month", "withheld"}
    allowed |= {f"{name}{end}" for name in figures for end in ("", "_low", "_high")}
    tables = sorted((published.page / "data").glob("*.csv"))
    assert len(tables) == 7
    for path in tables:
        head = next(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))
        assert set(head) <= allowed, path.name
