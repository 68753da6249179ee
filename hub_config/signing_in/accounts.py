"""Standing accounts: a person's password, and who she is at a provider of sign-in (OpenID Connect).

Both are given by an administrator's verb (`civic accounts`), never by a login: whoever signs in can change neither
who she is nor how she signs in. There is no default password and no person without one who could be guessed.
"""

from __future__ import annotations

import secrets
import time
import unicodedata
from collections.abc import Callable
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from hub_config import db
from hub_config.errors import PersonRefused
from hub_config.members.people import find_person
from hub_config.roles import is_seat

#: Characters. The longest keeps a hash from being asked of a megabyte.
SHORTEST, LONGEST = 12, 256
#: A password of fewer different characters is a pattern.
FEWEST_DIFFERENT = 5


class Accounts:
    """`now` gives seconds since 1970. Hashing takes a core's 0.1 s and 64 MiB: not on the Hub's own thread."""

    def __init__(self, engine: Engine, now: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._now = now
        self._hasher = PasswordHasher()  # Argon2id, the second recommendation of RFC 9106

    # ----------------------------------------------------------------------------------------- passwords

    def set_password(self, name: str, password: str) -> None:
        """Sessions from before it end within a minute. Raises PersonRefused: no such person, or a weak one."""
        check_password(name, password)
        _check_standing(name)
        values = {"hash": self._hasher.hash(_normal(password)), "set_at": int(self._now())}
        with self._engine.begin() as connection:
            person = find_person(connection, name)
            done = connection.execute(
                update(db.passwords).where(db.passwords.c.person_id == person).values(**values)
            )
            if not done.rowcount:
                connection.execute(insert(db.passwords).values(person_id=person, **values))

    def has_password(self, name: str, password: str) -> bool:
        """Whether it is hers. Takes as long where there is no such person, or none with a password."""
        with self._engine.connect() as connection:
            found = connection.execute(
                select(db.passwords.c.hash, db.passwords.c.person_id)
                .join(db.persons, db.persons.c.id == db.passwords.c.person_id)
                .where(db.persons.c.name == name)
            ).one_or_none()
        if len(password) > LONGEST:
            return False
        try:
            self._hasher.verify(found.hash if found else _nobodys_hash(), _normal(password))
        except (VerificationError, InvalidHashError):
            return False
        if found is None:
            return False
        if self._hasher.check_needs_rehash(found.hash):
            with self._engine.begin() as connection:
                connection.execute(
                    update(db.passwords)
                    # Unless it was changed meanwhile.
                    .where(db.passwords.c.person_id == found.person_id, db.passwords.c.hash == found.hash)
                    .values(hash=self._hasher.hash(_normal(password)))
                )
        return True

    def remove_password(self, name: str) -> bool:
        """False if she had none. Raises PersonRefused: no such person."""
        with self._engine.begin() as connection:
            done = connection.execute(
                delete(db.passwords).where(db.passwords.c.person_id == find_person(connection, name))
            )
        return done.rowcount > 0

    def password_set_at(self, name: str) -> int:
        """Seconds since 1970; 0 without a password."""
        with self._engine.connect() as connection:
            return (
                connection.execute(
                    select(db.passwords.c.set_at)
                    .join(db.persons, db.persons.c.id == db.passwords.c.person_id)
                    .where(db.persons.c.name == name)
                ).scalar_one_or_none()
                or 0
            )

    # ---------------------------------------------------------------------------------------- identities

    def add_identity(self, name: str, issuer: str, subject: str) -> None:
        """Whoever `issuer` calls `subject` signs in as `name`. Raises PersonRefused: no such person, or the identity
        is somebody's already."""
        _check_standing(name)
        if not 0 < len(subject) <= 200 or not 0 < len(issuer) <= 200:
            raise PersonRefused(name=name[:40], reason="identity_malformed")
        try:
            with self._engine.begin() as connection:
                person = find_person(connection, name)
                connection.execute(
                    insert(db.identities).values(person_id=person, issuer=issuer.rstrip("/"), subject=subject)
                )
        except IntegrityError:
            raise PersonRefused(name=name[:40], reason="identity_taken") from None

    def remove_identities(self, name: str) -> int:
        """How many there were. Raises PersonRefused: no such person."""
        with self._engine.begin() as connection:
            done = connection.execute(
                delete(db.identities).where(db.identities.c.person_id == find_person(connection, name))
            )
        return done.rowcount

    def person_for(self, issuer: str, subject: str) -> str | None:
        """The one person whom an administrator linked to exactly this identity."""
        with self._engine.connect() as connection:
            return connection.execute(
                select(db.persons.c.name)
                .join(db.identities, db.identities.c.person_id == db.persons.c.id)
                .where(db.identities.c.issuer == issuer.rstrip("/"), db.identities.c.subject == subject)
            ).scalar_one_or_none()

    def can_stay(self, name: str) -> bool:
        """Whether she has a password or an identity."""
        with self._engine.connect() as connection:
            for table in (db.passwords, db.identities):
                found = connection.execute(
                    select(table.c.person_id)
                    .join(db.persons, db.persons.c.id == table.c.person_id)
                    .where(db.persons.c.name == name)
                    .limit(1)
                ).first()
                if found is not None:
                    return True
        return False

    def ways(self) -> list[tuple[str, bool, int]]:
        """(name, has a password, number of identities) of every person but the seats, in the order in which they
        came."""
        with self._engine.connect() as connection:
            names = {
                row.id: row.name
                for row in connection.execute(
                    select(db.persons.c.id, db.persons.c.name).order_by(db.persons.c.id)
                )
            }
            having = set(connection.execute(select(db.passwords.c.person_id)).scalars())
            linked = list(connection.execute(select(db.identities.c.person_id)).scalars())
        return [
            (name, person in having, linked.count(person))
            for person, name in names.items()
            if not is_seat(name)
        ]


def check_password(name: str, password: str) -> None:
    """Raises PersonRefused for one that is short, overlong, a pattern, or her name."""
    normal = _normal(password)
    if not SHORTEST <= len(normal) <= LONGEST:
        raise PersonRefused(name=name[:40], reason="password_length")
    if len(set(normal)) < FEWEST_DIFFERENT or name.casefold() in normal.casefold():
        raise PersonRefused(name=name[:40], reason="password_weak")


def _check_standing(name: str) -> None:
    if is_seat(name):
        raise PersonRefused(name=name[:40], reason="seat_has_card")


def _normal(password: str) -> str:
    """Hangul is typed composed on one system and decomposed on another (RFC 8265, 4.2)."""
    return unicodedata.normalize("NFC", password)


@cache
def _nobodys_hash() -> str:
    return PasswordHasher().hash(secrets.token_hex(16))
