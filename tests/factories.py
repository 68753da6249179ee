"""Makers for the vault side's tests: keys, registers, policies, tiny files, and a whole workspace on disk.

DuckDB, SQLite, files, signatures and HTTP are real. Faked are the clock, the noise, and who the Hub says is asking.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from sqlalchemy import text

from data_access.catalog.entry import Dataset, parse_entry
from data_access.clock import Clock
from data_access.compose import Parts, Settings, compose
from data_access.demo import prepare as demo
from data_access.documents import Labels
from data_access.errors import NotSignedIn
from data_access.flows.answering import Answered, Asker, Request
from data_access.flows.loading import load, make_missing_view
from data_access.gateway.identity import Caller
from data_access.parties import Key, Party, Register, SigningKey
from data_access.parties.register import SIDES, Side
from data_access.policy import AnyPolicy, OpenPolicy, Policy
from data_access.privacy.mechanisms import Gaussian, Noise
from tests.postgresql import Server

NOW = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
PERIODS = ("2026-08", "2026-09", "2026-10")
BY_GU: dict[str, Any] = {"dataset": "rides", "by": ["gu"], "measures": {"rides": {"fn": "count"}}}

_RIDES = """
id: rides
title: {ko: 대여, en: Rides}
description: {ko: 시험용 대여, en: Rides for tests}
encodings: [utf-8]
missing: '\\N'
time_column: started_at
columns:
  started_at: {source: time, type: timestamp, required: true, formats: ["%Y-%m-%d %H:%M"], label: {ko: 때, en: When}}
  member: {source: member, type: person, label: {ko: 회원, en: Member}}
  gu: {source: gu, type: text, label: {ko: 구, en: Gu}}
  sex: {source: sex, type: text, label: {ko: 성별, en: Sex}}
"""
_ACCIDENTS = """
id: accidents
title: {ko: 사고, en: Accidents}
description: {ko: 시험용 사고, en: Accidents for tests}
encodings: [utf-8]
missing: '\\N'
time_column: happened_at
columns:
  happened_at: {source: time, type: timestamp, required: true, formats: ["%Y-%m-%d %H:%M"], label: {ko: 때, en: When}}
  gu: {source: gu, type: text, label: {ko: 구, en: Gu}}
"""
#: Nobody in it: measurements with a decimal, a missing value and two hours of a day; for the open lane.
_SENSORS = """
id: sensors
title: {ko: 측정소, en: Sensors}
description: {ko: 시험용 측정, en: Measurements for tests}
encodings: [utf-8]
missing: ''
time_column: at
columns:
  at: {source: time, type: timestamp, required: true, formats: ["%Y-%m-%d %H:%M"], label: {ko: 때, en: When}}
  gu: {source: gu, type: text, label: {ko: 구, en: Gu}}
  pm10: {source: pm10, type: integer, label: {ko: 미세먼지, en: PM10}}
  no2: {source: no2, type: decimal, places: 3, label: {ko: 이산화질소, en: NO2}}
"""
CATALOG: dict[str, str] = {"rides": _RIDES, "accidents": _ACCIDENTS, "sensors": _SENSORS}

#: time, member, gu, sex. Twelve members ride at 08:30 on the 1st of each month; 종로구 gets two thirds of them,
#: one ride of each month starts at a place that no list names, 강동구 gets none.
RIDES: tuple[tuple[str, str, str, str], ...] = tuple(
    (f"{month}-01 08:30", f"m{i}", ("종로구", "종로구", "중구")[i % 3] if i else "어딘가", "FM"[i % 2])
    for month in PERIODS
    for i in range(12)
)
ACCIDENTS: tuple[tuple[str, str], ...] = tuple(
    (f"{month}-0{day} 17:05", gu) for month in PERIODS for day in (1, 2, 3) for gu in ("종로구", "중구")
)


#: time, gu, pm10, no2, in the order of the file, which is no other order.
SENSORS: tuple[tuple[str, str, str, str], ...] = (
    ("2026-08-01 01:00", "중구", "31", "0.027"),
    ("2026-08-01 02:00", "중구", "", "0.03"),
    ("2026-08-01 01:00", "종로구", "40", ".1"),
    ("2026-09-02 13:00", "", "12", "-0.001"),
    ("2026-09-02 14:00", "강동구", "7", ""),
)


@dataclass
class FakeClock:
    """Moves only when told to, or by sleeping. `slept` keeps (moment, seconds) of every sleep."""

    moment: datetime = NOW
    elapsed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.moment + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.elapsed += seconds


class ZeroNoise:
    """Adds nothing: what the answer shows is what the engine counted. `mechanisms` are those it was asked for."""

    def __init__(self) -> None:
        self.mechanisms: list[Gaussian] = []

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        self.mechanisms.append(mechanism)
        return [int(v) for v in values]


@dataclass
class ShiftedNoise:
    """Adds one number to every cell."""

    by: int

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        return [int(v) + self.by for v in values]


class SameNoise:
    """As wide as the gateway's, and the same for the same counts: what a report finds of the truth is then found in
    every run, where chance would miss it in one of twenty. How often ranges hold the truth is for tests/methods."""

    def add(self, values: NDArray[Any], mechanism: Gaussian) -> list[int]:
        seed = hashlib.sha256(repr((mechanism.scale, values.tolist())).encode()).digest()
        drawn = np.random.default_rng(list(seed)).normal(0, float(mechanism.scale), len(values))
        return [int(v) + round(d) for v, d in zip(values.tolist(), drawn.tolist(), strict=True)]


class FakeIdentity:
    """The Hub's word: callers by token."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        self.callers = dict(callers)

    def caller(self, token: str) -> Caller:
        if token not in self.callers:
            raise NotSignedIn()
        return self.callers[token]


def make_caller(name: str, teams: Sequence[str], *scopes: str) -> Caller:
    asker = Asker(name, frozenset(teams), asks="ask" in scopes, leads="facilitate" in scopes)
    return Caller(asker, frozenset(f"custom:civic:{scope}" for scope in scopes))


@dataclass(frozen=True)
class Keys:
    """One pair of keys of the two stewards."""

    city: SigningKey
    cso: SigningKey
    demo: bool

    def of(self, side: Side) -> SigningKey:
        return self.city if side == "city" else self.cso


def make_keys(*, demo: bool) -> Keys:
    return Keys(SigningKey.generate(), SigningKey.generate(), demo)


def make_register(
    *pairs: Keys, version: int = 1, valid_until: str = "2030-12-31", person: str = "steward"
) -> Register:
    """A register in which each pair's stewards stand as `steward-city` and `steward-cso`."""
    return Register(
        kind="civic-register",
        version=version,
        parties=tuple(Party(id=side, side=side, title=Labels(ko=side, en=side)) for side in SIDES),
        keys=tuple(
            Key(
                id=pair.of(side).id,
                public=base64.b64encode(pair.of(side).public).decode("ascii"),
                party=side,
                person=f"{person}-{side}",
                use="sign",
                demo=pair.demo,
                valid_from="2026-01-01",
                valid_until=valid_until,
            )
            for pair in pairs
            for side in SIDES
        ),
    )


def make_policy(entry: Dataset, **changes: Any) -> Policy:
    """A policy that fits `entry`. `changes` replace whole words of the document."""
    person = entry.person_column
    document: dict[str, Any] = {
        "kind": "civic-policy",
        "dataset": entry.id,
        "lineage": f"test-{entry.id}",
        "version": 1,
        "synthetic": True,
        "catalog": entry.hash(),
        "lane": "private",
        "title": {"ko": "시험", "en": "Test"},
        "purposes": ["research"],
        "signers": [{"side": side, "party": side} for side in SIDES],
        "unit": {"kind": "person" if person else "row", "column": person, "period": "month"},
        "row_bound": 2 if person else 1,
        "first_period": PERIODS[0],
        "last_period": PERIODS[-1],
        "keys": {"gu": {"values": ["종로구", "중구", "강동구"], "geography": "gu"}}
        | ({"sex": {"values": ["F", "M"]}} if person else {}),
        "minimum": 2,
        "delta": "1e-6",
        "budget": "0.5",
        "load_rho": "0.01",
        "caps": [
            {"name": "bike", "teams": ["bike"], "rho": "0.2"},
            {"name": "others", "teams": "others", "rho": "0.1"},
        ],
        "default_spend": "0.01",
        "max_spend": "0.1",
        "precisions": {"rough": "0.005", "normal": "0.01", "fine": "0.02"},
        "size_class": "small",
        "retention": "2027-12-31",
        "expires": "2027-12-31",
    }
    return Policy.model_validate(document | changes, strict=False)


def make_open_policy(entry: Dataset, **changes: Any) -> OpenPolicy:
    """A policy of the open lane for `entry`. `changes` replace whole words of the document."""
    document: dict[str, Any] = {
        "kind": "civic-policy",
        "dataset": entry.id,
        "lineage": f"test-{entry.id}",
        "version": 1,
        "synthetic": True,
        "catalog": entry.hash(),
        "lane": "open",
        "title": {"ko": "시험", "en": "Test"},
        "purposes": ["research"],
        "signers": [{"side": side, "party": side} for side in SIDES],
        "retention": "2027-12-31",
        "expires": "2027-12-31",
    }
    return OpenPolicy.model_validate(document | changes, strict=False)


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def request(plan: Any = None, /, **changes: Any) -> Request:
    """The question of `BY_GU` for team bike; `changes` are fields of Request."""
    return replace(Request(BY_GU if plan is None else plan, None, "bike", "research"), **changes)


ANN = Asker("ann", frozenset({"bike"}), asks=True)
BEN = Asker("ben", frozenset({"walk"}), asks=True)
#: Leads team bike's workshop.
LEA = Asker("lea", frozenset({"bike"}), asks=True, leads=True)
#: Team bike's room.
ROOM = Asker("room-01", frozenset({"bike"}), is_room=True, asks=True)


@dataclass
class Workspace:
    """A composed vault side in a folder of its own, with the hands of both stewards."""

    home: Path
    clock: FakeClock
    keys: Keys
    demo_keys: Keys
    parts: Parts
    isolated: bool

    @property
    def database_url(self) -> str:
        return self.parts.settings.database_url

    def entry(self, dataset: str = "rides") -> Dataset:
        return self.parts.governing.catalog[dataset]

    def reopen(
        self, *, noise: Noise | None = None, isolated: bool | None = None, clock: Clock | None = None
    ) -> None:
        """The same folder, composed anew: a restarted gateway."""
        self.parts.close()
        self.isolated = self.isolated if isolated is None else isolated
        self.parts = compose(
            make_settings(self.home, self.isolated, self.database_url),
            clock=clock or self.clock,
            noise=noise or ZeroNoise(),
        )

    def accept(self, register: Register, *signers: SigningKey) -> None:
        chosen = signers or (self.keys.city, self.keys.cso)
        self.parts.governing.accept_register(register, tuple(key.sign(register.document()) for key in chosen))

    def activate(self, policy: AnyPolicy, *signers: SigningKey) -> AnyPolicy:
        """Sign and let it take effect; the view is made where data are loaded."""
        chosen = signers or (self.keys.city, self.keys.cso)
        signatures = tuple(key.sign(policy.document()) for key in chosen)
        self.parts.governing.activate(policy, signatures)
        with self.parts.database.reading() as connection:
            loaded = connection.scalar(
                text("SELECT count(*) FROM versions WHERE lineage = :lineage"), {"lineage": policy.lineage}
            )
        if loaded:
            make_missing_view(self.parts.vault, self.entry(policy.dataset), policy)
        return policy

    def load(self, dataset: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        with self.parts.database.reading() as connection:
            force = self.parts.governing.in_any_lane(connection, dataset)
        path = write_csv(self.home / "incoming" / f"{dataset}.csv", header, rows)
        load(
            self.parts.vault,
            force.entry,
            [path],
            lineage=force.policy.lineage,
            policy=force.policy,
            by="test",
        )

    def load_rides(self, rows: Sequence[Sequence[str]] = RIDES) -> None:
        self.load("rides", ("time", "member", "gu", "sex"), rows)

    def load_sensors(self, rows: Sequence[Sequence[str]] = SENSORS) -> None:
        """Signed for as open, and loaded."""
        self.activate(make_open_policy(self.entry("sensors")))
        self.load("sensors", ("time", "gu", "pm10", "no2"), rows)

    def ask(self, asker: Asker = ANN, plan: Any = None, /, **changes: Any) -> Answered:
        asked, asking = request(plan, **changes), self.parts.asking
        lane = asking.open_lane if asking._is_open(asked) else self.parts.answering
        return lane.answer(asker, asked)

    def spent(self, dataset: str = "rides", period: str = PERIODS[0]) -> int:
        """Every nano-ρ charged to one period."""
        with self.parts.database.reading() as connection:
            found = connection.scalar(
                text("SELECT sum(nano) FROM charges WHERE lineage = :lineage AND period = :period"),
                {"lineage": f"test-{dataset}", "period": period},
            )
        return int(found or 0)

    def execute(self, statement: str, *values: Any) -> None:
        """As somebody would who opened the database with a tool of his own, the triggers dropped."""
        with self.parts.database.transaction() as tx:
            if tx.connection.dialect.name == "sqlite":
                found = tx.connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'")
                drops = [f"DROP TRIGGER {name}" for (name,) in found.all()]
            else:
                found = tx.connection.exec_driver_sql(
                    "SELECT tgname, tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal"
                )
                drops = [f"DROP TRIGGER {name} ON {table}" for name, table in found.all()]
                statement = statement.replace("?", "%s")
            for drop in drops:
                tx.connection.exec_driver_sql(drop)
            tx.connection.exec_driver_sql(statement, values)


def make_settings(home: Path, isolated: bool, database_url: str | None = None) -> Settings:
    url = database_url or f"sqlite:///{home / 'db' / 'vault.sqlite'}"
    return Settings(home=home, database_url=url, isolated=isolated)


def make_workspace(
    home: Path,
    *,
    noise: Noise | None = None,
    isolated: bool = False,
    catalog: Mapping[str, str] | None = None,
    governed: bool = True,
    server: Server | None = None,
) -> Workspace:
    """A workspace; with `governed` a register is accepted, and rides are signed for and loaded."""
    for name, written in (catalog or CATALOG).items():
        path = home / "catalog" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(written, "utf-8")
    clock = FakeClock()
    settings = make_settings(home, isolated, server.create() if server else None)
    parts = compose(settings, clock=clock, noise=noise or ZeroNoise(), create=True)
    made = Workspace(home, clock, make_keys(demo=False), make_keys(demo=True), parts, isolated)
    if governed:
        made.accept(make_register(made.keys, made.demo_keys))
        made.activate(make_policy(made.entry()))
        made.load_rides()
    return made


def write_policy_file(path: Path, policy: Policy) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(policy.document(), allow_unicode=True, sort_keys=False), "utf-8")
    return path


def entry_of(name: str) -> Dataset:
    return parse_entry(CATALOG[name], f"{name}.yaml")


def table(answered: Answered) -> dict[tuple[Any, ...], dict[str, Any]]:
    """The answer's rows by their keys: measure name → value, and `withheld`."""
    statement = answered.answer.document()["statement"]
    columns = statement["table"]["columns"]
    keys = sum(column["role"] == "key" for column in columns)
    names = [column["name"] for column in columns]
    return {
        tuple(row[:keys]): dict(zip(names[keys:], row[keys:], strict=True))
        for row in statement["table"]["rows"]
    }


def make_city(home: Path, rides: int, datasets: tuple[str, ...] = demo.DATASETS) -> Parts:
    """The demonstration in `home`: its catalog, policies and made-up files, signed for and loaded."""
    demo.install_catalog(home / "catalog")
    parts = compose(make_settings(home, isolated=False), create=True, noise=SameNoise())
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(demo, "DATASETS", datasets)
            demo.prepare(parts, rides=rides, seed=2017, progress=lambda *_: None)
    except BaseException:
        parts.close()
        raise
    return parts


def copy_city(made: Path, home: Path) -> Parts:
    """The city that lies closed in `made`, copied: to make the smallest takes ten seconds."""
    shutil.copytree(made, home)
    return compose(make_settings(home, isolated=False), noise=SameNoise())


def copy_workspace(
    template: Workspace, home: Path, *, noise: Noise | None = None, server: Server | None = None
) -> Workspace:
    """`template`'s folder and database copied and composed anew: loading takes a second, copying nothing."""
    shutil.copytree(template.home, home)
    clock = FakeClock()
    url = server.create(template.database_url) if server else None
    parts = compose(make_settings(home, template.isolated, url), clock=clock, noise=noise or ZeroNoise())
    return Workspace(home, clock, template.keys, template.demo_keys, parts, template.isolated)
