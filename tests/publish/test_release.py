"""A release holds what a citizen is owed, the same run gives the same bytes, and any change is found."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest

from civic_kernel.errors import NotPublishable
from civic_kernel.publish.pages import Sources, build_release
from civic_kernel.publish.printing import Paper
from civic_kernel.verify.page import check_page
from tests.publish.conftest import ADDRESS, Made
from tests.reports import standin


def test_the_same_run_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    again = build_release(
        made.run, tmp_path / "again", made.sources, author="reports", paper=Paper(), address=ADDRESS
    )
    assert again == json.loads((made.folder / "release.json").read_text("utf-8"))
    for line in again["files"]:
        assert (tmp_path / "again" / line["path"]).read_bytes() == (made.folder / line["path"]).read_bytes()


def test_a_page_with_its_map_stays_under_600_kb(made: Made) -> None:
    for language in ("ko", "en"):
        assert (made.folder / language / "index.html").stat().st_size < 600_000


def test_the_page_has_no_code_and_the_method_page_has(made: Made) -> None:
    for language in ("ko", "en"):
        page = (made.folder / language / "index.html").read_text("utf-8")
        method = (made.folder / language / "method.html").read_text("utf-8")
        assert "civic.dataset(" not in page and "civic.dataset(" in method
        assert "emit_answers" not in method and "ρ" not in page
        assert f'<html lang="{language}">' in page
        for body in made.run.record["answers"]:
            assert body["answer_id"] in method


def test_the_city_s_unsafe_gu_are_the_headline(made: Made) -> None:
    page = (made.folder / "ko" / "index.html").read_text("utf-8")
    headline = re.search(r"<h1>(.*?)</h1>", page)
    assert headline and all(gu in headline[1] for gu in standin.UNSAFE)
    assert not any(gu in headline[1] for gu in standin.GU if gu not in standin.UNSAFE)


def test_the_page_says_its_ranges_in_words(made: Made) -> None:
    assert re.search(r"[\d,]+에서 [\d,]+ 사이", (made.folder / "ko" / "index.html").read_text("utf-8"))
    assert re.search(r"between [\d,]+ and [\d,]+", (made.folder / "en" / "index.html").read_text("utf-8"))


def test_a_csv_opens_in_a_korean_spreadsheet_with_the_page_s_numbers(made: Made) -> None:
    raw = (made.folder / "data" / "map-by-gu.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"))))
    assert [row["gu"] for row in rows] == [*standin.GU, "other"]
    page = (made.folder / "ko" / "index.html").read_text("utf-8")
    for row in rows[:25]:
        assert f"{int(row['rides']):,}" in page


def test_every_file_is_checked_from_the_folder_alone(made: Made) -> None:
    found = check_page(made.folder / "ko" / "index.html")
    assert found.wrong == [] and found.answers == 3 and found.files > 10


@pytest.mark.parametrize(
    ("place", "old", "new", "key"),
    [
        ("ko/index.html", "구로구", "강남구", "file"),
        ("data/map-by-gu.csv", "1", "2", "file"),
        ("parties.json", "seoul", "busan", "register"),
    ],
)
def test_an_altered_file_is_found(copied: Path, place: str, old: str, new: str, key: str) -> None:
    path = copied / place
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(), 1))
    assert key in [wrong for wrong, _ in check_page(copied).wrong]


def test_an_answer_of_another_hand_is_found(copied: Path) -> None:
    path = next((copied / "answers").iterdir())
    body = json.loads(path.read_text("utf-8"))
    body["signature"] = standin.CITY.sign(body["statement"])
    path.write_text(json.dumps(body), "utf-8")
    assert "answer" in [wrong for wrong, _ in check_page(copied).wrong]


def test_a_file_that_the_record_does_not_list_is_found(copied: Path) -> None:
    (copied / "ko" / "extra.html").write_text("hello")
    assert ("extra", "ko/extra.html") in check_page(copied).wrong


def test_nothing_is_released_under_policies_that_one_side_signed(made: Made, tmp_path: Path) -> None:
    half = [{**line, "signatures": line["signatures"][:1]} for line in made.sources.policies]
    with pytest.raises(NotPublishable):
        build_release(made.run, tmp_path / "out", Sources(half, made.sources.parties), author="reports")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_released_under_a_register_that_one_side_signed(made: Made, tmp_path: Path) -> None:
    parties = {**made.sources.parties, "signatures": made.sources.parties["signatures"][:1]}
    with pytest.raises(NotPublishable):
        build_release(made.run, tmp_path / "out", Sources(made.sources.policies, parties), author="reports")
