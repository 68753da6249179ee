"""The whole way once, from the two real files to a page on a citizens' site; every test here looks at what came."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from civic_kernel.client import Client
from civic_kernel.publish.gateway import PublicGateway
from civic_kernel.publish.release import make_release
from civic_kernel.publish.screen import Known
from civic_kernel.publish.site import Built, build_site
from civic_kernel.reports.record import answers_in, read_run
from civic_kernel.reports.runner import Request, run_report
from civic_kernel.settings import Settings, Token
from data_access.canonical import canonical_bytes
from data_access.catalog import Dataset
from data_access.catalog.entry import parse_entry
from data_access.compose import compose, read_settings
from data_access.parties.register import SIDES
from data_access.policy import Policy, schema_of
from data_access.query import bind, decode_plan
from data_access.query.cells import dense
from data_access.query.compiler import compile_sql
from data_access.vault import find_view
from tests.factories import make_policy
from tests.real import sources
from tests.real.report import write_notebook
from tests.real.workspace import REPORTS, STEWARDS, City

CATALOGS = {
    "bike_rides_public": sources.CHECKOUT / "tests" / "vault" / "catalog" / "bike_rides_public.yaml",
    "accidents": sources.CHECKOUT / "data_access" / "demo" / "catalog" / "accidents.yaml",
}
TITLES = {
    "bike_rides_public": {"ko": "공공자전거 대여이력", "en": "Public bike trips"},
    "accidents": {"ko": "자전거 교통사고", "en": "Bike accidents"},
}
Exact = NDArray[np.int64]


def reason_to_skip() -> str | None:
    if not sources.TRIPS.is_file() or not sources.ACCIDENTS.is_file():
        return "the real files are not there (../shared/data, or CIVIC_SHARED_DATA)"
    if os.geteuid() != 0:
        return "real data open only where vault and seats are different users, which needs root"
    try:
        for user in ("civic-vault", "civic-reports", "civic-site"):
            pwd.getpwnam(user)
    except KeyError:
        return "set-up has not made the system users yet (make test does)"
    return None


@dataclass(frozen=True)
class Published:
    """What the way left behind."""

    city: City
    #: Bodies of the signed answers, in the order of asking.
    answers: list[dict[str, Any]] = field(repr=False)
    #: Counts that the vault's own engine gives for each answer's question, without noise; by answer id.
    exact: dict[str, Exact] = field(repr=False)
    #: The bodies again, as `civic_kernel.Client` fetched them afterwards.
    again: list[dict[str, Any]] = field(repr=False)
    approvals: list[str]
    site: Path
    page: Path
    built: Built = field(repr=False)
    isolated: bool


def catalog() -> dict[str, dict[str, Any]]:
    """The true layouts. The demonstration's accidents entry has TAAS' own layout under a made-up city's name."""
    entries = {name: yaml.safe_load(path.read_text("utf-8")) for name, path in CATALOGS.items()}
    return {name: entry | {"title": TITLES[name]} for name, entry in entries.items()}


def policy(entry: Dataset, key: str) -> Policy:
    return make_policy(
        entry,
        synthetic=False,
        title=TITLES[entry.id],
        lineage=f"real-{entry.id.replace('_', '-')}",
        purposes=["published_report"],
        first_period="2017-01",
        last_period="2017-12",
        keys={key: {"values": list(sources.GU), "geography": "gu"}},
        minimum=3,
        caps=[{"name": "site", "teams": ["site"], "rho": "0.4"}],
        retention="2099-12-31",
        expires="2099-12-31",
    )


@pytest.fixture(scope="session")
def published() -> Iterator[Published]:
    root = Path(tempfile.mkdtemp(prefix="civic-real-"))
    try:
        yield _whole_way(City(root))
    finally:
        # The one place outside the shared folder where real rows lay, encrypted.
        shutil.rmtree(root)


def _whole_way(city: City) -> Published:
    layouts = catalog()
    city.lay_out(layouts)
    city.register(1)
    with city.gateway():
        city.register(2, httpx.get(f"{city.public_url}/v1/audit/head", trust_env=False).json()["gateway_key"])
        entries = {
            name: parse_entry(yaml.safe_dump(entry, allow_unicode=True), name)
            for name, entry in layouts.items()
        }
        city.activate(policy(entries["bike_rides_public"], "start_gu"))
        city.activate(policy(entries["accidents"], "gu"))
        city.load("bike_rides_public", sources.TRIPS, sources.STATIONS)
        city.load("accidents", sources.ACCIDENTS)
        return _publish(city)


def _publish(city: City) -> Published:
    token = Token(REPORTS)
    runs = city.home / "runs"
    settings = Settings(city.url, "site", "published_report", "ko", token)
    run_report(Request(write_notebook(city.root), {}), runs / "run", settings)
    run = read_run(runs / "run")
    answers = answers_in(run.executed)
    known = Known(secrets=(REPORTS, *STEWARDS), paths=(str(city.root),))
    release, folder = make_release(
        run, runs / "releases", PublicGateway(city.url, token), author="service-reports", known=known
    )
    approvals = [_approve(city, release, place) for place in range(len(SIDES))]
    public = PublicGateway(city.public_url)
    site = city.home / "public"
    built = build_site(public.releases(), [folder], public.sources().parties, site, city.home / "site")
    client = Client(city.url, token, "site", "published_report")
    for body in answers:
        client.answer(body["answer_id"])
    client.close()
    return Published(
        city=city,
        answers=answers,
        exact=_exact(city, answers),
        again=client.answers,
        approvals=approvals,
        site=site,
        page=site / "reports" / str(run_slug(built)),
        built=built,
        isolated=read_settings({"CIVIC_HOME": str(city.home)}).isolated,
    )


def run_slug(built: Built) -> str | None:
    return str(built.listed[0].record["slug"]) if built.listed else None


def _approve(city: City, release: str, place: int) -> str:
    """One steward reads the record, signs its bytes with her own key, and hands the signature in."""
    record = httpx.get(f"{city.public_url}/v1/releases/{release}", trust_env=False).json()["record"]
    signature = city.keys.of(SIDES[place]).sign_bytes(canonical_bytes(record))
    said = httpx.post(
        f"{city.url}/v1/releases/{release}/approvals",
        json=signature.document(),
        headers={"Authorization": f"token {STEWARDS[place]}"},
        trust_env=False,
    )
    assert said.status_code == 200, said.text
    return str(said.json()["state"])


def _exact(city: City, answers: list[dict[str, Any]]) -> dict[str, Exact]:
    """What the vault counts before any noise: the gateway's own plan, view and engine, opened by root."""
    parts = compose(read_settings({"CIVIC_HOME": str(city.home)}))
    try:
        found: dict[str, Exact] = {}
        for body in answers:
            statement = body["statement"]
            with parts.database.reading() as connection:
                force = parts.governing.in_force(connection, statement["dataset"])
                view = find_view(connection, force.policy.lineage, force.policy.hash())
            assert view is not None
            bound = bind(decode_plan(statement["plan"]), schema_of(force.policy, force.entry))
            with parts.engine.reader(view) as reader:
                columns = reader.execute(compile_sql(bound)).to_arrow_table()
            cells = dense(bound, {name: columns[name].to_pylist() for name in columns.column_names})
            (found[body["answer_id"]],) = cells.columns.values()
        return found
    finally:
        parts.close()
