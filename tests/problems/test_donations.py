"""Donations: the report finds what the made-up city hides, in data that a charity owns and co-signs."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from civic_kernel import practice
from civic_kernel.client import Client
from civic_kernel.publish.blocks import ANSWER_MIME
from civic_kernel.rehearsing import code_cells, rehearse
from civic_kernel.reports.record import Run
from data_access.canonical import canonical_bytes
from data_access.demo.parties import demo_keys
from data_access.errors import PolicyHalfSigned
from data_access.flows.governing import read_policy
from data_access.parties.register import read_register
from data_access.policy.signing import check_signed
from tests.problems.conftest import ROOT, City, blocks_of, check, table_of

NOTEBOOK = ROOT / "notebooks" / "donations.ipynb"


def answers_of(run: Run) -> list[dict[str, Any]]:
    """What each answer that the run was given says of itself."""
    outputs = (output for cell in run.executed.cells for output in cell.get("outputs", []))
    found = (output.get("data", {}).get(ANSWER_MIME) for output in outputs)
    return [body["statement"] for body in found if body is not None]


def test_the_report_finds_what_the_campaign_changed_who_stays_and_where_people_give(
    city: City, tmp_path: Path
) -> None:
    schema = json.loads(NOTEBOOK.with_suffix(".schema.json").read_text("utf-8"))
    run, page = city.report(NOTEBOOK, tmp_path, months=schema["properties"]["months"]["default"])
    truth = json.loads((city.home / "city" / "files" / "truth.json").read_text("utf-8"))
    gifts, found = truth["gifts"], blocks_of(run)
    changed = {row["what"]: row for row in table_of(found["campaign-effect"])}
    true = 100 * (gifts["street_effect"] - 1)
    assert changed["meanwhile"]["value_low"] <= true <= changed["meanwhile"]["value_high"]
    assert changed["meanwhile"]["value_low"] > 40, "clear of 0 and of half the truth"
    assert changed["afterwards"]["value_low"] <= 0 <= changed["afterwards"]["value_high"]
    months = {row["month"]: row for row in table_of(found["campaign-by-month"])}
    assert min(months[m]["value_low"] for m in gifts["street_months"]) > 20
    # One range in twenty misses its truth; the made-up year is one draw, on which the noise comes anew at each run.
    usual = [row for m, row in months.items() if m not in gifts["street_months"]]
    assert sum(not row["value_low"] <= 0 <= row["value_high"] for row in usual) <= 3
    generous = set(truth["measured"]["gift_generous_gu"])
    rates = sorted(table_of(found["donors-by-gu"]), key=lambda row: -row["rate"])
    assert len(rates) == 25 and {row["gu"] for row in rates[:3]} == generous
    stays = {row["way"]: row for row in table_of(found["staying-by-campaign"])}
    for way, name in (("연말나눔", "year_end"), ("봄거리모금", "street")):
        # The truth is a chance; who stayed is a draw from it of some hundred.
        true = 100 * gifts["staying"][name]
        assert stays[way]["stay_low"] - 4 <= true <= stays[way]["stay_high"] + 4
    course = {row["month"]: row["gifts"] for row in table_of(found["first-gifts-by-month"])}
    assert max(course, key=lambda m: course[m]) == max(gifts["first_season"], key=gifts["first_season"].get)
    assert "street campaign" in found["messages"][0]["en"] and "stayed" in found["messages"][1]["en"]
    check(page)
    assert "Wooldridge" in (page / "en" / "method.html").read_text("utf-8")
    paid: Counter[str] = Counter()
    for answer in answers_of(run):
        if answer["lane"] == "private":
            paid.update(dict.fromkeys(answer["periods"], answer["spend"]["rho"]))
    assert max(paid.values()) == 120_000_000, "what the site team may spend in a month is 0.14"


@pytest.mark.parametrize(
    ("months", "rows"),
    [(["2026-09"], 5_000), (["2026-04", "2026-05"], 5_000), (None, 5_000), (None, 60)],
    ids=["after the campaign", "of the campaign", "all", "too few of anything"],
)
def test_the_notebook_runs_on_made_up_rows_for_any_months_and_where_all_is_withheld(
    city: City, months: list[str] | None, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when its price is asked: nothing is paid, and no figure is what the notebook was written with."""
    monkeypatch.setattr(practice, "ROWS", rows)
    cells = code_cells(NOTEBOOK.read_text("utf-8"))
    schema = json.loads(NOTEBOOK.with_suffix(".schema.json").read_text("utf-8"))
    chosen = months or schema["properties"]["months"]["default"]
    place = next(n for n, cell in enumerate(cells) if cell.startswith("gu = "))
    cells.insert(place + 1, f"gu, months = '강남구', {chosen!r}")
    client = Client(city.settings.gateway_url, city.settings.token, "site", "published_report")
    try:
        found = rehearse(cells, NOTEBOOK.parent, client)
    finally:
        client.close()
    assert found.fault is None, found.fault
    compared = len(chosen) == 12
    assert sum("street" in str(asked.plan["by"]) for asked in found.asked) == compared
    assert len(found.asked) == (13 if compared else 5)


def test_neither_the_city_nor_another_organisation_opens_the_charitys_data_without_it(city: City) -> None:
    keys = demo_keys(city.home / "demo" / "keys")
    policy, signatures = read_policy(city.home / "policies" / "donations.yaml")
    register, _ = read_register(city.home / "policies" / "parties.json")
    now = datetime.now(UTC)
    check_signed(policy, signatures, register, now)
    data = canonical_bytes(policy.document())
    others = (keys.city.sign_bytes(data), keys.cso.sign_bytes(data))
    with pytest.raises(PolicyHalfSigned):
        check_signed(policy, others, register, now)
    check_signed(policy, (keys.city.sign_bytes(data), keys.charity.sign_bytes(data)), register, now)
