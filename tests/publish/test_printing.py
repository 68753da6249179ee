"""A release on paper: what a PDF and a preview picture owe a reader, and what happens where they cannot be made."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image

from civic_kernel.publish.browser import Browser, find_browser
from civic_kernel.publish.pages import build_release
from civic_kernel.publish.printing import CARD, Paper, Sheet, Unprintable, readable_letters
from tests.publish.conftest import ADDRESS, Made

pytestmark = pytest.mark.browser

#: Letters that are in no Latin font.
HANGUL = "자전거 사고"
MOMENT = "2026-11-23T00:00:00Z"


@pytest.fixture(autouse=True)
def _browser(chromium: object) -> None:
    """There is one, or these tests are skipped as the others with a browser are."""


def pdf(made: Made, language: str) -> bytes:
    return (made.folder / language / "report.pdf").read_bytes()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_pdf_is_tagged_and_carries_its_fonts(made: Made, language: str) -> None:
    data = pdf(made, language)
    assert data.startswith(b"%PDF-") and b"/StructTreeRoot" in data and b"/MarkInfo" in data
    assert f"/Lang ({language})".encode() in data and b"/DisplayDocTitle true" in data
    # Noto's outlines are drawn into the file as Type 3; other fonts are embedded as they are.
    assert b"/Outlines" in data and re.search(rb"/FontFile[23]?\b|/Subtype /Type3", data)
    # Headings, tables and pictures are told to a screen reader as such.
    assert all(tag in data for tag in (b"/S /H1", b"/S /H2", b"/S /Table", b"/S /TH", b"/S /Figure"))
    assert len(data) < 900_000


def test_every_letter_of_the_korean_page_can_be_read_in_the_pdf(made: Made) -> None:
    headline = re.search(r"<h1>(.*?)</h1>", (made.folder / "ko" / "index.html").read_text("utf-8"))
    assert headline and set(re.sub(r"\s", "", headline[1])) <= readable_letters(pdf(made, "ko"))
    assert not set("鬱뷁") & readable_letters(pdf(made, "ko"))


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_pdf_tells_nothing_of_the_machine_and_of_no_other_day(made: Made, language: str) -> None:
    data = pdf(made, language)
    assert b"file:" not in data and b"/tmp" not in data and b"Linux" not in data
    answered = max(body["statement"]["issued_at"] for body in made_answers(made))
    dates = set(re.findall(rb"Date \(D:(\d{14})", data))
    assert dates == {re.sub(r"\D", "", answered).encode()}


def made_answers(made: Made) -> list[dict[str, dict[str, str]]]:
    from civic_kernel.reports.record import answers_in

    return answers_in(made.run.executed)


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_preview_picture_has_the_size_that_is_asked_for_and_is_not_empty(
    made: Made, language: str
) -> None:
    picture = Image.open(io.BytesIO((made.folder / language / "card.png").read_bytes()))
    assert picture.size == CARD and len(picture.convert("L").getcolors(256) or ()) > 16
    page = (made.folder / language / "index.html").read_text("utf-8")
    tag = re.search(r'<meta[^>]*"og:image"[^>]*>', page)
    assert tag and f'"{ADDRESS}/latest/' in tag[0] and f'/{language}/card.png"' in tag[0]
    assert 'href="report.pdf"' in page


def test_without_a_browser_the_report_goes_out_and_leads_to_no_pdf(made: Made, tmp_path: Path) -> None:
    paper = Paper(lambda: Browser("/nowhere/chromium"))
    record = build_release(made.run, tmp_path / "out", made.sources, author="reports", paper=paper)
    assert paper.lacking == "browser"
    assert not [line for line in record["files"] if line["path"].endswith((".pdf", ".png"))]
    page = (tmp_path / "out" / "ko" / "index.html").read_text("utf-8")
    assert "report.pdf" not in page and "card.png" not in page


def test_without_a_font_for_hangul_nothing_is_printed(tmp_path: Path) -> None:
    """Empty boxes are what the browser would print, without a word. The control: English letters pass."""
    fonts = tmp_path / "fonts"
    fonts.mkdir()
    import matplotlib

    latin = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    shutil.copy(latin, fonts)
    config = tmp_path / "fonts.conf"
    config.write_text(f"<fontconfig><dir>{fonts}</dir><cachedir>{tmp_path / 'cache'}</cachedir></fontconfig>")
    program = tmp_path / "chromium"
    program.write_text(f'#!/bin/sh\nFONTCONFIG_FILE={config} exec {find_browser()} "$@"\n')
    program.chmod(0o755)
    page = f"<!doctype html><html lang='ko'><title>x</title><p>{HANGUL} bicycle accidents</p></html>"
    paper = Paper(lambda: Browser(str(program)))
    with pytest.raises(Unprintable):
        paper.print({"ko": Sheet(page, [], page, HANGUL)}, MOMENT)
    assert paper.lacking == "font"
    assert paper.print({"en": Sheet(page, [], page, "bicycle accidents")}, MOMENT)
    assert paper.lacking is None


def test_a_browser_that_dies_is_no_browser(tmp_path: Path) -> None:
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    paper = Paper(lambda: Browser(str(program)))
    with pytest.raises(Unprintable):
        paper.print({"ko": Sheet("", [], "", "")}, MOMENT)
    assert paper.lacking == "browser"
