"""Small catalogs, files, policies and vaults for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from data_access.audit.chain import Chain
from data_access.catalog import Dataset
from data_access.catalog.entry import parse_entry
from data_access.db import Database
from data_access.flows.loading import Vault
from data_access.parties import SigningKey
from data_access.policy import Policy
from data_access.vault import Engine, KeyStore, VaultStore, find_view

LINEAGE = "trips-test"
HEADER = ("자전거번호", "대여일시", "대여소", "이용시간(분)", "이용거리(M)", "성별", "회원번호")
#: Texts that stand in rows and must appear nowhere outside an encrypted file.
CANARY = "CANARY-카나리아-7351"

CATALOG = """
id: trips
title: {ko: 여행, en: Trips}
description: {ko: 여행, en: Trips}
encodings: [utf-8, cp949]
missing: '\\N'
time_column: started_at
columns:
  started_at: {source: 대여일시, type: timestamp, required: true, label: {ko: 때, en: When},
               formats: ["%Y-%m-%d %H:%M:%S", "%Y년 %m월 %d일 %H시"]}
  member: {source: 회원번호, type: person, label: {ko: 회원, en: Member}}
  station: {source: 대여소, type: padded_number, label: {ko: 대여소, en: Station}}
  minutes: {source: 이용시간(분), type: integer, label: {ko: 분, en: Minutes}}
  meters: {source: 이용거리(M), type: decimal, label: {ko: 거리, en: Metres}}
  sex: {source: 성별, type: text, label: {ko: 성별, en: Sex}}
derived:
  gu: {op: lookup, table: stations, column: station, key: number, value: gu, label: {ko: 구, en: Gu}}
public_tables:
  stations:
    file: stations.csv
    key: number
    columns:
      number: {source: 번호, type: padded_number, label: {ko: 번호, en: Number}}
      gu: {source: 구, type: text, label: {ko: 구, en: Gu}}
"""
STATIONS = "번호,구,설치일\n00101,종로구,2019.11.20\n102,중구,2019-11-20\n,,\n"


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Nothing waits in these tests."""


def dataset() -> Dataset:
    return parse_entry(CATALOG, "trips.yaml")


def trip(
    time: str = "2026-09-01 08:15:30",
    station: str = "00101",
    minutes: str = "7",
    meters: str = "480.00",
    sex: str = "F",
    member: str = "M1",
) -> tuple[str, ...]:
    return ("SPB-1", time, station, minutes, meters, sex, member)


def write_trips(
    path: Path,
    rows: Sequence[Sequence[str]],
    *,
    encoding: str = "utf-8",
    end: str = "\n",
    header: Sequence[str] = HEADER,
    stations: str = STATIONS,
) -> Path:
    """The file, and the stations beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = end.join(",".join(row) for row in (header, *rows)) + end
    path.write_bytes(text.encode(encoding))
    (path.parent / "stations.csv").write_bytes(stations.encode("utf-8-sig"))
    return path


def policy(of: Dataset, **changes: Any) -> Policy:
    document: dict[str, Any] = {
        "kind": "civic-policy",
        "dataset": of.id,
        "lineage": LINEAGE,
        "version": 1,
        "synthetic": True,
        "catalog": of.hash(),
        "lane": "private",
        "title": {"ko": "시험", "en": "Test"},
        "purposes": ["research"],
        "signers": [{"side": "city", "party": "city"}, {"side": "cso", "party": "cso"}],
        "unit": {"kind": "person", "column": "member", "period": "month"},
        "row_bound": 2,
        "first_period": "2026-08",
        "last_period": "2026-10",
        "keys": {"gu": {"values": ["종로구", "중구"]}, "sex": {"values": ["F", "M"]}},
        "clips": {"minutes": {"low": 0, "high": 60, "unit": "minute"}},
        "minimum": 3,
        "delta": "1e-6",
        "budget": "0.5",
        "load_rho": "0.01",
        "caps": [{"name": "all", "teams": "others", "rho": "0.4"}],
        "default_spend": "0.01",
        "max_spend": "0.1",
        "precisions": {"normal": "0.01"},
        "size_class": "small",
        "retention": "2027-12-31",
        "expires": "2027-12-31",
    }
    return Policy.model_validate(document | changes, strict=False)


def vault(root: Path, key: SigningKey | None = None) -> Vault:
    """A vault with database, keys and store under `root`; open it again for a second look at the same one."""
    root.mkdir(parents=True, exist_ok=True)
    database = Database(f"sqlite:///{root / 'vault.db'}")
    database.migrate()
    clock = FixedClock()
    return Vault(
        database=database,
        chain=Chain(key or SigningKey.generate(), clock),
        store=VaultStore(root / "vault", memory="500MB"),
        keys=KeyStore(root / "keys"),
        clock=clock,
    )


def rows_of(vault: Vault, of: Policy) -> list[tuple[Any, ...]]:
    """The private view's rows without the random unit, in an order of their own."""
    with vault.database.reading() as connection:
        view = find_view(connection, of.lineage, of.hash())
    assert view is not None
    engine = Engine(vault.store.folder, vault.keys)
    try:
        with engine.reader(view) as reader:
            found = reader.execute("SELECT * FROM view").to_arrow_table().to_pylist()
    finally:
        engine.close()
    return sorted((tuple(value for name, value in row.items() if name != "unit") for row in found), key=repr)
