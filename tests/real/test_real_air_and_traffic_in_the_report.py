"""What the real air of 2018 says, through the very notebook that runs on the made-up city.

Vault, gateway, kernel and page are real. The files of the air (14,637 station-days), the weather and the expressways
are whole; only months of 2018 are asked for, the one year that the air, in this layout, and the traffic share. Only
estimates are looked at, no row.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from civic_kernel.client import Client
from civic_kernel.methods import dust
from civic_kernel.queries import Dataset
from civic_kernel.settings import Settings, Token
from data_access.flows.loading import load
from data_access.gateway.workspace import workspace_app
from data_access.parties import Register
from tests.audit.conftest import register_key
from tests.factories import (
    FakeIdentity,
    Workspace,
    make_caller,
    make_open_policy,
    make_register,
    make_workspace,
)
from tests.gateway.serving import served
from tests.problems.conftest import ROOT, TOKEN, City, blocks_of, check, table_of
from tests.real.sources import SHARED

FILES = {
    "air_days": SHARED / "air" / "seoul_air_daily_2018.csv",
    "expressway_traffic": SHARED / "traffic" / "seoul_expressway_traffic_by_weekday.csv",
    "weather_days": SHARED / "air" / "kma_asos_daily_seoul.csv",
}
LAYOUTS = {
    "air_days": Path(__file__).parent / "air_2019.yaml",
    "expressway_traffic": ROOT / "data_access" / "demo" / "catalog" / "expressway_traffic.yaml",
    "weather_days": Path(__file__).parent / "weather_2018.yaml",
}
MONTHS = [f"2018-{month:02d}" for month in range(1, 13)]
pytestmark = [
    pytest.mark.skipif(
        not all(path.is_file() for path in FILES.values()),
        reason="the real files are not beside the checkout (../shared/data/air and traffic)",
    ),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    catalog = {name: path.read_text("utf-8") for name, path in LAYOUTS.items()}
    home = tmp_path_factory.mktemp("air") / "home"
    workspace = make_workspace(home, isolated=True, catalog=catalog, governed=False)
    plain = make_register(workspace.keys, workspace.demo_keys).document()
    gateway = register_key(workspace.parts.key, "gateway", None).model_dump(mode="json")
    workspace.accept(Register.model_validate(plain | {"keys": [*plain["keys"], gateway]}, strict=False))
    for name, file in FILES.items():
        entry = workspace.entry(name)
        title = {"ko": entry.title.ko, "en": entry.title.en}
        policy = make_open_policy(
            entry, synthetic=False, lineage=f"real-{name.replace('_', '-')}", title=title,
            geography={}, retention="2099-12-31", expires="2099-12-31",
        )  # fmt: skip
        workspace.activate(policy)
        load(workspace.parts.vault, entry, [file], lineage=policy.lineage, policy=policy, by="test")
    yield workspace
    workspace.parts.close()


@pytest.fixture(scope="module")
def city(made: Workspace) -> Iterator[City]:
    callers = {TOKEN: make_caller("reports", ["site"], "ask", "read")}
    with served(workspace_app(made.parts, FakeIdentity(callers))) as address:
        url = f"{address}/services/data"
        yield City(made.home, Settings(url, "site", "research", "ko", Token(TOKEN)))


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped notebook, byte for byte; its declaration with the months that the real files have."""
    shipped = ROOT / "notebooks" / "fine_dust.ipynb"
    path = Path(shutil.copy(shipped, tmp_path_factory.mktemp("notebook")))
    declared: dict[str, Any] = json.loads(shipped.with_suffix(".schema.json").read_text("utf-8"))
    months = declared["properties"]["months"]
    months["items"]["enum"] = months["default"] = MONTHS
    months["values"] = {month: {"ko": month, "en": month} for month in MONTHS}
    path.with_suffix(".schema.json").write_text(json.dumps(declared, ensure_ascii=False), "utf-8")
    return path


def test_what_the_real_air_of_2018_says(city: City, notebook: Path, tmp_path: Path) -> None:
    """PM2.5 is 2.4 µg/m³ higher at roads, and the gap widens with traffic, on the same day and the next."""
    run, page = city.report(notebook, tmp_path, pollutant="pm25")
    found = blocks_of(run)
    effects = {row.pop("what"): row for row in table_of(found["traffic-effect"])}
    assert effects == {
        "same-day": {"value": 2.0, "value_low": 0.9, "value_high": 3.0},
        "next-day": {"value": 1.1, "value_low": 0.1, "value_high": 2.1},
        "together": {"value": 3.0, "value_low": 1.2, "value_high": 4.9},
    }
    assert (
        "is 2.4 µg/m³ higher" in found["messages"][0]["en"] and "10 % heavier" in found["messages"][0]["en"]
    )
    assert "between 0.8 and 4.0" in found["messages"][1]["en"]
    assert len(table_of(found["map-by-gu"])) == 25 and len(table_of(found["roadside-by-month"])) == 12
    (wind,) = (row for row in table_of(found["weather"]) if row["what"] == "wind")
    assert wind["value_high"] < 0
    check(page)


def test_of_the_coarser_dust_the_roads_part_is_clear_and_the_traffics_is_not(city: City) -> None:
    client = Client(city.settings.gateway_url, city.settings.token, "site", "research")
    try:
        air, traffic, weather = (Dataset(client.dataset(name), client) for name in FILES)
        rows = dust.panel(
            air.rows("day", "station", "pm10").ask_all(),
            traffic.rows().where(traffic.year == 2018).ask_all(),
            weather.rows("day", "wind", "temperature").ask_all(),
            "pm10",
            MONTHS,
        )
    finally:
        client.close()
    gap = dust.roadside(rows).iloc[0]
    assert [round(gap[name], 1) for name in ("value", "value_low", "value_high")] == [5.9, 3.3, 8.5]
    together = dust.traffic_effect(rows).set_index("what").loc["together"]
    assert together["value_low"] < 0 < together["value_high"]
    stations = dust.by_station(rows)
    assert stations["road"].sum() == 15 and (~stations["road"]).sum() == 25


def test_a_count_with_commas_is_the_count_without_and_no_other_text_is_one(made: Workspace) -> None:
    """The table writes 230850 in its older years and "220,272" in its newer ones."""
    with FILES["expressway_traffic"].open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert {"," in line["TRAFFIC"] for line in lines} == {True, False}
    caller = make_caller("reports", ["site"], "ask", "read").asker
    plan = {
        "dataset": "expressway_traffic",
        "by": ["year"],
        "measures": {"all": {"fn": "sum", "column": "vehicles"}},
    }
    asked = made.ask(caller, plan, team="site", purpose="research").answer.document()["statement"]["table"][
        "rows"
    ]
    by_year: dict[int, float] = {}
    for line in lines:
        year = int(line["YEAR"])
        by_year[year] = by_year.get(year, 0.0) + float(line["TRAFFIC"].replace(",", ""))
    assert {year: float(total) for year, total in asked} == by_year
