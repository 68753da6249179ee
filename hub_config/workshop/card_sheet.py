"""The printed cards of a workshop: an HTML sheet for A4 paper, ten cards a page, one QR code each.

Everything stands in the one file, so that it prints without the workspace, and nothing is fetched while it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from hub_config.settings import Settings
from hub_config.texts import Language, shared_folder, text
from hub_config.workshop.cards import Card, Cards, card_link
from hub_config.workshop.workshops import SEOUL, Seat, Workshop

TEMPLATE = "cards.html"


@dataclass(frozen=True)
class Printed:
    """One card of the sheet; `qr` is an inline SVG of our own making."""

    number: str
    code: str
    qr: str


def cards_of(cards: Cards, workshop: Workshop, seats: list[Seat]) -> list[Card]:
    """A good card of each seat: the one it has, else a new one."""
    return [
        cards.again(seat.name) or cards.make(seat.name, expires_at=workshop.homes_until) for seat in seats
    ]


def sheet_facts(
    settings: Settings, workshop: Workshop, seats: list[Seat], cards: list[Card]
) -> dict[str, Any]:
    """What `cards.html` is rendered with, beside `t` and `language`, which are those of whoever prints it: the cards
    themselves speak the workshop's."""
    import segno

    numbers = {seat.name: f"{seat.number:02d}" for seat in seats}
    printed = []
    for card in cards:
        qr = segno.make(card_link(settings, card), error="m", micro=False)
        svg = qr.svg_inline(border=4, omitsize=True, svgclass=None, lineclass=None)
        printed.append(Printed(numbers[card.seat], card.code, svg))
    language = workshop.language
    return {
        "say": partial(text, language),
        "workshop": workshop,
        "cards": printed,
        "address": settings.address,
        "until": day(workshop.ends_at, language),
        "kept_until": day(workshop.homes_until, language),
    }


def render_sheet(
    settings: Settings, workshop: Workshop, seats: list[Seat], cards: list[Card], language: Language
) -> str:
    """The sheet as one HTML document. It holds secrets: who writes it to a file closes that file."""
    from jinja2 import Environment, FileSystemLoader

    folder = shared_folder("templates") / "workspace"
    environment = Environment(loader=FileSystemLoader(folder), autoescape=True)
    facts = sheet_facts(settings, workshop, seats, cards)
    template = environment.get_template(TEMPLATE)
    return template.render(t=partial(text, language), language=language, **facts)


def day(at: float, language: Language) -> str:
    """`11월 24일`, `24 November`; with the year where it is not this workshop's."""
    when = datetime.fromtimestamp(at, SEOUL)
    return text(language, "workshop.day", year=when.year, month=when.month, day=when.day)


def moment(at: float, language: Language) -> str:
    """A day with its time, in Seoul."""
    when = datetime.fromtimestamp(at, SEOUL)
    return f"{day(at, language)} {when:%H:%M}"
