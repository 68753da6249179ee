"""Workshops: some thirty seats of a team for a while, a notebook to begin with, and who asked for help.

A seat is a person of her own (`seat-<workshop>-<nn>`), whose home stays until the date on her card. The team's next
workshop takes the seats of its ended ones over, homes and cards included, so that the same card opens the same work.
Who may sign in with a card, and from which browser, is the part of hub_config.workshop.cards.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as time_of_day
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, Select, delete, func, insert, not_, select, update
from sqlalchemy.exc import IntegrityError

from hub_config import db
from hub_config.errors import WorkshopRefused
from hub_config.members.people import find_team, insert_person
from hub_config.settings import Settings
from hub_config.texts import Language, text
from hub_config.workshop.cards import is_open

SEOUL = ZoneInfo("Asia/Seoul")
MOST_SEATS = 200
#: Days for which homes stay after a workshop unless somebody says otherwise, and the longest that may be said.
HOME_DAYS, MOST_DAYS = 30, 366
#: `seat-`, a hyphen and three digits go around it in a name of 32 characters.
MOST_SLUG = 22
_NOTEBOOK = re.compile(r"[^/\\\x00-\x1f.][^/\\\x00-\x1f]{0,180}\.ipynb")


@dataclass(frozen=True)
class Workshop:
    """Times are seconds since 1970. `notebook` is a file's name in each home's `examples`, or empty; `language` that of
    its seats and cards."""

    slug: str
    title: str
    team: str
    notebook: str
    language: Language
    created_at: int
    ends_at: int
    homes_until: int
    ended_at: int | None

    def is_open(self, now: float) -> bool:
        return self.ended_at is None and now < self.ends_at


@dataclass(frozen=True)
class Seat:
    """A seat in the workshop that it is in now. `help_since`: when she asked for help, None if she has not."""

    name: str
    number: int
    help_since: int | None


class Workshops:
    """`now` gives seconds since 1970. Every method is one transaction; the command line may write beside the Hub."""

    def __init__(self, engine: Engine, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._settings = settings
        self._now = now

    def close(self) -> None:
        self._engine.dispose()

    # ------------------------------------------------------------------------------------------- writing

    def make(
        self,
        *,
        title: str,
        team: str,
        seats: int,
        ends_at: int,
        homes_until: int | None = None,
        notebook: str = "",
        slug: str | None = None,
        language: Language = "ko",
        by: str = "",
    ) -> Workshop:
        """A workshop with `seats` new seats, and with those of the team's ended workshops whose homes are still kept:
        they come first, in their order, and show `language` as the new ones do. Raises WorkshopRefused, and
        PersonRefused for an unknown team."""
        now = int(self._now())
        title = " ".join(title.split())
        homes_until = ends_at + HOME_DAYS * 86_400 if homes_until is None else homes_until
        _check(title, seats, notebook)
        self._check_times(now, ends_at, homes_until)
        if slug is not None and not _SLUG.fullmatch(slug):
            raise WorkshopRefused(reason="slug")
        try:
            with self._engine.begin() as connection:
                team_id = find_team(connection, team)
                name = slug or _free_slug(connection, title, now)
                made = connection.execute(
                    insert(db.workshops)
                    .values(
                        slug=name,
                        title=title,
                        team_id=team_id,
                        notebook=notebook,
                        language=language,
                        created_at=now,
                        ends_at=ends_at,
                        homes_until=homes_until,
                    )
                    .returning(db.workshops.c.id)
                ).scalar_one()
                first = self._take_over(connection, made, team_id, now, homes_until) + 1
                seated = select(db.seats.c.person_id).where(db.seats.c.workshop_id == made)
                connection.execute(
                    update(db.persons).where(db.persons.c.id.in_(seated)).values(language=language)
                )
                for number in range(first, first + seats):
                    place = f"seat-{name}-{number:02d}"
                    person = insert_person(
                        connection,
                        place,
                        display_ko=text("ko", "workshop.seat", number=f"{number:02d}"),
                        display_en=text("en", "workshop.seat", number=f"{number:02d}"),
                        language=language,
                    )
                    connection.execute(insert(db.person_roles).values(person_id=person, role="participant"))
                    connection.execute(insert(db.memberships).values(person_id=person, team_id=team_id))
                    connection.execute(
                        insert(db.seats).values(person_id=person, workshop_id=made, number=number)
                    )
                _note(connection, now, by, "workshop_made", name, team)
        except IntegrityError:
            raise WorkshopRefused(reason="slug_taken") from None
        return self.get(name)

    def _take_over(self, connection: Connection, to: int, team_id: int, now: int, homes_until: int) -> int:
        """Moves the seats of the team's ended workshops here; returns the highest number given. A number stays
        where it is free: it is what stands on the card. The newest workshop's come first."""
        over = not_(is_open(now))
        rows = connection.execute(
            select(db.seats.c.id, db.seats.c.number)
            .join(db.workshops, db.workshops.c.id == db.seats.c.workshop_id)
            .where(db.workshops.c.team_id == team_id, over, db.workshops.c.homes_until > now)
            .order_by(db.workshops.c.id.desc(), db.seats.c.number)
        ).all()
        highest = max((row.number for row in rows), default=0)
        taken: set[int] = set()
        for row in rows:
            number = row.number
            if number in taken:
                highest += 1
                number = highest
            taken.add(number)
            connection.execute(
                update(db.seats)
                .where(db.seats.c.id == row.id)
                .values(workshop_id=to, number=number, help_since=None)
            )
            _lengthen_cards(connection, [row.id], homes_until)
            # Another day, another laptop: the browser of last time is not in.
            connection.execute(delete(db.browsers).where(db.browsers.c.seat_id == row.id))
        return highest

    def extend(self, slug: str, *, ends_at: int, homes_until: int | None = None, by: str = "") -> Workshop:
        """Another end of an open workshop. Homes and cards stay at least as long as they were promised to. Raises
        WorkshopRefused."""
        workshop, now = self.get(slug), int(self._now())
        if not workshop.is_open(now):
            raise WorkshopRefused(reason="ended")
        stays = max(workshop.homes_until, homes_until or 0, ends_at)
        self._check_times(now, ends_at, stays)
        with self._engine.begin() as connection:
            connection.execute(
                update(db.workshops)
                .where(db.workshops.c.slug == slug)
                .values(ends_at=ends_at, homes_until=stays)
            )
            places = connection.execute(_places(slug).with_only_columns(db.seats.c.id)).scalars().all()
            _lengthen_cards(connection, list(places), stays)
            _note(connection, now, by, "workshop_extended", slug, workshop.team)
        return self.get(slug)

    def end(self, slug: str, *, by: str = "") -> Workshop:
        """Closes its seats to everybody; their homes stay. Ending it twice changes nothing. Raises WorkshopRefused."""
        workshop, now = self.get(slug), int(self._now())
        if workshop.ended_at is not None:
            return workshop
        with self._engine.begin() as connection:
            connection.execute(update(db.workshops).where(db.workshops.c.slug == slug).values(ended_at=now))
            connection.execute(
                update(db.seats)
                .where(db.seats.c.id.in_(_places(slug).with_only_columns(db.seats.c.id)))
                .values(help_since=None)
            )
            _note(connection, now, by, "workshop_ended", slug, workshop.team)
        return self.get(slug)

    def ask_help(self, seat: str, wanted: bool) -> int | None:
        """Since when the seat waits for help, or None. Asking again does not lose one's place. Raises
        WorkshopRefused for a name that is no seat of an open workshop."""
        if self.open_for(seat) is None:
            raise WorkshopRefused(reason="no_seat")
        now = int(self._now())
        place = db.seats.c.id.in_(_place(seat).with_only_columns(db.seats.c.id))
        # In one statement: two presses must not undo each other.
        since = func.coalesce(db.seats.c.help_since, now) if wanted else None
        with self._engine.begin() as connection:
            connection.execute(update(db.seats).where(place).values(help_since=since))
            found = connection.execute(select(db.seats.c.help_since).where(place)).scalar_one()
        return None if found is None else int(found)

    def note(self, what: str, seat: str, *, by: str) -> None:
        """Writes down who did what to a seat: `seat_card`, `seat_moved`, `seat_fresh`, `seat_restarted`."""
        workshop = self.workshop_of(seat)
        if workshop is not None:
            with self._engine.begin() as connection:
                _note(connection, int(self._now()), by, what, seat, workshop.team)

    def _check_times(self, now: int, ends_at: int, homes_until: int) -> None:
        if not now < ends_at <= now + MOST_DAYS * 86_400:
            raise WorkshopRefused(reason="ends_at")
        if not ends_at <= homes_until <= now + 2 * MOST_DAYS * 86_400:
            raise WorkshopRefused(reason="homes_until")

    # ------------------------------------------------------------------------------------------- asking

    def find(self, slug: str) -> Workshop | None:
        with self._engine.connect() as connection:
            row = connection.execute(_workshops().where(db.workshops.c.slug == slug)).one_or_none()
        return None if row is None else Workshop(*row)

    def get(self, slug: str) -> Workshop:
        """As `find`; raises WorkshopRefused where there is none."""
        found = self.find(slug)
        if found is None:
            raise WorkshopRefused(reason="unknown")
        return found

    def of_teams(self, teams: tuple[str, ...] | list[str]) -> list[Workshop]:
        """The workshops of these teams, newest first."""
        query = _workshops().where(db.teams.c.slug.in_(list(teams))).order_by(db.workshops.c.id.desc())
        with self._engine.connect() as connection:
            return [Workshop(*row) for row in connection.execute(query)]

    def workshop_of(self, seat: str) -> Workshop | None:
        """The workshop that a seat is in, open or over; None for everybody who is no seat."""
        with self._engine.connect() as connection:
            row = connection.execute(_of_seat(seat)).one_or_none()
        return None if row is None else Workshop(*row)

    def open_for(self, seat: str) -> Workshop | None:
        """The seat's workshop while it is open; None when it is over, and for everybody who is no seat."""
        with self._engine.connect() as connection:
            row = connection.execute(_of_seat(seat).where(is_open(self._now()))).one_or_none()
        return None if row is None else Workshop(*row)

    def seats(self, slug: str) -> list[Seat]:
        """The seats of a workshop, by number."""
        with self._engine.connect() as connection:
            return [Seat(*row) for row in connection.execute(_places(slug).order_by(db.seats.c.number))]

    def seat(self, name: str) -> Seat | None:
        with self._engine.connect() as connection:
            row = connection.execute(_place(name)).one_or_none()
        return None if row is None else Seat(*row)

    def entered(self, slug: str) -> set[str]:
        """Names of the seats that a browser is signed in at."""
        here = db.browsers.c.seat_id.in_(_places(slug).with_only_columns(db.seats.c.id))
        query = (
            select(db.persons.c.name)
            .select_from(db.browsers.join(db.seats).join(db.persons))
            .where(here, db.browsers.c.state == "in")
        )
        with self._engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def over(self) -> list[str]:
        """Names of all seats whose workshop is over: none of their servers has a reason to run."""
        now = int(self._now())
        query = (
            select(db.persons.c.name)
            .join(db.seats, db.seats.c.person_id == db.persons.c.id)
            .join(db.workshops, db.workshops.c.id == db.seats.c.workshop_id)
            .where(not_(is_open(now)))
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())

    def past(self) -> list[str]:
        """Names of all seats whose workshop is over and whose home was promised for no longer."""
        now = int(self._now())
        query = (
            select(db.persons.c.name)
            .join(db.seats, db.seats.c.person_id == db.persons.c.id)
            .join(db.workshops, db.workshops.c.id == db.seats.c.workshop_id)
            .where(
                not_(is_open(now)),
                db.workshops.c.homes_until <= now,
            )
            .order_by(db.persons.c.id)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(query).scalars())


def open_workshops(settings: Settings, now: Callable[[], float] = time.time) -> Workshops:
    """Workshops of the workspace whose folders `hub_config.home.prepare` made."""
    return Workshops(db.open_database(settings), settings, now)


def new_seats(workshop: Workshop, seats: list[Seat]) -> list[Seat]:
    """Those that were made for this workshop; the others came from an earlier one, with their cards."""
    return [seat for seat in seats if seat.name.startswith(f"seat-{workshop.slug}-")]


def read_day(given: str, now: float) -> int:
    """`today`, `tomorrow`, `2026-11-24` (its last second in Seoul) or `2026-11-24T18:00` as seconds since 1970.
    Raises WorkshopRefused."""
    words = {"today": 0, "오늘": 0, "tomorrow": 1, "내일": 1}
    try:
        if given in words:
            day = datetime.fromtimestamp(now, SEOUL).date() + timedelta(days=words[given])
            return _last_second(datetime.combine(day, time_of_day(), SEOUL))
        when = datetime.fromisoformat(given)
        if when.tzinfo is None:
            when = when.replace(tzinfo=SEOUL)
        return int(when.timestamp()) if "T" in given or " " in given else _last_second(when)
    except (ValueError, OverflowError):
        raise WorkshopRefused(reason="date") from None


def _last_second(day: datetime) -> int:
    return int((day + timedelta(days=1)).timestamp()) - 1


_SLUG = re.compile(rf"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){{1,{MOST_SLUG - 1}}}")


def _free_slug(connection: Connection, title: str, now: int) -> str:
    """A name for addresses and accounts: the title's Latin letters where it has some, else the day."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    wanted = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[: MOST_SLUG - 3].strip("-")
    if not _SLUG.fullmatch(wanted):
        wanted = datetime.fromtimestamp(now, SEOUL).strftime("w%Y%m%d")
    known = set(connection.execute(select(db.workshops.c.slug)).scalars())
    numbered = (f"{wanted}-{count}" for count in range(2, 100))
    free = next((slug for slug in (wanted, *numbered) if slug not in known), None)
    if free is None:
        raise WorkshopRefused(reason="slug_taken")
    return free


def _check(title: str, seats: int, notebook: str) -> None:
    if not 1 <= len(title) <= 120 or not title.isprintable():
        raise WorkshopRefused(reason="title")
    if not 0 <= seats <= MOST_SEATS:
        raise WorkshopRefused(reason="seats")
    if notebook and not _NOTEBOOK.fullmatch(notebook):
        raise WorkshopRefused(reason="notebook")


def _lengthen_cards(connection: Connection, places: list[int], until: int) -> None:
    """Cards in people's hands go on for as long as the homes that they open."""
    connection.execute(
        update(db.cards)
        .where(db.cards.c.seat_id.in_(places), db.cards.c.expires_at < until)
        .values(expires_at=until)
    )


def _note(connection: Connection, now: int, by: str, what: str, subject: str, team: str) -> None:
    connection.execute(
        insert(db.changes).values(at=now, by=by[:32], what=what, subject=subject[:32], team=team)
    )


def _workshops() -> Select[Any]:
    return select(
        db.workshops.c.slug,
        db.workshops.c.title,
        db.teams.c.slug.label("team"),
        db.workshops.c.notebook,
        db.workshops.c.language,
        db.workshops.c.created_at,
        db.workshops.c.ends_at,
        db.workshops.c.homes_until,
        db.workshops.c.ended_at,
    ).select_from(db.workshops.join(db.teams, db.teams.c.id == db.workshops.c.team_id))


def _of_seat(seat: str) -> Select[Any]:
    return (
        _workshops()
        .join(db.seats, db.seats.c.workshop_id == db.workshops.c.id)
        .join(db.persons, db.persons.c.id == db.seats.c.person_id)
        .where(db.persons.c.name == seat)
    )


def _seats() -> Select[Any]:
    joined = db.seats.join(db.persons, db.persons.c.id == db.seats.c.person_id)
    return select(db.persons.c.name, db.seats.c.number, db.seats.c.help_since).select_from(joined)


def _places(slug: str) -> Select[Any]:
    at = select(db.workshops.c.id).where(db.workshops.c.slug == slug).scalar_subquery()
    return _seats().where(db.seats.c.workshop_id == at)


def _place(name: str) -> Select[Any]:
    return _seats().where(db.persons.c.name == name)
