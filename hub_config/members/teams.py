"""Teams while everybody works: made, renamed and filled without a restart.

JupyterHub ties a role to a group only when it starts. So FORTY slots stand ready, each a room's account and a group
that may enter it (hub_config.roles); a team takes the next one when it is made, and a person's groups are copied
from here to the running Hub within a second of each change (hub_config.members.membership). A slot is never given to a
second team: whoever once held a key to the room would find it again.

Every change is kept with the name of who made it, for the stewards of both sides to see.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, Engine, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from hub_config import db
from hub_config.errors import PersonRefused
from hub_config.members.people import Room, find_person, find_team, take_room
from hub_config.roles import check_slug
from hub_config.settings import Settings
from hub_config.texts import Language

Kind = Literal["member", "observer"]
#: Who changes teams at the command line: whoever runs the machine. No person's name has a parenthesis.
CONSOLE = "(console)"
#: As wide as the tables' columns.
LONGEST_TITLE = 80


@dataclass(frozen=True)
class Belonging:
    """A person in a team."""

    name: str
    display_ko: str
    display_en: str

    def display(self, language: Language) -> str:
        return self.display_ko if language == "ko" else self.display_en


@dataclass(frozen=True)
class Team:
    """A team as its stewards see it. `rooms` are account names, `room-01` and so on."""

    slug: str
    title_ko: str
    title_en: str
    rooms: tuple[str, ...]
    members: tuple[Belonging, ...]
    observers: tuple[Belonging, ...]

    def title(self, language: Language) -> str:
        return self.title_ko if language == "ko" else self.title_en

    def kind_of(self, person: str) -> Kind | None:
        if any(person == one.name for one in self.members):
            return "member"
        return "observer" if any(person == one.name for one in self.observers) else None


@dataclass(frozen=True)
class Change:
    """`what` is made, renamed, member, observer or removed; `at` in seconds since 1970; `subject` a person's name, or
    the team's where nobody in particular is meant."""

    id: int
    at: int
    by: str
    what: str
    subject: str
    team: str


class Teams:
    """`now` gives seconds since 1970; tests pass their own."""

    def __init__(self, engine: Engine, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self._engine, self._settings, self._now = engine, settings, now

    # ------------------------------------------------------------------------------------------- writing

    def make(self, slug: str, title_ko: str, title_en: str, *, by: str) -> str:
        """A new team with a room; the room's name. Raises PersonRefused: malformed or taken slug, malformed title,
        all rooms given."""
        check_slug(slug)
        titles = _title(slug, title_ko), _title(slug, title_en)
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(db.teams).values(slug=slug, title_ko=titles[0], title_en=titles[1]))
                room = take_room(connection, slug)
                self._note(connection, by, "made", slug, slug)
        except IntegrityError:
            raise PersonRefused(name=slug, reason="name_taken") from None
        return room

    def rename(self, slug: str, title_ko: str, title_en: str, *, by: str) -> None:
        """Another title. The slug stays: budgets and stored answers stand under it."""
        titles = _title(slug, title_ko), _title(slug, title_en)
        with self._engine.begin() as connection:
            connection.execute(
                update(db.teams)
                .where(db.teams.c.id == find_team(connection, slug))
                .values(title_ko=titles[0], title_en=titles[1])
            )
            self._note(connection, by, "renamed", slug, slug)

    def put(self, slug: str, person: str, kind: Kind, *, by: str) -> bool:
        """Makes a person a member or an observer, whatever she was in this team. False, and nothing noted, if she
        already was that. Raises PersonRefused for an unknown team or person; a room is no person."""
        with self._engine.begin() as connection:
            team, who = find_team(connection, slug), find_person(connection, person)
            here = and_(db.memberships.c.team_id == team, db.memberships.c.person_id == who)
            held = connection.execute(select(db.memberships.c.kind).where(here)).scalar_one_or_none()
            if held == kind:
                return False
            if held is None:
                connection.execute(insert(db.memberships).values(person_id=who, team_id=team, kind=kind))
            else:
                connection.execute(update(db.memberships).where(here).values(kind=kind))
            self._note(connection, by, kind, person, slug)
        return True

    def remove(self, slug: str, person: str, *, by: str) -> None:
        """Raises PersonRefused also for a person who is not in the team."""
        with self._engine.begin() as connection:
            done = connection.execute(
                delete(db.memberships).where(
                    db.memberships.c.team_id == find_team(connection, slug),
                    db.memberships.c.person_id == find_person(connection, person),
                )
            )
            if not done.rowcount:
                raise PersonRefused(name=person, reason="not_in_team")
            self._note(connection, by, "removed", person, slug)

    def _note(self, connection: Connection, by: str, what: str, subject: str, team: str) -> None:
        connection.execute(
            insert(db.changes).values(at=int(self._now()), by=by, what=what, subject=subject, team=team)
        )

    # ------------------------------------------------------------------------------------------- asking

    def all(self) -> list[Team]:
        """Every team, in the order in which they came."""
        with self._engine.connect() as connection:
            teams = connection.execute(select(db.teams).order_by(db.teams.c.id)).all()
            rooms = connection.execute(
                select(db.rooms.c.team_id, db.rooms.c.name).order_by(db.rooms.c.id)
            ).all()
            people = connection.execute(
                select(
                    db.memberships.c.team_id,
                    db.memberships.c.kind,
                    db.persons.c.name,
                    db.persons.c.display_ko,
                    db.persons.c.display_en,
                )
                .join(db.persons, db.persons.c.id == db.memberships.c.person_id)
                .order_by(db.persons.c.id)
            ).all()

        def of(team: int, kind: Kind) -> tuple[Belonging, ...]:
            return tuple(
                Belonging(p.name, p.display_ko, p.display_en)
                for p in people
                if p.team_id == team and p.kind == kind
            )

        return [
            Team(
                team.slug,
                team.title_ko,
                team.title_en,
                tuple(name for of_team, name in rooms if of_team == team.id),
                of(team.id, "member"),
                of(team.id, "observer"),
            )
            for team in teams
        ]

    def find(self, slug: str) -> Team:
        """Raises PersonRefused for an unknown slug."""
        for team in self.all():
            if team.slug == slug:
                return team
        raise PersonRefused(name=slug[:40], reason="team_unknown")

    def room(self, name: str) -> Room | None:
        """The room of that account name, where a team has it."""
        query = (
            select(db.rooms.c.name, db.teams.c.slug, db.teams.c.title_ko, db.teams.c.title_en)
            .join(db.teams, db.teams.c.id == db.rooms.c.team_id)
            .where(db.rooms.c.name == name)
        )
        with self._engine.connect() as connection:
            found = connection.execute(query).one_or_none()
        return None if found is None else Room(*found)

    def candidates(self) -> list[Belonging]:
        """Whom one may put into a team: everybody with an account of her own, by name. Not a workshop's seats, which
        belong to its team and would bury the others in any list."""
        query = (
            select(db.persons.c.name, db.persons.c.display_ko, db.persons.c.display_en)
            .outerjoin(db.seats, db.seats.c.person_id == db.persons.c.id)
            .where(db.seats.c.id.is_(None))
            .order_by(db.persons.c.name)
        )
        with self._engine.connect() as connection:
            return [Belonging(*row) for row in connection.execute(query)]

    def changes(self, *, after: int = 0, newest: int | None = None) -> list[Change]:
        """Those with a number above `after`, oldest first; or the `newest` ones, newest first."""
        query = select(db.changes).where(db.changes.c.id > after)
        if newest is None:
            query = query.order_by(db.changes.c.id)
        else:
            query = query.order_by(db.changes.c.id.desc()).limit(newest)
        with self._engine.connect() as connection:
            return [Change(**row) for row in connection.execute(query).mappings()]


def _title(slug: str, typed: str) -> str:
    """One line without what cannot be seen: a title stands beside others that people choose from."""
    title = " ".join(unicodedata.normalize("NFC", typed).split())
    if not 0 < len(title) <= LONGEST_TITLE or any(unicodedata.category(c)[0] == "C" for c in title):
        raise PersonRefused(name=slug[:40], reason="title_malformed")
    return title
