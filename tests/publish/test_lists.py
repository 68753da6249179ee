"""What leads to the reports: the list and its search, the feed, and the address that survives corrections."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from civic_kernel import texts
from civic_kernel.publish.pages import build_release
from civic_kernel.publish.record import release_id
from civic_kernel.publish.site import Built, build_site
from civic_kernel.publish.summary import series
from tests.publish.conftest import ADDRESS, Made
from tests.publish.test_site import release, slug
from tests.reports import standin

ATOM = {"a": "http://www.w3.org/2005/Atom"}


def publish(releases: list[dict[str, Any]], folders: list[Path], root: Path, address: str = ADDRESS) -> Built:
    return build_site(
        releases, folders, standin.parties(), root / "public", root / "staging", address=address
    )


def approved(folder: Path, made: Made, at: str = "") -> dict[str, Any]:
    record = json.loads((folder / "release.json").read_text("utf-8"))
    approvals = [{**signer.sign(record), "approved_at": at} for signer in (standin.CITY, standin.CSO)]
    return {"release_id": release_id(record), "record": record, "approvals": approvals}


@pytest.fixture(scope="module")
def site(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report, and ten more of the same words under other names, as a batch over gu makes them."""
    root = tmp_path_factory.mktemp("lists")
    built = publish([release(made, standin.CITY, standin.CSO)], [made.folder], root)
    assert len(built.listed) == 1
    return root / "public"


@pytest.fixture(scope="module")
def corrected(made: Made, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Two versions of the report on one site; their slugs, the older first. The second has another author."""
    root = tmp_path_factory.mktemp("corrected")
    build_release(made.run, root / "second", made.sources, author="service-reports", address=ADDRESS)
    first = approved(made.folder, made, "2026-11-23T00:00:00Z")
    second = approved(root / "second", made, "2026-11-24T00:00:00Z")
    publish([first], [made.folder], root)
    before = lasting(root / "public", made)
    publish([first, second], [made.folder, root / "second"], root)
    assert lasting(root / "public", made) == before, "an address that somebody quoted"
    return root, [first["record"]["slug"], second["record"]["slug"]]


def lasting(public: Path, made: Made) -> Path:
    (folder,) = (public / "latest").iterdir()
    assert folder.name == series(made.run.record)
    return folder


# --- the address that lasts ---


def test_the_lasting_page_leads_to_the_newest_version_and_keeps_the_older(
    corrected: tuple[Path, list[str]], made: Made
) -> None:
    root, (old, new) = corrected
    for language in ("ko", "en"):
        page = (lasting(root / "public", made) / language / "index.html").read_text("utf-8")
        assert page.index(f"reports/{new}/") < page.index(f"reports/{old}/")
        assert (root / "public" / "reports" / old / language / "index.html").is_file()
        listed = (root / "public" / language / "index.html").read_text("utf-8")
        assert f"reports/{new}/" in listed and f"reports/{old}/" not in listed


def test_every_version_leads_to_the_lasting_page(corrected: tuple[Path, list[str]], made: Made) -> None:
    root, slugs = corrected
    for version in slugs:
        for language in ("ko", "en"):
            path = root / "public" / "reports" / version / language / "index.html"
            page = path.read_text("utf-8")
            links = re.findall(r'href="([^"]*latest/[^"]*)"', page)
            inside = [link for link in links if not link.startswith("http")]
            assert inside and all((path.parent / link).resolve().is_file() for link in inside)
            # What is printed on paper can be typed.
            assert f"{ADDRESS}/latest/{series(made.run.record)}/{language}/index.html" in page


def test_the_lasting_page_stays_when_no_version_is_left(made: Made, tmp_path: Path) -> None:
    publish([release(made, standin.CITY, standin.CSO)], [made.folder], tmp_path)
    publish([], [made.folder], tmp_path)
    for language, word in (("ko", "지금 사이트에 없습니다"), ("en", "not on the site now")):
        page = (lasting(tmp_path / "public", made) / language / "index.html").read_text("utf-8")
        assert word in page and slug(made) not in page


def test_a_correction_with_the_same_question_has_the_same_series_and_another_gu_has_not(made: Made) -> None:
    record = dict(made.run.record)
    same = record | {"parameters": {**record["parameters"], "language": "en"}, "notebook_sha256": "0" * 64}
    assert series(same) == series(record)
    for other in ({"parameters": {**record["parameters"], "gu": "노원구"}}, {"team": "elsewhere"}):
        assert series(record | other) != series(record)


# --- the feed ---


@pytest.mark.parametrize("address", [ADDRESS, ""])
@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_feed_is_whole_by_its_standard(
    made: Made, corrected: tuple[Path, list[str]], tmp_path: Path, language: str, address: str
) -> None:
    releases = [release(made, standin.CITY, standin.CSO)]
    publish(releases, [made.folder], tmp_path, address)
    feed = ET.parse(tmp_path / "public" / language / "feed.xml").getroot()
    assert feed.tag == "{http://www.w3.org/2005/Atom}feed"
    entries = feed.findall("a:entry", ATOM)
    assert len(entries) == 1
    for part in (feed, *entries):  # RFC 4287: each of these exactly once
        for name in ("id", "title", "updated"):
            found = part.findall(f"a:{name}", ATOM)
            assert len(found) == 1 and found[0].text
        identity = part.findtext("a:id", namespaces=ATOM)
        assert identity and identity.startswith("urn:uuid:")
    assert feed.find("a:author/a:name", ATOM) is not None
    (link,) = entries[0].findall("a:link", ATOM)
    address_of = link.attrib["href"]
    if address:
        assert address_of == f"{ADDRESS}/reports/{slug(made)}/{language}/index.html"
    else:
        assert (tmp_path / "public" / language / address_of).resolve().is_file()
    assert entries[0].findtext("a:summary", namespaces=ATOM) in (
        tmp_path / "public" / language / "index.html"
    ).read_text("utf-8")


def test_a_correction_is_news_and_an_unchanged_report_is_not(
    corrected: tuple[Path, list[str]], made: Made, tmp_path: Path
) -> None:
    def ids(public: Path) -> list[str | None]:
        feed = ET.parse(public / "ko" / "feed.xml").getroot()
        return [entry.findtext("a:id", namespaces=ATOM) for entry in feed.findall("a:entry", ATOM)]

    both = ids(corrected[0] / "public")
    publish([release(made, standin.CITY, standin.CSO)], [made.folder], tmp_path)
    assert len(set(both)) == 2 and ids(tmp_path / "public") == both[1:]


# --- the list and its search ---


class Asked:
    """The page of the list, opened from a disk; `requests` are what it loaded besides itself."""

    def __init__(self, page: Page, site: Path, language: str) -> None:
        self.page, self.requests = page, list[str]()
        self.said: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.goto((site / language / "index.html").as_uri())
        self.field = page.get_by_role("searchbox")

    def shown(self, words: str) -> int:
        self.field.fill(words)
        return self.page.locator("ul.reports > li:visible").count()


@pytest.fixture
def korean(chromium: Browser, site: Path) -> Iterator[Asked]:
    context = chromium.new_context(viewport={"width": 360, "height": 800})
    yield Asked(context.new_page(), site, "ko")
    context.close()


@pytest.mark.browser
def test_search_works_from_a_disk_and_loads_its_own_file_alone(korean: Asked, site: Path) -> None:
    assert korean.shown("노원구") == 1
    beside = (site / "ko").as_uri()
    assert korean.requests == [f"{beside}/index.html", f"{beside}/search.js"] and korean.said == []


@pytest.mark.browser
@pytest.mark.parametrize("words", ["사고", "노원구 10만 번", "ㄴㅇㄱ", "  노원구  "])
def test_what_a_report_says_is_found(korean: Asked, words: str) -> None:
    assert korean.shown(words) == 1
    assert korean.page.get_by_role("status").inner_text() == "보고서 1건을 찾았습니다."


@pytest.mark.browser
@pytest.mark.parametrize("words", ["미세먼지", "부산", "ㅂㅅㅎㅇㄷㄱ", "<b>", "노원구 미세먼지"])
def test_what_no_report_says_is_not_found_and_the_page_says_so(korean: Asked, words: str) -> None:
    assert korean.shown(words) == 0
    assert "없습니다" in korean.page.get_by_role("status").inner_text()
    assert korean.shown("") == 1


@pytest.mark.browser
def test_a_hit_leads_to_its_row(korean: Asked) -> None:
    korean.shown("노원구 123")
    korean.page.locator(".hits a").first.click()
    korean.page.wait_for_url("**/reports/**")
    row = korean.page.evaluate("document.querySelector(':target')?.innerText")
    assert row and row.startswith("노원구")


@pytest.mark.browser
def test_without_script_all_reports_stand_there_and_no_dead_field(chromium: Browser, site: Path) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((site / "en" / "index.html").as_uri())
    assert page.locator("ul.reports > li:visible").count() == 1 and page.locator("input").count() == 0
    context.close()


# --- a missing translation ---


def test_a_missing_translation_stops_the_build_before_anything_is_written(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = texts._catalog

    def lacking(language: texts.Language, domain: str) -> dict[str, str]:
        found = whole(language, domain)
        return {key: said for key, said in found.items() if (language, key) != ("en", "quote.title")}

    monkeypatch.setattr(texts, "_catalog", lacking)
    with pytest.raises(KeyError, match="quote"):
        build_release(made.run, tmp_path / "out", made.sources, author="reports")
    assert list(tmp_path.iterdir()) == []
