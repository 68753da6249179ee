"""A reader presses the button on the method page: offline, from a file, she learns what agrees and what does not."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from civic_kernel.publish.gateway import PublicGateway
from civic_kernel.publish.site import build_site
from civic_kernel.verify.page import check_page
from civic_kernel.verify.records import read_records
from civic_kernel.verify.trace import trace_page
from tests.publish.conftest import Made
from tests.publish.test_page_in_browser import violations
from tests.reports import standin

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def site(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site with its public records, as `civic site build` makes it."""
    root = tmp_path_factory.mktemp("checked")
    made.gateway.approve(made.release_id, standin.CITY, standin.CSO)
    built = build_site(
        PublicGateway(made.url).releases(), [made.folder], made.sources.parties, root / "public",
        root / "staging", records=read_records(made.url, "ko"),
    )  # fmt: skip
    # The gateway is shared: for the other tests it still waits.
    made.gateway.releases[made.release_id] |= {"state": "waiting", "approvals": []}
    assert [line.id for line in built.listed] == [made.release_id]
    return root / "public"


@pytest.fixture
def spoiled(site: Path, tmp_path: Path) -> Path:
    """The site again, to be spoiled."""
    return Path(shutil.copytree(site, tmp_path / "public"))


def report(site: Path) -> Path:
    (found,) = (site / "reports").iterdir()
    return found


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    opened.on("console", lambda message: pytest.fail(message.text))
    yield opened
    context.close()


def press(page: Page, site: Path, language: str = "en") -> str:
    """What the button says."""
    page.goto((report(site) / language / "method.html").as_uri())
    page.locator("button.act").click()
    page.locator("#check .found h3").wait_for()
    return page.locator("div.found").inner_text()


def test_all_is_well_without_network(site: Path, page: Page) -> None:
    said = press(page, site, "ko")
    assert said.startswith("모두 맞습니다") and "틀림" not in said and "알 수 없는 것" in said
    assert "답 2개" in said and "서울시(시연), 두바퀴모임(시연)" in said
    assert page.locator("div.found li").filter(has_text="사슬").count() == 1
    found = check_page(report(site))
    assert found.good and found.records is not None
    assert f"{found.records.counted['events']}건" in said
    expect(page.locator("div.found")).to_be_focused()


@pytest.mark.parametrize("language", ["ko", "en"])
def test_axe_finds_nothing_in_what_it_says(site: Path, chromium: Browser, language: str) -> None:
    context = chromium.new_context(bypass_csp=True, viewport={"width": 360, "height": 800})
    opened = context.new_page()
    press(opened, site, language)
    assert violations(opened) == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= 360
    context.close()


def test_a_number_is_followed_to_its_signed_answer_from_the_keyboard(
    made: Made, site: Path, page: Page
) -> None:
    press(page, site)
    page.locator("#follow-row").focus()
    # A choice by its first letters, as the keyboard makes it.
    page.keyboard.type("Nowon")
    table = page.locator("#follow table")
    expect(page.locator("#follow-row option:checked")).to_have_text("Nowon-gu")
    months = len(made.run.record["parameters"]["months"])
    first = table.locator("tbody tr").first
    expect(first).to_contain_text(f"The sum of {months} signed values" if months > 1 else "This very value")
    address = table.locator("a").first.get_attribute("href")
    assert address and (report(site) / "en" / address).resolve().is_file()
    page.locator("#follow-figure").select_option(index=2)
    assert "2026" in page.locator("#follow-row").inner_text()


def rewrite(path: Path, change: Callable[[Any], None]) -> None:
    """Change what a script file holds."""
    name, _, rest = path.read_text("utf-8").partition("=")
    document = json.loads(rest.rstrip().rstrip(";"))
    change(document)
    path.write_text(f"{name}={json.dumps(document)};", "utf-8")


def _another_digit(evidence: dict[str, Any]) -> None:
    place = next(place for place in evidence["files"] if place.startswith("answers/"))
    body = json.loads(evidence["files"][place])
    body["statement"]["table"]["rows"][0][2] += 1
    evidence["files"][place] = json.dumps(body)


def _another_table(evidence: dict[str, Any]) -> None:
    evidence["files"]["data/map-by-gu.csv"] += "x"


def _one_approval(evidence: dict[str, Any]) -> None:
    del evidence["approvals"][0]


def _another_policy(evidence: dict[str, Any]) -> None:
    place = next(place for place in evidence["files"] if place.startswith("policies/"))
    evidence["files"][place] = evidence["files"][place].replace('"version": 1', '"version": 2')


def _another_record(evidence: dict[str, Any]) -> None:
    evidence["record"]["title"]["en"] = "Another"


def _answer_left_out(records: dict[str, Any]) -> None:
    records["events"] = [e for e in records["events"] if e["event"]["kind"] != "answered"]


def _cheaper_charge(records: dict[str, Any]) -> None:
    records["ledger"]["periods"][0]["charges"][0]["nano"] -= 1


def _larger_budget(records: dict[str, Any]) -> None:
    records["ledger"]["periods"][0]["budget"] += 1


@pytest.mark.parametrize(
    ("where", "change", "words"),
    [
        ("evidence", _another_digit, "name or signature of the answer"),
        ("evidence", _another_table, "differs from the release record"),
        ("evidence", _one_approval, "an approval is missing"),
        ("evidence", _another_policy, "fingerprint or signatures of the rules"),
        ("evidence", _another_record, "the release record"),
        ("records", _answer_left_out, "does not continue the one before it"),
        ("records", _cheaper_charge, "charge"),
        ("records", _larger_budget, "budget"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_was_changed_is_found_and_said_in_words(
    spoiled: Path, page: Page, where: str, change: Callable[[Any], None], words: str
) -> None:
    place = report(spoiled) / "status" / "evidence.js"
    rewrite(place if where == "evidence" else spoiled / "records" / "records.js", change)
    said = press(page, spoiled)
    assert said.startswith("Things that do not agree") and words in said
    assert "Do not use its numbers" in said and page.locator("#follow").is_hidden()


def test_without_the_files_beside_it_nothing_counts_as_checked(spoiled: Path, chromium: Browser) -> None:
    context = chromium.new_context(offline=True)
    opened = context.new_page()
    (report(spoiled) / "status" / "evidence.js").unlink()
    opened.goto((report(spoiled) / "en" / "method.html").as_uri())
    opened.locator("button.act").click()
    expect(opened.locator("#check [role=status]")).to_contain_text("do not lie beside this page")
    assert opened.locator("div.found").is_hidden()
    context.close()


def test_saved_files_and_the_bundle_are_recognised(site: Path, page: Page, tmp_path: Path) -> None:
    press(page, site)
    changed = tmp_path / "index.html"
    changed.write_text((report(site) / "ko" / "index.html").read_text("utf-8") + " ", "utf-8")
    own = [report(site) / "en" / "index.html", report(site) / "status" / "report.zip", changed]
    page.set_input_files("#saved-files", [str(path) for path in own])
    lines = page.locator("#saved li")
    expect(lines).to_have_count(3)
    assert "en/index.html that both sides signed" in lines.nth(0).inner_text()
    files = len(json.loads((report(site) / "release.json").read_text("utf-8"))["files"])
    assert f"{files} files in it" in lines.nth(1).inner_text()
    assert "not a file that both sides signed" in lines.nth(2).inner_text()


def test_the_bundle_holds_everything_and_is_checked_where_it_was_unpacked(
    site: Path, page: Page, tmp_path: Path
) -> None:
    with zipfile.ZipFile(report(site) / "status" / "report.zip") as bundle:
        bundle.extractall(tmp_path)
    (top,) = tmp_path.iterdir()
    found = check_page(report(top))
    assert found.good and found.records is not None and len(found.approvers) == 2
    assert press(page, top).startswith("All is well")
    assert "reports/" in (top / "README.txt").read_text("utf-8-sig")


def test_the_browser_follows_each_figure_to_where_the_command_follows_it(site: Path, page: Page) -> None:
    press(page, site)
    followed = page.evaluate(
        """async () => {
          const done = await civicPage.check(civicEvidence, null);
          const all = [];
          for (const [name, { about, heads, body, trace }] of done.tables) {
            for (const row of body) for (const { name: column, role } of about.columns) {
              if (!["measure", "low", "high", "value"].includes(role) || row[heads.indexOf(column)] === "") continue;
              const found = trace(row, column);
              all.push([name, column, row[heads.indexOf(column)], found.kind, found.cells ?? 0]);
            }
          }
          return all;
        }"""
    )
    known = trace_page(report(site))
    assert followed == [[f.table, f.column, f.value, f.source.kind, f.source.cells] for f in known]
