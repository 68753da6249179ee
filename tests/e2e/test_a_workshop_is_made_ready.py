"""The days before a workshop, on the whole demonstration: made, checked, its opening tables bought, checked again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hub_config.client import Session
from hub_config.members.people import open_people
from hub_config.workshop.cards import open_cards
from hub_config.workshop.rehearsal import SCOPES, rehearse
from hub_config.workshop.seats_cli import EXIT_RED, seats
from hub_config.workshop.workshops import open_workshops
from tests.e2e.conftest import Demonstration

pytestmark = pytest.mark.hub


def civic_seats(demonstration: Demonstration, *words: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(seats, [*words, "--json"], env=demonstration.settings.environment())
    return done.exit_code, json.loads(done.stdout)


def checked(demonstration: Demonstration, name: str) -> dict[str, tuple[bool, str]]:
    code, said = civic_seats(demonstration, "check", name)
    assert code == (0 if said["good"] else EXIT_RED)
    return {line["what"]: (line["good"], line["says"]) for line in said["findings"]}


def test_a_workshop_is_red_until_its_tables_are_bought_and_then_free_for_each_seat(
    demonstration: Demonstration, tmp_path: Path
) -> None:
    settings = demonstration.settings
    sheet = tmp_path / "cards.html"
    words = ("print", "--workshop", "Bike lanes, Mapo", "--team", "bike", "--seats", "2")
    notebook = ("--notebook", "workshop_bike.ipynb", "--out", str(sheet))
    code, made = civic_seats(demonstration, *words, *notebook)
    assert code == 0 and made["made"] and sheet.stat().st_mode & 0o777 == 0o600
    name = made["workshop"]
    # The same words again are the same workshop, and the same cards.
    before = sheet.read_text("utf-8")
    assert civic_seats(demonstration, *words, *notebook)[1]["made"] is False
    assert sheet.read_text("utf-8") == before
    people, workshops, cards = open_people(settings), open_workshops(settings), open_cards(settings)
    try:
        first = checked(demonstration, name)
        assert {what for what, (good, _) in first.items() if not good} == {"address", "budget"}
        assert "opens on this computer only" in first["address"][1]
        assert "bought" in first["budget"][1] and "%" in first["budget"][1]
        assert workshops.entered(name) == set()
        workshop = workshops.get(name)
        token = Session(settings.workspace_url, demonstration.secrets["facilitator"]).token(
            SCOPES, lifetime_s=600, note="test"
        )
        bought = rehearse(settings, people.account("facilitator"), workshop, token, buy=True)
        assert (bought.stopped, bought.bought) == ("", 3)
        second = checked(demonstration, name)
        assert {what for what, (good, _) in second.items() if not good} == {"address"}
        assert first["seat"][0] and second["seat"][0] and len(cards.moves(name)) == 0
    finally:
        workshops.end(name)
        for each in (people, workshops, cards):
            each.close()
