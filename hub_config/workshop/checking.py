"""`civic seats check`: is everything ready for a workshop? What is asked is what a participant would meet: her card's
address, her seat started by the Hub, her notebook run on made-up rows with her seat's rights.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from hub_config.client import Session
from hub_config.errors import SignInRefused
from hub_config.members.people import People
from hub_config.settings import Settings
from hub_config.texts import Language, text
from hub_config.workshop.cards import Cards
from hub_config.workshop.rehearsal import SCOPES, TOKEN_S, Rehearsed, rehearse
from hub_config.workshop.workshops import Seat, Workshop, Workshops

#: Megabytes that a seat with its kernel took where sixty were measured (`make bench NAME=seats`), and that its home
#: and what it keeps of earlier contents may come to in a day.
SEAT_MEMORY_MB, SEAT_DISK_MB = 200, 300
#: Seconds that a seat may take to be ready.
PATIENCE_S = 120.0


@dataclass(frozen=True)
class Finding:
    """One line of the check: the sentence `check.<what>.<good or bad>` with `facts`."""

    what: str
    good: bool
    facts: dict[str, str | int] = field(default_factory=dict)
    #: Another sentence than those two: `check.<what>.<said>`.
    said: str = ""

    def sentence(self, language: Language) -> str:
        return text(
            language, f"check.{self.what}.{self.said or ('good' if self.good else 'bad')}", **self.facts
        )


def check(
    settings: Settings,
    people: People,
    workshops: Workshops,
    cards: Cards,
    workshop: Workshop,
    tell: Callable[[Finding], object],
) -> bool:
    """Tells each finding when it is there; True if all are good. Takes up to some minutes, most for the notebook."""
    seats = workshops.seats(workshop.slug)
    found: list[Finding] = []

    def say(*lines: Finding) -> None:
        for line in lines:
            found.append(line)
            tell(line)

    say(_dates(workshop, seats, cards), *_room(settings, len(seats)))
    say(*_address(settings))
    if seats and workshop.is_open(time.time()):
        say(*_in_a_seat(settings, people, workshops, cards, workshop))
    return all(line.good for line in found)


def _dates(workshop: Workshop, seats: list[Seat], cards: Cards) -> Finding:
    if not workshop.is_open(time.time()):
        return Finding("cards", False, said="over")
    without = sum(cards.again(seat.name) is None for seat in seats)
    return Finding("cards", not without and bool(seats), {"count": len(seats), "without": without})


def _room(settings: Settings, seats: int) -> list[Finding]:
    """Places, disk and memory, for all seats at once."""
    most = settings.most_seats
    disk = shutil.disk_usage(settings.home).free // 2**20
    memory = psutil.virtual_memory().available // 2**20
    return [
        *([Finding("places", False, {"count": seats, "most": most})] if 0 < most < seats else []),
        Finding("disk", disk >= seats * SEAT_DISK_MB, {"free": disk, "needed": seats * SEAT_DISK_MB}),
        Finding(
            "memory", memory >= seats * SEAT_MEMORY_MB, {"free": memory, "needed": seats * SEAT_MEMORY_MB}
        ),
    ]


def _address(settings: Settings) -> list[Finding]:
    """Whether the printed address is one that other machines can open, and this workspace answers there. That their
    network lets them through only another machine can tell, which the sentence says."""
    host = urlsplit(settings.address).hostname or ""
    facts: dict[str, str | int] = {"address": settings.address}
    try:
        found = {ipaddress.ip_address(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except (OSError, ValueError):
        return [Finding("address", False, facts, "unknown")]
    answers = _ask_health(settings.address)
    if answers is None:
        return [Finding("address", False, facts, "silent")]
    down = sorted(part for part, state in answers.items() if state == "down")
    workspace = Finding("workspace", not down, {"parts": ", ".join(down)})
    if any(one.is_loopback or one.is_unspecified for one in found):
        return [Finding("address", False, facts), workspace]
    return [Finding("address", True, facts), workspace]


def _ask_health(address: str) -> dict[str, str] | None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        try:
            with opener.open(f"{address}/hub/api/civic/health", timeout=20) as told:
                body = told.read()
        except urllib.error.HTTPError as answer:
            with answer:
                body = answer.read()  # 503 says which part is down
        parts = json.loads(body)["parts"]
        return {str(name): str(state) for name, state in parts.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _in_a_seat(
    settings: Settings, people: People, workshops: Workshops, cards: Cards, workshop: Workshop
) -> list[Finding]:
    """Comes in with a card as its participant would, runs the notebook there, and leaves the seat as it was."""
    entered = workshops.entered(workshop.slug)
    free = [seat.name for seat in workshops.seats(workshop.slug) if seat.name not in entered]
    card = next((card for name in reversed(free) if (card := cards.again(name))), None)
    if card is None:
        # Whoever is in would be asked to move. That they are in says as much as this check could.
        return [Finding("seat", bool(entered), said="taken" if entered else "closed")]
    try:
        session = Session(settings.workspace_url, card.code)
        try:
            ready = _start(session, card.seat)
            warm = settings.seats != "here" or _is_forked(settings.home / "homes" / card.seat)
            token = session.token(SCOPES, lifetime_s=TOKEN_S, note="civic seats check")
            account = people.account(card.seat)
            notebook = _notebook(settings, workshop, lambda: rehearse(settings, account, workshop, token))
        finally:
            with contextlib.suppress(SignInRefused):
                session.api("DELETE", f"users/{card.seat}/server")
            cards.forget_browsers(card.seat)
    except (SignInRefused, OSError):
        return [Finding("seat", False, said="closed")]
    seat = Finding("seat", ready is not None and warm, {"seconds": round(ready or PATIENCE_S)})
    return [seat, *notebook]


def _start(session: Session, name: str) -> float | None:
    """Seconds from the click to the ready server; None if it was not ready in time."""
    began = time.monotonic()
    if not _is_ready(session, name):
        session.api("POST", f"users/{name}/server", {})
    while not _is_ready(session, name):
        if time.monotonic() - began > PATIENCE_S:
            return None
        time.sleep(0.1)
    return time.monotonic() - began


def _is_ready(session: Session, name: str) -> bool:
    server = session.api("GET", f"users/{name}")["servers"].get("", {})
    return bool(server.get("ready"))


def _is_forked(home: Path) -> bool:
    """Whether the server in that home came from the template: one that did keeps its command line. A cold one takes
    six seconds of a processor, and thirty of them at once take minutes."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.cwd() == str(home) and "civic_kernel.warm" in process.cmdline():
                return True
    return False


def _notebook(settings: Settings, workshop: Workshop, rehearsal: Callable[[], Rehearsed]) -> list[Finding]:
    if not workshop.notebook:
        return [Finding("notebook", True, said="none")]
    if settings.seats != "here":
        return [Finding("notebook", False, said="elsewhere")]
    rehearsed = rehearsal()
    facts: dict[str, str | int] = {"notebook": workshop.notebook, "where": rehearsed.stopped}
    if rehearsed.stopped:
        return [Finding("notebook", False, facts)]
    return [Finding("notebook", True, facts), budget_finding(rehearsed)]


def budget_finding(rehearsed: Rehearsed) -> Finding:
    """Whether what the notebook asks is bought; if not, what it would cost the team where it is tightest."""
    if not rehearsed.parts:
        return Finding("budget", True, {"tables": rehearsed.tables})
    tightest = max(rehearsed.parts, key=lambda part: part.of_left)
    facts: dict[str, str | int] = {
        "dataset": tightest.dataset,
        "month": tightest.month,
        "of_cap": percent(tightest.of_cap),
        "of_left": percent(tightest.of_left),
    }
    if rehearsed.waits:
        return Finding("budget", False, facts, "waits")
    return Finding("budget", False, facts, "" if tightest.of_left <= 1 else "short")


def percent(part: object) -> str:
    """`3.1 %`, of a part of 1; rounded up, since it is a price."""
    from decimal import ROUND_UP, Decimal

    return f"{(Decimal(str(part)) * 100).quantize(Decimal('0.1'), ROUND_UP)} %"
