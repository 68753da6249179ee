"""What a report says where there is next to nothing to say: everything withheld, one gu withheld, nothing opened."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from data_access.demo import prepare as demo
from tests.problems.conftest import ROOT, City, blocks_of, check, served_city, table_of

NOTEBOOKS = ROOT / "notebooks"
#: Above what any cell of the small city holds.
EVERYTHING = 10_000_000


@pytest.fixture(scope="module")
def withholding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """The small city under policies by which every private cell is withheld; its open data have but one quarter."""
    root = tmp_path_factory.mktemp("withholding")
    for folder in ("catalog", "policies"):
        shutil.copytree(demo.HERE / folder, root / "shipped" / folder)
    for path in (root / "shipped" / "policies").glob("*.yaml"):
        policy = yaml.safe_load(path.read_text("utf-8"))
        if policy["lane"] == "private":
            policy["minimum"] = EVERYTHING
            path.write_text(yaml.safe_dump(policy, allow_unicode=True, sort_keys=False), "utf-8")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(demo, "HERE", root / "shipped")
        with served_city(root / "home") as city:
            yield city


@pytest.mark.parametrize("name", ["bike_routes", "meal_cards"])
def test_a_report_of_which_everything_is_withheld_is_a_page_that_says_so(
    withholding: City, tmp_path: Path, name: str
) -> None:
    run, page = withholding.report(NOTEBOOKS / f"{name}.ipynb", tmp_path, gu="중구")
    found = blocks_of(run)
    assert len(found["messages"]) == 2 and "가렸습니다" in found["messages"][1]["ko"]
    for figure in found.values():
        if isinstance(figure, dict):
            measures = [column["name"] for column in figure["table"]["columns"] if column["role"] == "measure"]
            assert all(row[name] is None for row in table_of(figure) for name in measures)
    check(page)


def test_a_gu_that_is_withheld_is_said_to_be_and_the_others_are_not(city: City, tmp_path: Path) -> None:
    run, page = city.report(NOTEBOOKS / "bike_routes.ipynb", tmp_path, gu="all")
    check(page)
