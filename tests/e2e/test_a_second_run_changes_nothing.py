"""The demonstration again, on the workspace that already has it: nothing new is charged, nothing new is published."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from hub_config.demo import Prepared, Runner, publish

pytestmark = [pytest.mark.hub, pytest.mark.root]


def hashes(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def charges(demonstration):
    # The public app, as anybody would: no token.
    ledger = httpx.get(f"{demonstration.settings.site_url}/v1/ledger").json()
    return [charge for period in ledger["periods"] for charge in period["charges"]]


def test_the_same_report_again_costs_nothing_and_changes_no_public_byte(demonstration):
    before, paid = hashes(demonstration.home / "public"), charges(demonstration)
    assert paid
    with Prepared(demonstration.settings, 0, quiet=True) as workspace:
        page = publish(workspace, Runner(demonstration.settings, quiet=True))
    assert page == demonstration.page
    assert hashes(demonstration.home / "public") == before
    site = [charge for charge in charges(demonstration) if charge["team"] == "site"]
    assert site == [charge for charge in paid if charge["team"] == "site"]
