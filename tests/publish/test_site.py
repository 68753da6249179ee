"""The site takes approved, unaltered releases and nothing else, and a kill never shows half of anything."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from civic_kernel.publish.gateway import PublicGateway
from civic_kernel.publish.record import altered_files, release_id
from civic_kernel.publish.site import Built, build_site
from civic_kernel.verify.documents import spelled
from civic_kernel.verify.page import check_page
from tests.publish.conftest import ADDRESS, Made
from tests.reports import standin

ROOT = Path(__file__).resolve().parents[2]


def release(made: Made, *signers: standin.Signer, **changes: Any) -> dict[str, Any]:
    record = json.loads((made.folder / "release.json").read_text("utf-8")) | changes
    return {
        "release_id": release_id(record),
        "record": record,
        "state": "approved",
        "approvals": [signer.sign(record) for signer in signers],
    }


def build(releases: list[dict[str, Any]], folder: Path, root: Path) -> Built:
    return build_site(releases, [folder], standin.parties(), root / "public", root / "staging")


def slug(made: Made) -> str:
    return str(release(made)["record"]["slug"])


def test_an_approved_release_stands_on_the_site_in_both_languages(made: Made, tmp_path: Path) -> None:
    built = build([release(made, standin.CITY, standin.CSO)], made.folder, tmp_path)
    assert len(built.listed) == 1 and not built.refused
    public = tmp_path / "public"
    for language in ("ko", "en"):
        index = (public / language / "index.html").read_text("utf-8")
        assert f"reports/{slug(made)}/{language}/index.html" in index
        page = (public / "reports" / slug(made) / language / "index.html").read_bytes()
        assert page == (made.folder / language / "index.html").read_bytes()
        status = (public / "reports" / slug(made) / "status" / f"{language}.html").read_text("utf-8")
        assert spelled(standin.CITY.id) in status and spelled(standin.CSO.id) in status


def test_an_older_version_says_that_there_is_a_newer_one(made: Made, copied: Path, tmp_path: Path) -> None:
    old = release(made, standin.CITY, standin.CSO)
    new = release(
        made, standin.CITY, standin.CSO, created_at="2026-12-01T00:00:00Z", slug="bike-routes-0123456789"
    )
    (copied / "release.json").write_text(json.dumps(new["record"]), "utf-8")
    folders = [made.folder, copied]
    build_site([old, new], folders, standin.parties(), tmp_path / "public", tmp_path / "staging")
    said = {
        line["record"]["slug"]: (
            tmp_path / "public" / "reports" / line["record"]["slug"] / "status" / "ko.html"
        ).read_text("utf-8")
        for line in (old, new)
    }
    assert f"../../{new['record']['slug']}/ko/index.html" in said[slug(made)]
    assert "2026년 12월 1일의 새 판" in said[slug(made)]
    assert "이 판이 가장 새 판" in said[new["record"]["slug"]]


def test_every_link_between_pages_leads_to_a_file(made: Made, tmp_path: Path) -> None:
    import re

    build([release(made, standin.CITY, standin.CSO)], made.folder, tmp_path)
    for page in (tmp_path / "public").rglob("*.html"):
        own = re.sub(r"srcdoc='.*?'", "", page.read_text("utf-8"), flags=re.DOTALL)
        own = re.sub(r"<(script|style|pre)\b.*?</\1>", "", own, flags=re.DOTALL)
        for address in re.findall(r'href="([^"]+)"', own):
            if address.startswith("#"):
                assert f'id="{address[1:]}"' in own, (page, address)
                continue
            if address.startswith("https:"):
                assert address.startswith(f"{ADDRESS}/latest/"), (page, address)
                assert (tmp_path / "public" / address.removeprefix(f"{ADDRESS}/")).is_file(), (page, address)
                continue
            place, _, mark = address.partition("#")
            assert (page.parent / place).is_file(), (page, address)
            assert not mark or f'id="{mark}"' in (page.parent / place).read_text("utf-8"), (page, address)


def test_the_whole_way_over_http(made: Made, tmp_path: Path) -> None:
    gateway = PublicGateway(made.url)
    built = build_site(
        gateway.releases(), [made.folder], made.sources.parties, tmp_path / "public", tmp_path / "staging"
    )
    assert (made.release_id, "approval") in built.refused
    made.gateway.approve(made.release_id, standin.CITY, standin.CSO)
    built = build_site(
        gateway.releases(), [made.folder], made.sources.parties, tmp_path / "public", tmp_path / "staging"
    )
    assert made.release_id in [line.id for line in built.listed]


@pytest.mark.parametrize(
    "signers",
    [
        (),
        (standin.CITY,),
        (standin.CSO,),
        (standin.CITY, standin.GATEWAY),
        (standin.CITY, standin.Signer("who")),
    ],
    ids=["nobody", "the city alone", "the CSO alone", "the gateway's key", "an unknown key"],
)
def test_a_release_without_both_approvals_stays_off(
    made: Made, tmp_path: Path, signers: tuple[standin.Signer, ...]
) -> None:
    built = build([release(made, *signers)], made.folder, tmp_path)
    assert not built.listed and [reason for _, reason in built.refused] == ["approval"]
    assert not (tmp_path / "public" / "reports").exists()


def test_an_author_does_not_approve_her_own(made: Made, tmp_path: Path) -> None:
    built = build([release(made, standin.CITY, standin.CSO, author="steward-cso")], made.folder, tmp_path)
    assert not built.listed


def test_a_demo_key_approves_a_demonstration_only(made: Made, tmp_path: Path) -> None:
    built = build([release(made, standin.CITY, standin.CSO, demonstration=False)], made.folder, tmp_path)
    assert not built.listed


@pytest.mark.parametrize("path", ["../../outside.html", "/etc/x", "ko/../../x.html", "ko/index.php"])
def test_a_record_that_asks_for_another_place_is_refused(made: Made, tmp_path: Path, path: str) -> None:
    files = release(made)["record"]["files"]
    files.append({"path": path, "sha256": "0" * 64, "bytes": 0})
    built = build([release(made, standin.CITY, standin.CSO, files=files)], made.folder, tmp_path)
    assert not built.listed


@pytest.mark.parametrize("value", ["../../x", "a/b", "", "..", "UPPER"])
def test_a_slug_is_a_plain_name(made: Made, tmp_path: Path, value: str) -> None:
    assert not build([release(made, standin.CITY, standin.CSO, slug=value)], made.folder, tmp_path).listed


def test_an_altered_file_keeps_its_release_off(made: Made, copied: Path, tmp_path: Path) -> None:
    page = copied / "ko" / "index.html"
    page.write_text(page.read_text("utf-8").replace("구로구", "강남구", 1), "utf-8")
    built = build([release(made, standin.CITY, standin.CSO)], copied, tmp_path)
    assert [reason for _, reason in built.refused] == ["file"]
    assert not (tmp_path / "public" / "reports").exists()


def test_a_link_out_of_the_folder_is_not_followed(made: Made, copied: Path, tmp_path: Path) -> None:
    outside = tmp_path / "same.html"
    shutil.copy(copied / "ko" / "index.html", outside)
    (copied / "ko" / "index.html").unlink()
    (copied / "ko" / "index.html").symlink_to(outside)
    assert not build([release(made, standin.CITY, standin.CSO)], copied, tmp_path).listed


def test_a_page_altered_on_the_site_leaves_the_lists(made: Made, tmp_path: Path) -> None:
    approved = [release(made, standin.CITY, standin.CSO)]
    build(approved, made.folder, tmp_path)
    page = tmp_path / "public" / "reports" / slug(made) / "en" / "index.html"
    page.write_text(page.read_text("utf-8") + "<!-- -->", "utf-8")
    built = build(approved, made.folder, tmp_path)
    assert not built.listed
    assert slug(made) not in (tmp_path / "public" / "en" / "index.html").read_text("utf-8")


def test_nothing_changes_under_a_broken_register(made: Made, tmp_path: Path) -> None:
    broken = {**standin.parties(), "signatures": []}
    approved = [release(made, standin.CITY, standin.CSO)]
    with pytest.raises(ValueError):
        build_site(approved, [made.folder], broken, tmp_path / "public", tmp_path / "staging")
    assert list(tmp_path.iterdir()) == []


def test_a_second_build_changes_no_byte(made: Made, tmp_path: Path) -> None:
    approved = [release(made, standin.CITY, standin.CSO)]
    build(approved, made.folder, tmp_path)
    before = {
        p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "public").rglob("*") if p.is_file()
    }
    build(approved, made.folder, tmp_path)
    after = {
        p: (p.stat().st_mtime_ns, p.read_bytes()) for p in (tmp_path / "public").rglob("*") if p.is_file()
    }
    assert before == after


BUILDER = """
import json, sys, time, os
from datetime import date
from pathlib import Path
from civic_kernel.publish import site
releases, parties = json.load(open(sys.argv[1])), json.load(open(sys.argv[3]))
folder, root = Path(sys.argv[2]), Path(sys.argv[4])
slow = site._write
def dawdling(path, data):
    print("writing", flush=True); time.sleep(0.02); slow(path, data)
site._write = dawdling
site.build_site(releases, [folder], parties, root / "public", root / "staging")
print("done", flush=True)
"""


def test_a_kill_at_any_moment_shows_no_half(made: Made, tmp_path: Path) -> None:
    """Killed at random places; after each, what is public is whole, and the next build finishes."""
    approved = release(made, standin.CITY, standin.CSO)
    (tmp_path / "releases.json").write_text(json.dumps([approved]), "utf-8")
    (tmp_path / "parties.json").write_text(json.dumps(standin.parties()), "utf-8")
    places = random.Random(7).sample(range(1, 44), 6)
    for number, place in enumerate(places):
        root = tmp_path / str(number)
        arguments = [
            str(tmp_path / "releases.json"),
            str(made.folder),
            str(tmp_path / "parties.json"),
            str(root),
        ]
        with subprocess.Popen(
            [sys.executable, "-c", BUILDER, *arguments],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        ) as builder:
            assert builder.stdout is not None
            for _ in range(place):
                if builder.stdout.readline().strip() != b"writing":
                    break
            time.sleep(0.01)
            builder.send_signal(signal.SIGKILL)
        target = root / "public" / "reports" / approved["record"]["slug"]
        if target.exists():
            assert altered_files(target, approved["record"]) == []
        for index in (root / "public").glob("*/index.html"):
            assert index.read_text("utf-8").endswith("</html>") and target.exists()
        assert len(build([approved], made.folder, root).listed) == 1
        assert list((root / "staging").iterdir()) == []


def test_a_published_page_is_checked_with_its_approvals(made: Made, tmp_path: Path) -> None:
    build([release(made, standin.CITY, standin.CSO)], made.folder, tmp_path)
    folder = tmp_path / "public" / "reports" / slug(made)
    assert check_page(folder).wrong == []
    approvals = folder / "status" / "approvals.json"
    document = json.loads(approvals.read_text("utf-8"))
    approvals.write_text(json.dumps({**document, "approvals": document["approvals"][:1]}), "utf-8")
    assert check_page(folder).wrong == [("approvals", "")]
