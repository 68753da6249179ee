"""The demonstration again, on the workspace that already has it: nothing new is charged, nothing new is published.

Only the public records move on, and with them the copies of them that lie beside a page for its check: both sides
witness a head each time."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from hub_config.demo import Prepared, Runner, publish

pytestmark = [pytest.mark.hub, pytest.mark.root]


#: What the site builder puts beside a page: the records of that moment.
RECORDS = ("status/evidence.js", "status/report.zip")


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.as_posix().endswith(RECORDS)
    }


def charges(demonstration):
    # The public app, as anybody would: no token.
    ledger = httpx.get(f"{demonstration.settings.site_url}/v1/ledger").json()
    return [charge for period in ledger["periods"] for charge in period["charges"]]


def test_the_same_report_again_costs_nothing_and_changes_no_byte_of_a_report(demonstration):
    reports = demonstration.home / "public" / "reports"
    before, paid = hashes(reports), charges(demonstration)
    assert paid
    with Prepared(demonstration.settings, 0, quiet=True) as workspace:
        page = publish(workspace, Runner(demonstration.settings, quiet=True))
    assert page == demonstration.page
    assert hashes(reports) == before
    site = [charge for charge in charges(demonstration) if charge["team"] == "site"]
    assert site == [charge for charge in paid if charge["team"] == "site"]
