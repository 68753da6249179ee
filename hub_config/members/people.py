"""Persons, their teams and roles, and the links they sign in with.

Used by the Hub's process (which asks), and by the command line and the demo (which write). No login passes
through here as a write.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from hub_config import db
from hub_config.errors import PersonRefused
from hub_config.roles import (
    ASK,
    CITY_SIDE,
    CSO_SIDE,
    FACILITATE,
    ROOMS_GROUP,
    SLOTS,
    check_person_name,
    check_roles,
    check_slug,
    is_seat,
    role_group,
    room_of_group,
    scopes_of,
    slot_group,
    team_group,
)
from hub_config.settings import CULLER_USER, ROOMS, Settings
from hub_config.texts import Language, known_language

#: 26 characters of base32: 130 bits, the length of every id of the workspace.
SECRET_LENGTH = 26
Clock = Callable[[], float]


@dataclass(frozen=True)
class Account:
    """Someone with a server: a person or a room. `uid` is also the gid, which nobody else has."""

    name: str
    display_ko: str
    display_en: str
    language: Language
    uid: int
    is_room: bool
    roles: tuple[str, ...]
    #: Slugs of the teams whose budget she may use and whose rooms she may enter (of a room: whose room it is).
    teams: tuple[str, ...]
    #: Slugs of the teams whose rooms she may only look at.
    watches: tuple[str, ...] = ()
    #: Account names of the rooms that she may enter.
    rooms: tuple[str, ...] = ()

    @property
    def groups(self) -> list[str]:
        """The Hub groups. A room is in no team's own group: who may act for a team is a person."""
        if self.is_room:
            return [ROOMS_GROUP, *map(room_of_group, self.teams)]
        return [
            *map(role_group, self.roles),
            *map(team_group, self.teams),
            *map(slot_group, self.rooms),
        ]

    @property
    def is_steward(self) -> bool:
        """Of either side."""
        return bool(scopes_of(self.roles) & (CITY_SIDE | CSO_SIDE))

    @property
    def asks(self) -> bool:
        """Whether she may ask the data."""
        return ASK in scopes_of(self.roles)

    @property
    def leads(self) -> tuple[str, ...]:
        """The teams whose workshops she leads."""
        return self.teams if FACILITATE in scopes_of(self.roles) else ()

    def display(self, language: Language) -> str:
        return self.display_ko if language == "ko" else self.display_en


@dataclass(frozen=True)
class Room:
    """A team's shared server: the account `name`, owned by `team`."""

    name: str
    team: str
    title_ko: str
    title_en: str

    def title(self, language: Language) -> str:
        return self.title_ko if language == "ko" else self.title_en


def hash_secret(secret: str) -> str:
    """What the database keeps. 130 random bits need no salt and no slow hash: there is nothing to guess
    from."""
    return hashlib.sha256(secret.encode("utf-8")).hexdigest()


def normalize_secret(typed: str) -> str:
    """As a person may copy it from paper: any case, with spaces or hyphens between."""
    return "".join(typed.split()).replace("-", "").lower()


class People:
    """The workspace's people. `now` gives seconds since 1970; tests pass their own."""

    def __init__(self, engine: Engine, settings: Settings, now: Clock = time.time) -> None:
        self._engine = engine
        self._uid_base = settings.uid_base
        self._now = now

    def close(self) -> None:
        self._engine.dispose()

    # ------------------------------------------------------------------------------------------- writing

    def add_team(self, slug: str, title_ko: str, title_en: str) -> None:
        """Raises PersonRefused for a malformed or taken slug."""
        check_slug(slug)
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(db.teams).values(slug=slug, title_ko=title_ko, title_en=title_en))
        except IntegrityError:
            raise PersonRefused(name=slug, reason="name_taken") from None

    def add_person(
        self,
        name: str,
        *,
        display_ko: str,
        display_en: str,
        language: Language = "ko",
        roles: Iterable[str] = (),
        teams: Iterable[str] = (),
    ) -> Account:
        """A new person with her own uid. Raises PersonRefused: bad or taken name, unknown role or team,
        rights of both stewards. The Hub learns of roles and teams when it starts or when she next signs
        in."""
        check_person_name(name)
        roles, teams = sorted(set(roles)), sorted(set(teams))
        check_roles(name, roles)
        try:
            with self._engine.begin() as connection:
                person = insert_person(
                    connection, name, display_ko=display_ko, display_en=display_en, language=language
                )
                for role in roles:
                    connection.execute(insert(db.person_roles).values(person_id=person, role=role))
                for slug in teams:
                    connection.execute(
                        insert(db.memberships).values(person_id=person, team_id=find_team(connection, slug))
                    )
        except IntegrityError:
            raise PersonRefused(name=name, reason="name_taken") from None
        return self.account(name)

    def add_role(self, name: str, role: str) -> None:
        """Gives a person one more role. Raises PersonRefused as `add_person` does."""
        held = self.account(name).roles
        check_roles(name, [*held, role])
        if role not in held:
            with self._engine.begin() as connection:
                connection.execute(
                    insert(db.person_roles).values(person_id=find_person(connection, name), role=role)
                )

    def add_room(self, team: str) -> str:
        """One more room for a team; returns its account name, `room-01` and up."""
        with self._engine.begin() as connection:
            return take_room(connection, team)

    def add_link(self, name: str, *, lifetime_s: float) -> str:
        """A new secret for `name`, good for `lifetime_s` seconds and any number of sign-ins until then.

        The secret is returned here once and kept nowhere; the database has its SHA-256. Raises PersonRefused for an
        unknown name and for a seat."""
        if is_seat(name):
            raise PersonRefused(name=name[:40], reason="seat_has_card")
        secret = base64.b32encode(secrets.token_bytes(20)).decode("ascii").lower()[:SECRET_LENGTH]
        now = int(self._now())
        with self._engine.begin() as connection:
            connection.execute(
                insert(db.links).values(
                    person_id=find_person(connection, name),
                    secret_sha256=hash_secret(secret),
                    created_at=now,
                    expires_at=now + int(lifetime_s),
                )
            )
        return secret

    def revoke_links(self, name: str) -> int:
        """Ends every link of a person; her open sessions end within a minute. Returns how many were ended."""
        with self._engine.begin() as connection:
            done = connection.execute(
                update(db.links)
                .where(
                    db.links.c.person_id == find_person(connection, name),
                    db.links.c.revoked_at.is_(None),
                )
                .values(revoked_at=int(self._now()))
            )
            return done.rowcount

    # ------------------------------------------------------------------------------------------- asking

    def person_for_secret(self, typed: str) -> str | None:
        """The name behind a link's secret, or None if it is unknown, expired or revoked: one answer for all
        three, since the remedy is one. The comparison of what was found takes the same time for any input;
        the look-up before it works on a hash, from whose timing no secret can be built up."""
        given = hash_secret(normalize_secret(typed))
        with self._engine.connect() as connection:
            row = connection.execute(
                select(db.links.c.secret_sha256, db.persons.c.name)
                .join(db.persons, db.persons.c.id == db.links.c.person_id)
                .where(db.links.c.secret_sha256 == given, self._alive())
            ).one_or_none()
        if row is None or not hmac.compare_digest(row.secret_sha256, given):
            return None
        return str(row.name)

    def can_stay(self, name: str) -> bool:
        """Whether a session that was opened by a link may go on: some link of the person is still good."""
        with self._engine.connect() as connection:
            return (
                connection.execute(
                    select(db.links.c.id)
                    .join(db.persons, db.persons.c.id == db.links.c.person_id)
                    .where(db.persons.c.name == name, self._alive())
                    .limit(1)
                ).one_or_none()
                is not None
            )

    def find(self, name: str) -> Account | None:
        """The person or room of that name."""
        with self._engine.connect() as connection:
            person = connection.execute(select(db.persons).where(db.persons.c.name == name)).one_or_none()
            if person is not None:
                roles = connection.execute(
                    select(db.person_roles.c.role)
                    .where(db.person_roles.c.person_id == person.id)
                    .order_by(db.person_roles.c.role)
                ).scalars()
                held = connection.execute(
                    select(db.teams.c.slug, db.memberships.c.kind)
                    .join(db.memberships, db.memberships.c.team_id == db.teams.c.id)
                    .where(db.memberships.c.person_id == person.id)
                    .order_by(db.teams.c.id)
                ).all()
                rooms = connection.execute(
                    select(db.rooms.c.name)
                    .join(db.memberships, db.memberships.c.team_id == db.rooms.c.team_id)
                    .where(db.memberships.c.person_id == person.id, db.memberships.c.kind == "member")
                    .order_by(db.rooms.c.id)
                ).scalars()
                return Account(
                    name=name,
                    display_ko=person.display_ko,
                    display_en=person.display_en,
                    language=known_language(person.language) or "ko",
                    uid=self._uid_base + person.uid_offset,
                    is_room=False,
                    roles=tuple(roles),
                    teams=tuple(slug for slug, kind in held if kind == "member"),
                    watches=tuple(slug for slug, kind in held if kind == "observer"),
                    rooms=tuple(rooms),
                )
            room = connection.execute(
                select(db.rooms.c.id, db.teams)
                .join(db.teams, db.teams.c.id == db.rooms.c.team_id)
                .where(db.rooms.c.name == name)
            ).one_or_none()
        if room is None:
            return None
        return Account(
            name=name,
            display_ko=room.title_ko,
            display_en=room.title_en,
            language="ko",
            uid=self._uid_base + ROOMS + room[0],
            is_room=True,
            roles=(),
            teams=(room.slug,),
        )

    def account(self, name: str) -> Account:
        """As `find`; raises PersonRefused where there is none."""
        found = self.find(name)
        if found is None:
            raise PersonRefused(name=name[:40], reason="unknown")
        return found

    def names(self) -> list[str]:
        """All persons' names, in the order in which they came."""
        with self._engine.connect() as connection:
            return list(connection.execute(select(db.persons.c.name).order_by(db.persons.c.id)).scalars())

    def teams(self) -> list[str]:
        """All team slugs."""
        with self._engine.connect() as connection:
            return list(connection.execute(select(db.teams.c.slug).order_by(db.teams.c.id)).scalars())

    def rooms(self, of_teams: Iterable[str] | None = None) -> list[Room]:
        """All rooms, or those of the given teams."""
        query = (
            select(
                db.rooms.c.name,
                db.teams.c.slug,
                db.teams.c.title_ko,
                db.teams.c.title_en,
            )
            .join(db.teams, db.teams.c.id == db.rooms.c.team_id)
            .order_by(db.rooms.c.id)
        )
        if of_teams is not None:
            query = query.where(db.teams.c.slug.in_(list(of_teams)))
        with self._engine.connect() as connection:
            return [Room(*row) for row in connection.execute(query)]

    def _alive(self) -> ColumnElement[bool]:
        return and_(db.links.c.revoked_at.is_(None), db.links.c.expires_at > int(self._now()))


def find_person(connection: Connection, name: str) -> int:
    """Her row's number. Raises PersonRefused for an unknown name."""
    found = connection.execute(select(db.persons.c.id).where(db.persons.c.name == name)).scalar_one_or_none()
    if found is None:
        raise PersonRefused(name=name[:40], reason="unknown")
    return int(found)


def insert_person(
    connection: Connection, name: str, *, display_ko: str, display_en: str, language: Language
) -> int:
    """A person's row, under the next uid that was never given; returns its id. The name has been checked. Raises
    PersonRefused when no uid is left, IntegrityError for a name that is taken."""
    last = connection.execute(select(func.max(db.persons.c.uid_offset))).scalar_one()
    offset = (last or 0) + 1
    if offset >= CULLER_USER:
        raise PersonRefused(name=name, reason="uids_used_up")
    return int(
        connection.execute(
            insert(db.persons)
            .values(
                name=name,
                display_ko=display_ko,
                display_en=display_en,
                language=language,
                uid_offset=offset,
            )
            .returning(db.persons.c.id)
        ).scalar_one()
    )


def find_team(connection: Connection, slug: str) -> int:
    """As `find_person`, for a team."""
    found = connection.execute(select(db.teams.c.id).where(db.teams.c.slug == slug)).scalar_one_or_none()
    if found is None:
        raise PersonRefused(name=slug[:40], reason="team_unknown")
    return int(found)


def take_room(connection: Connection, team: str) -> str:
    """Gives a team the next slot; the room's account name. Raises PersonRefused when all are given."""
    count = connection.execute(select(func.count()).select_from(db.rooms)).scalar_one()
    if count >= len(SLOTS):
        raise PersonRefused(name=team, reason="rooms_used_up")
    connection.execute(insert(db.rooms).values(name=SLOTS[count], team_id=find_team(connection, team)))
    return SLOTS[count]


def open_people(settings: Settings, now: Clock = time.time) -> People:
    """People of the workspace whose folders `hub_config.home.prepare` made."""
    return People(db.open_database(settings), settings, now)
