"""The commands, called as a person calls them, against a gateway over real HTTP."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from civic_kernel.errors import NotPublishable
from civic_kernel.publish.cli import publish, site
from civic_kernel.reports.cli import report
from tests.publish.conftest import NOTEBOOK, Made
from tests.reports import standin


@pytest.fixture
def environment(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text(standin.TOKEN)
    for name, value in {
        "CIVIC_GATEWAY_URL": made.url,
        "CIVIC_TOKEN_FILE": str(token),
        "CIVIC_TEAM": "site",
        "CIVIC_PURPOSE": "safety",
        "CIVIC_LANGUAGE": "en",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
def test_run_publish_approve_build_check(made: Made, tmp_path: Path) -> None:
    call = CliRunner(catch_exceptions=False).invoke
    ran = call(report, ["run", str(NOTEBOOK), "-p", "gu=강남구", "--out", str(tmp_path / "run"), "--json"])
    assert json.loads(ran.stdout)["parameters"]["gu"] == "강남구" and "The chart by gu" in ran.stderr
    release = call(publish, [str(tmp_path / "run"), "--to", str(tmp_path / "releases"), "--json"])
    identity = json.loads(release.stdout)["release_id"]
    made.gateway.approve(identity, standin.CITY, standin.CSO)
    places = ["--from", str(tmp_path / "releases"), "--to", str(tmp_path / "public")]
    built = call(site, ["build", *places, "--staging", str(tmp_path / "staging"), "--json"])
    listed = json.loads(built.stdout)["listed"]
    page = tmp_path / "public" / "reports" / listed[0]["slug"] / "ko" / "index.html"
    checked = call(report, ["check", str(page)])
    assert checked.exit_code == 0 and "All is well" in checked.stdout
    page.write_text("spoiled", "utf-8")
    with pytest.raises(NotPublishable, match=r"ko/index\.html"):
        call(report, ["check", str(page)])
    assert call(report, ["check", str(page), "--json"]).exit_code == NotPublishable.exit_code
