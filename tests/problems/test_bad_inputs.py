"""What a report says where there is next to nothing to say: everything withheld, nothing opened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_access.demo import prepare as demo
from data_access.demo.city import build_city
from tests.factories import make_city
from tests.problems.conftest import ROOT, City, Template, blocks_of, check, open_city, table_of

RIDES = 2_000
NOTEBOOKS = ROOT / "notebooks"
#: What the reports below ask; `test_bike_routes` has a small city of its own.
DATASETS = (
    *("meal_card_uses", "meal_merchants", "donations", "donation_campaigns", "gu_facts"),
    *("shop_sales", "shop_areas", "parks"),
)
#: Above what any cell of the small city holds.
EVERYTHING = 10_000_000


@pytest.fixture(scope="module")
def silent(tmp_path_factory: pytest.TempPathFactory, warm_template: Template) -> Iterator[City]:
    """The small city under policies by which every private cell is withheld, and in which no park opened lately."""
    root = tmp_path_factory.mktemp("silent")
    for folder in ("catalog", "policies"):
        shutil.copytree(demo.HERE / folder, root / "shipped" / folder)
    for path in (root / "shipped" / "policies").glob("*.yaml"):
        policy = yaml.safe_load(path.read_text("utf-8"))
        if policy["lane"] == "private":
            policy["minimum"] = EVERYTHING
            path.write_text(yaml.safe_dump(policy, allow_unicode=True, sort_keys=False), "utf-8")
    files = build_city(root / "home" / "city" / "files", rides=RIDES, seed=2017)
    dates = files.parks.read_bytes()
    assert b"2025." in dates
    # Of one length: a finished city is known by the sizes of its files.
    files.parks.write_bytes(dates.replace(b"2025.", b"1995."))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(demo, "HERE", root / "shipped")
        yield from open_city(make_city(root / "home", RIDES, DATASETS), warm_template)


def estimates(found: dict[str, Any]) -> list[tuple[bool, object]]:
    """Of each row of each figure: is it withheld, and what figure stands there."""
    return [
        (bool(row.get("withheld")), row[column["name"]])
        for figure in found.values()
        if isinstance(figure, dict)
        for column in figure["table"]["columns"]
        if column["role"] == "measure"
        for row in table_of(figure)
    ]


@pytest.mark.parametrize("name", ["meal_cards", "donations"])
def test_a_report_of_which_everything_is_withheld_is_a_page_that_says_so(
    silent: City, tmp_path: Path, name: str
) -> None:
    run, page = silent.report(NOTEBOOKS / f"{name}.ipynb", tmp_path, gu="중구")
    found = blocks_of(run)
    assert len(found["messages"]) == 2 and "가렸습니다" in found["messages"][1]["ko"]
    assert any(withheld for withheld, _ in estimates(found))
    assert all(value is None for withheld, value in estimates(found) if withheld)
    check(page)


def test_a_report_on_openings_where_nothing_opened_says_that_it_cannot_say(
    silent: City, tmp_path: Path
) -> None:
    run, page = silent.report(NOTEBOOKS / "parks.ipynb", tmp_path)
    found = blocks_of(run)
    assert "cannot say" in found["messages"][0]["en"]
    assert set(found) == {"messages", "map-by-gu", "all-parks"}
    check(page)
