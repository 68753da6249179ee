"""A question of the form is the same question as a link, as Python and as what is asked."""

from __future__ import annotations

import pandas as pd
import pytest

import civic_kernel as civic
from civic_kernel.errors import CivicError, MeasureRefused, UnknownColumn, ValueOutsideDomain
from civic_kernel.lab.forms import offered
from civic_kernel.lab.forms.chosen import Chosen, Condition, read_chosen
from civic_kernel.queries import Dataset

SEPTEMBER = Condition("month", ("2026-09",))
QUESTIONS = {
    "count": Chosen("bike_rides", (SEPTEMBER,), ("start_gu",)),
    "night": Chosen(
        "bike_rides", (SEPTEMBER, Condition("hour:started_at", (22, 5), span=True)), ("weekday:started_at",)
    ),
    "morning": Chosen(
        "bike_rides",
        (
            SEPTEMBER,
            Condition("hour:started_at", (7, 9), span=True),
            Condition("weekday:started_at", (0, 4)),
            Condition("rain", ("dry", "other")),
        ),
        ("sex", "season:month"),
        "persons",
    ),
    "mean": Chosen("bike_rides", (SEPTEMBER,), ("rain",), "mean:minutes"),
    "median": Chosen("bike_rides", (), ("band:minutes",), "median:minutes"),
    "sum": Chosen("bike_rides", (Condition("band:minutes", ("10..14",)),), (), "sum:minutes"),
    "share": Chosen("bike_rides", (SEPTEMBER,), ("rain",), "share"),
    "open": Chosen("air_days", (Condition("day", ("2026-01-01", "2026-01-31"), span=True),), ("station",), "mean:pm10"),
    "typed": Chosen("gu_facts", (Condition("gu", ("마포구", "중구")),), ("gu",), "sum:residents"),
}  # fmt: skip


def fields_of(chosen: Chosen) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in chosen.fields():
        found.setdefault(name, []).append(value)
    return found


@pytest.fixture(scope="module")
def client(city):
    made = city.client(language="en")
    yield made
    made.close()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_link_holds_the_whole_question(client, name):
    chosen = QUESTIONS[name]
    again = read_chosen(fields_of(chosen), client.dataset(chosen.dataset))
    assert again.question(Dataset(client.dataset(chosen.dataset), client)).plan == (
        chosen.question(Dataset(client.dataset(chosen.dataset), client)).plan
    )


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_python_beneath_an_answer_gives_that_very_answer(client, name, monkeypatch):
    chosen = QUESTIONS[name]
    dataset = Dataset(client.dataset(chosen.dataset), client)
    spend = None if dataset.detail.is_open else "rough"
    # On made-up rows, so that nine questions do not spend a month; two of them on the data as well.
    real = dataset.detail.is_open or name in ("count", "share")
    asked = dataset if real else dataset.twin(rows=500)
    frame = chosen.question(asked).ask(spend, team="bike", purpose="exploration", quiet=True)
    monkeypatch.setattr(civic, "_client", client)
    said: dict[str, pd.DataFrame] = {}
    exec(chosen.python(spend, "bike", "exploration", None if real else 500), said)
    pd.testing.assert_frame_equal(said["answer"], frame)
    assert said["answer"].attrs["civic"]["answer_id"] == frame.attrs["civic"]["answer_id"]
    assert chosen.figure in frame.columns


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"in.password": ["x"]}, UnknownColumn),
        ({"in.start_gu": ["강남"]}, ValueOutsideDomain),
        ({"in.hour:started_at": ["25"]}, ValueOutsideDomain),
        ({"in.hour:started_at": ["²"]}, ValueOutsideDomain),
        ({"in.exec:started_at": ["1"]}, ValueOutsideDomain),
        ({"by": ["exec:started_at"]}, CivicError),
        ({"by": ["minutes'); import os; ('"]}, UnknownColumn),
        ({"measure": ["max:minutes"]}, MeasureRefused),
        ({"measure": ["mean:password"]}, UnknownColumn),
    ],
)
def test_what_the_data_have_not_is_refused_and_never_left_out(client, fields, refusal):
    detail = client.dataset("bike_rides")
    sent = {"measure": ["count"], "in.month": ["2026-09"]} | fields
    with pytest.raises(refusal):
        read_chosen(sent, detail).question(Dataset(detail, client))


@pytest.mark.parametrize("language", ["ko", "en"])
def test_everything_that_a_form_offers_can_be_asked(client, language):
    for row in client.catalog().datasets:
        detail = client.dataset(row.id)
        dataset, first = Dataset(detail, client), offered.first_choice(detail)
        words = []
        for choice in offered.filters(detail, first, language):
            words += [choice.label, *(option.words for option in choice.options)]
            for option in choice.options[:1]:
                ends = {f"from.{choice.key}": [option.value]} if choice.form == "span" else {}
                sent = ends or {f"in.{choice.key}": [option.value]}
                read_chosen({"measure": ["count"]} | sent, detail).question(dataset)
        for group in offered.groups(detail, first, language):
            for option in group:
                words.append(option.words)
                read_chosen({"measure": ["count"], "by": [option.value]}, detail).question(dataset)
        for option in offered.measures(detail, first, language):
            words.append(option.words)
            read_chosen({"measure": [option.value]}, detail).question(dataset)
        assert all(words)
        # A class of the city's own (`under_300000`) stands nowhere as it is spelled in a file.
        assert not [word for word in words if "_" in word]
