"""What the row bound leaves out stands beside every interval, in plain words, and says so where it is not published."""

from __future__ import annotations

from typing import Any

import pytest

import civic_kernel as civic
from civic_kernel.charts import dots
from civic_kernel.client import Client
from civic_kernel.frames import KEY, headline
from civic_kernel.lost import lost_of, lost_together, lost_words, per_cent_range
from civic_kernel.maps import choropleth
from civic_kernel.price_card import Price
from civic_kernel.queries import Dataset
from civic_kernel.wire import TruncatedShare, Unit

from .conftest import Gateway
from .test_figures import VENDOR, by_gu, needs_leaflet

SHARE = {"share": "0.01785", "low": "0.01541", "high": "0.02031", "lost_shares": ["lost-a"]}
WORDS = "한 사람이 한 달에 20건을 넘긴 기록은 세지 않습니다. 그렇게 빠진 것은 전체의 1.5–2.1 %입니다"


def frame_with(share: dict[str, Any] | None, gateway: Gateway, client: Client) -> Any:
    plain = gateway.statement
    gateway.statement = lambda body: plain(body) | {"truncated_share": share}  # type: ignore[method-assign]
    rides = Dataset(client.dataset("bike_rides"), client)
    return rides.by(rides.start_gu, rides.month).agg(rides=civic.count()).ask(quiet=True)


def test_a_frame_and_its_charts_say_it_in_one_line(gateway: Gateway, client: Client) -> None:
    frame = frame_with(SHARE, gateway, client)
    words = "한 사람이 한 달에 20건을 넘긴 기록은 빠짐(전체의 1.5–2.1 %)"
    assert words in str(headline(frame))
    # A total is still of the same answer; a chart's caption has it beside how to read the interval.
    total = civic.total(frame, by="start_gu")
    assert words in str(headline(total))
    chart = dots(total, "rides", "start_gu", title="대여")
    assert chart.note.startswith("점은 추정값, 선은 95 % 구간 · " + words)


@needs_leaflet
def test_a_map_says_it_under_its_legend() -> None:
    frame = by_gu()
    assert 'cv-lost">' not in choropleth(frame, "rides", "start_gu", title="대여", vendor=VENDOR).document
    frame.attrs[KEY]["lost"] = {"20": ["0.015", "0.021"]}
    told = choropleth(frame, "rides", "start_gu", title="대여", vendor=VENDOR).document
    assert "기록은 빠짐(전체의 1.5–2.1 %)</p>" in told


def test_not_published_is_said_and_not_left_out(gateway: Gateway, client: Client) -> None:
    assert "공개되지 않음" in str(headline(frame_with(None, gateway, client)))


def test_the_price_card_says_it_before_anything_is_paid(gateway: Gateway, client: Client) -> None:
    rides = Dataset(client.dataset("bike_rides"), client)
    price = rides.agg(rides=civic.count()).price()
    known = Price(
        price.body.model_copy(update={"truncated_share": TruncatedShare.model_validate(SHARE)}),
        price.dataset,
    )
    assert ("빠지는 기록", WORDS) in known.lines()
    assert "How much this leaves out is not published" in str(Price(price.body, price.dataset, "en"))


@pytest.mark.parametrize(
    ("ends", "said"),
    [(("0.01541", "0.02031"), "1.5–2.1"), (("0.00000", "1.00000"), "0.0–100.0"), (("0.02000", "0.02000"), "2.0–2.0")],
)  # fmt: skip
def test_the_range_is_rounded_outwards(ends: tuple[str, str], said: str) -> None:
    assert per_cent_range(*ends) == said


def test_of_rows_without_persons_nothing_is_said() -> None:
    assert lost_of(Unit(kind="row"), 1, TruncatedShare.model_validate(SHARE)) == {}
    assert lost_words({}, "ko") == []


def test_a_table_of_two_answers_has_the_range_that_holds_both() -> None:
    first, second = {"lost": {"20": ["0.01", "0.02"]}}, {"lost": {"20": ["0.015", "0.1"]}}
    assert lost_together([first, second]) == {"20": ["0.01", "0.1"]}
    assert lost_together([first, {"lost": {"20": None}}]) == {"20": None}
    assert lost_together([{"lost": {"20": None}}, first]) == {"20": None}
    # Another bound is another sentence; a table of rows without persons adds none.
    assert lost_together([first, {"lost": {"30": None}}, {KEY: 1}]) == {"20": ["0.01", "0.02"], "30": None}
