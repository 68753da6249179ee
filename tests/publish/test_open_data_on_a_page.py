"""From open rows to a citizen's page: frames, charts and maps that say there is no noise, and a page that checks.

Gateway, vault, signatures and HTTP are real. What is left out of a run is the kernel, whose outputs are put together
here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from starlette.testclient import TestClient

from civic_kernel import charts
from civic_kernel.asked import cite, team_questions
from civic_kernel.client import Client
from civic_kernel.errors import CivicError, FrameUnsuitable, RowsRefused, UnknownColumn
from civic_kernel.figures import interval, points
from civic_kernel.frames import headline
from civic_kernel.measures import count, mean, sum_of
from civic_kernel.methods.combine import ratio, total
from civic_kernel.price_card import Price
from civic_kernel.publish.blocks import ANSWER_MIME, BLOCK_MIME, Block, figure, message
from civic_kernel.publish.pages import Sources, build_release
from civic_kernel.queries import Dataset, hour
from civic_kernel.reports.record import Run, make_run_record
from civic_kernel.twins import make_twin
from civic_kernel.verify.page import check_page, is_same
from data_access.canonical import canonical_bytes, content_id
from data_access.gateway.workspace import workspace_app
from tests.audit.conftest import Watched, make_watched
from tests.factories import SENSORS, FakeIdentity, make_caller

WORDS = {"ko": "측정한 값", "en": "Measured values"}
ALT = {"ko": "구마다 잰 미세먼지를 견준 점그림이다.", "en": "Dots that compare the dust measured in each gu."}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    made = make_watched(tmp_path_factory.mktemp("page") / "home")
    made.workspace.load_sensors()
    yield made
    made.workspace.parts.close()


@pytest.fixture
def client(watched: Watched) -> Client:
    identity = FakeIdentity({"t": make_caller("ann", ["bike"], "ask", "read")})
    http = TestClient(workspace_app(watched.workspace.parts, identity, prefix=""))
    return Client("", "t", team="bike", purpose="research", language="en", http=http)


@pytest.fixture
def sensors(client: Client) -> Dataset:
    return Dataset(client.dataset("sensors"), client)


def test_rows_are_asked_like_a_table_and_come_with_their_types(client: Client, sensors: Dataset) -> None:
    frame = sensors.rows("gu", sensors.pm10, "no2").where(sensors.no2 >= 0.03, sensors.gu != "중구").ask()
    assert frame.to_dict("records") == [{"gu": "종로구", "pm10": 40, "no2": 0.1}]
    assert [str(dtype) for dtype in frame.dtypes] == ["str", "Int64", "Float64"]
    [body] = client.answers
    assert body["statement"]["plan"]["where"]["and"][0]["value"] == "0.030"
    whole = sensors.rows().ask()
    assert list(whole.columns) == ["at", "gu", "pm10", "no2"] and len(whole) == len(SENSORS)
    assert whole["pm10"].isna().sum() == 1 and whole["gu"].isna().sum() == 1
    said = str(headline(whole))
    assert "Open data, exact: nothing added, nothing withheld" in said and "±" not in said


def test_pages_make_one_table_that_stands_on_all_their_answers(sensors: Dataset, client: Client) -> None:
    first = sensors.rows("pm10").limit(2).ask()
    assert "2 of 5 rows" in repr(first)
    whole = sensors.rows("pm10").limit(2).ask_all()
    assert whole["pm10"].dropna().tolist() == [31, 40, 12, 7] and len(whole) == 5
    origin = whole.attrs["civic"]
    assert origin["answer_id"].split(", ") == [body["answer_id"] for body in client.answers]
    assert len(client.answers) == 3 and origin["next"] is None and "of 5" not in repr(whole)


def test_what_is_typed_wrongly_costs_no_round_trip(sensors: Dataset, client: Client) -> None:
    with pytest.raises(UnknownColumn):
        sensors.rows("member")
    for wrong in (0, 10_001, True):
        with pytest.raises(CivicError):
            sensors.rows("gu").limit(wrong)
    with pytest.raises(CivicError):
        sensors.rows("gu").where("gu")  # type: ignore[arg-type]
    with pytest.raises(RowsRefused):
        Dataset(client.dataset("rides"), client).rows("gu")
    assert client.answers == []


def test_cells_are_exact_and_the_price_says_so(sensors: Dataset, client: Client) -> None:
    question = sensors.by(sensors.gu, hour(sensors.at)).agg(
        n=count(), dust=sum_of(sensors.pm10), no2=mean(sensors.no2)
    )
    price = str(question.price())
    assert "free" in price and "exact, without noise" in price
    frame = question.ask(quiet=True)
    assert list(frame.columns) == ["gu", "hour", "dust", "n", "no2"]
    assert int(frame["n"].sum()) == 5 and int(frame["dust"].sum()) == 90
    assert "무료" in str(Price(client.price(sensors.rows("gu").plan), sensors.detail, "ko"))
    assert "sensors" in set(team_questions(client)["dataset"])
    assert "Test" in cite(frame)


def test_an_open_dataset_is_its_own_twin(client: Client, sensors: Dataset) -> None:
    twin = make_twin(client, "sensors", 100, 0)
    assert type(twin) is Dataset and twin.rows("pm10").ask().equals(sensors.rows("pm10").ask())


def test_charts_and_maps_say_that_there_is_no_noise(sensors: Dataset) -> None:
    frame = (
        sensors.by(sensors.gu)
        .where(sensors.gu.notna())
        .agg(dust=sum_of(sensors.pm10), no2=mean(sensors.no2))
        .ask(quiet=True)
    )
    drawn = charts.dots(frame, "dust", "gu", title="t", language="en")
    assert "without noise" in drawn.note and "95 %" not in drawn.note and "40–40" not in drawn.svg
    lined = charts.line(frame, "no2", "gu", title="t", language="ko", digits=3)
    assert "잡음이 없습니다" in lined.note and "가림" not in lined.svg
    rows = sensors.rows("gu", "pm10").where(sensors.gu == "종로구").ask()
    assert "exact" in charts.dots(rows, "pm10", "gu", title="t", language="en").note.lower()
    point = points(frame, "gu", "dust", None, "en")[0]
    assert point.exact and interval(point, "en", 0) == "exact"


def test_exact_numbers_stand_beside_noisy_ones_with_the_noisy_ones_interval(
    client: Client, sensors: Dataset
) -> None:
    rides = Dataset(client.dataset("rides"), client)
    by_gu = rides.by(rides.gu).agg(rides=count()).ask(quiet=True)
    dust = sensors.by(sensors.gu).where(sensors.gu.notna()).agg(dust=sum_of(sensors.pm10)).ask(quiet=True)
    rate = ratio(by_gu, dust, measure="rides", of="dust", by="gu").set_index("gu").loc["종로구"]
    sigma = float(by_gu.attrs["civic"]["measures"]["rides"]["scale"])
    # Half-width of a noisy number over an exact one: the noise's own, divided.
    assert float(rate["ratio_high"] - rate["ratio"]) == pytest.approx(1.95996 * sigma / 40, rel=1e-3)
    assert ratio(dust, by_gu, measure="dust", of="rides", by="gu").attrs["civic"]["lane"] == "private"
    summed = total(dust, "dust")
    assert summed["dust"].tolist() == summed["dust_low"].tolist() == [78.0]
    with pytest.raises(FrameUnsuitable):
        total(sensors.by(sensors.gu).agg(m=mean(sensors.no2)).ask(quiet=True), "m")


# --- the page ---


def release(tmp_path: Path, client: Client, *blocks: Block, spoil: Any = None) -> Path:
    """A release folder from blocks and from the answers that `client` got, as a run would hand them over."""
    source = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("sensors.rows().ask()")])
    executed = nbformat.from_dict(json.loads(json.dumps(source)))
    shown: list[dict[str, Any]] = [{BLOCK_MIME: block.data} for block in blocks]
    shown += [{ANSWER_MIME: body} for body in client.answers]
    executed.cells[0].outputs = [nbformat.v4.new_output("display_data", data) for data in shown]
    written = nbformat.writes(source).encode()
    record = make_run_record(
        report="open_air", source=written, schema_version=1, parameters={}, team="bike", purpose="research",
        executed=executed, started_at="2026-11-23T04:05:06Z", finished_at="2026-11-23T04:05:06Z",
    )  # fmt: skip
    schema = json.dumps({"label": {"ko": "공기", "en": "Air"}, "properties": {}}).encode()
    sources = Sources(client.get("/v1/policies"), client.get("/v1/parties"))
    build_release(Run(record, written, schema, executed), tmp_path / "out", sources, author="reports")
    return tmp_path / "out"


def shown_figure(frame: pd.DataFrame, name: str, columns: list[str], digits: int = 0) -> Block:
    return figure(
        None, name=name, title=WORDS, subtitle=WORDS, alt=ALT, table=frame,
        columns={column: {"ko": column, "en": column} for column in columns}, uncertainty=WORDS, digits=digits,
    )  # fmt: skip


def test_a_page_of_open_rows_and_cells_says_what_it_is_and_checks(
    tmp_path: Path, client: Client, sensors: Dataset
) -> None:
    rows = sensors.rows().ask()
    cells = (
        sensors.by(sensors.gu)
        .where(sensors.gu.notna())
        .agg(dust=sum_of(sensors.pm10), no2=mean(sensors.no2))
        .ask(quiet=True)
    )
    folder = release(
        tmp_path,
        client,
        message(ko="공기를 쟀다.", en="Air was measured."),
        shown_figure(rows, "all-rows", ["at", "gu", "pm10", "no2"], digits=3),
        shown_figure(cells, "by-gu", ["gu", "dust", "no2"], digits=2),
    )
    found = check_page(folder / "ko" / "index.html")
    assert found.wrong == [] and found.answers == 2
    # Every value of every row, and two figures of each of three gu.
    assert found.numbers == 4 * len(SENSORS) + 2 * 3
    about = json.loads((folder / "data" / "by-gu.json").read_text("utf-8"))
    assert [column["role"] for column in about["columns"]] == ["key", "measure", "measure"]
    assert about["units"] == {"sensors": "open"}
    page = (folder / "en" / "index.html").read_text("utf-8")
    assert "open data, used as published" in page and "without chance" in page
    assert "one person" not in page and "withheld where its figure" not in page
    method = (folder / "ko" / "method.html").read_text("utf-8")
    assert "5행 가운데 5행" in method and "dust = 합" in method and "no2 = 평균" in method


@pytest.mark.parametrize(("name", "old", "new"), [("all-rows", b"40", b"41"), ("by-gu", b"0.03", b"0.04")])
def test_a_number_that_no_answer_has_is_found(
    tmp_path: Path, client: Client, sensors: Dataset, name: str, old: bytes, new: bytes
) -> None:
    rows = sensors.rows().ask()
    cells = sensors.by(sensors.gu).agg(no2=mean(sensors.no2)).ask(quiet=True)
    folder = release(
        tmp_path,
        client,
        message(ko="공기를 쟀다.", en="Air was measured."),
        shown_figure(rows, "all-rows", ["at", "gu", "pm10", "no2"], digits=3),
        shown_figure(cells, "by-gu", ["gu", "no2"], digits=2),
    )
    path = folder / "data" / f"{name}.csv"
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    assert ("number", name) in check_page(folder).wrong


def test_an_answer_that_says_open_under_a_private_policy_is_found(
    tmp_path: Path, client: Client, sensors: Dataset, watched: Watched
) -> None:
    """As a gateway might that gives out exact numbers under its own signature."""
    frame = sensors.rows().ask()
    folder = release(
        tmp_path,
        client,
        message(ko="가.", en="A."),
        shown_figure(frame, "all-rows", ["at", "gu", "pm10", "no2"], 3),
    )
    [path] = (folder / "answers").iterdir()
    body = json.loads(path.read_text("utf-8"))
    policies = client.get("/v1/policies")
    private = next(line for line in policies if line["policy"]["dataset"] == "rides")
    forged = body["statement"] | {"policy_hash": private["hash"]}
    data = canonical_bytes(forged)
    identity = content_id("ans", data)
    signature = watched.workspace.parts.key.sign_bytes(data).document()
    path.unlink()
    (folder / "answers" / f"{identity}.json").write_text(
        json.dumps({"answer_id": identity, "signature": signature, "statement": forged}), "utf-8"
    )
    (folder / "policies" / f"{private['hash']}.json").write_text(json.dumps(private), "utf-8")
    record = json.loads((folder / "release.json").read_text("utf-8"))
    record["answers"] = [identity]
    (folder / "release.json").write_text(json.dumps(record), "utf-8")
    assert ("policy", private["hash"]) in check_page(folder).wrong


def test_rounding_is_allowed_to_the_digits_shown_and_no_further() -> None:
    assert is_same("0.03", "0.028500") and is_same("-0.001", "-0.001000") and is_same("", None)
    assert not is_same("0.02", "0.028500") and not is_same("0.03", 3) and not is_same("x", "0.1")
    assert not is_same("nan", "0.1") and not is_same("", "0.1") and not is_same("0.1", None)
