"""A seat's card: what is printed on it, whom it lets in, and which browser is in.

A card has a QR code of `ADDRESS/hub/login#s=TOKEN` and a code of 12 characters to type. Both are secrets of equal
power, and neither is in the database. The token is signed and names workshop, seat, team and card. The code is
computed from the card with the workspace's key (`hub/cards.key`); the table keeps a keyed hash of it, since 60 bits
could be searched for in a stolen table. That it can be computed again is what lets a facilitator print a sheet twice;
whoever has key and table could sign tokens anyway.

One browser is in at a time. Another one with a right card waits until the facilitator lets it in, and the first is
then out: a card on a table can be photographed, and a seat's questions are paid from the team's budget.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode
from sqlalchemy import ColumnElement, Connection, Engine, Row, Select, and_, delete, insert, select, update

from hub_config import db
from hub_config.errors import PersonRefused
from hub_config.home import read_card_key
from hub_config.settings import Settings

#: Crockford's base32: no I, L, O (read as 1, 1, 0) and no U.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 12
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None, " ": None})

#: A browser that closed its waiting page is shown to the facilitator no longer than this; an open page asks anew.
WAITING_S = 900
#: How long a browser that was let in may take to come in without showing the card again.
ADMITTED_S = 900

Reason = Literal["unknown", "expired", "revoked", "ended"]
Standing = Literal["in", "waiting"]


class CardRefused(Exception):
    """`reason` is `unknown` for everything that was never a card of ours; only who holds one learns more."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


@dataclass(frozen=True)
class Card:
    """`code` is as printed, XXXX-XXXX-XXXX; `expires_at` in seconds since 1970."""

    seat: str
    code: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: int


@dataclass(frozen=True)
class Move:
    """A browser that asks to be let in. `number` stands on its page too: two digits to compare."""

    seat: str
    since: int
    number: str


def normalize_code(typed: str) -> str:
    """As a person may copy it: any case, full-width letters, spaces and hyphens, O for 0, I or L for 1."""
    folded = "".join(unicodedata.normalize("NFKC", typed).split())
    return folded.upper().translate(_READ_AS)


def looks_like_code(typed: str) -> bool:
    code = normalize_code(typed)
    return len(code) == CODE_LENGTH and set(code) <= set(ALPHABET)


def number_of(browser: str) -> str:
    """Two digits of a browser, the same on its page and on the facilitator's."""
    return _number(hash_browser(browser))


def hash_browser(browser: str) -> str:
    return hashlib.sha256(browser.encode("utf-8", "replace")).hexdigest()


def _number(browser_hash: str) -> str:
    return str(10 + int(browser_hash[:8], 16) % 90)


def is_open(now: float) -> ColumnElement[bool]:
    """Of `db.workshops`: whether its seats may be entered."""
    return and_(db.workshops.c.ended_at.is_(None), db.workshops.c.ends_at > int(now))


def card_link(settings: Settings, card: Card) -> str:
    """What the QR code says. The secret stands after `#`, which no browser sends."""
    return f"{settings.address}/hub/login#s={card.token}"


class Cards:
    """`key` signs; 32 bytes. `now` gives seconds since 1970. Writers beside the Hub (the command line) only make
    and revoke cards; who is in is decided in the Hub's one thread, so no two browsers can be let in at once."""

    def __init__(self, engine: Engine, key: bytes, now: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._key = key
        self._now = now
        # Not itsdangerous' URLSafeSerializer: it compresses where that is shorter, and a page's script reads this.
        self._signer = Signer(key, salt="civic.card", key_derivation="hmac", digest_method=hashlib.sha256)

    def close(self) -> None:
        self._engine.dispose()

    # -------------------------------------------------------------------------------------------- making

    def make(self, seat: str, *, expires_at: int) -> Card:
        """One more card for a seat; earlier ones go on (`revoke` ends them). Raises PersonRefused: no such seat."""
        created = int(self._now())
        with self._engine.begin() as connection:
            number = connection.execute(
                insert(db.cards)
                .values(
                    seat_id=_seat(connection, seat),
                    code_hmac=f"new {time.monotonic_ns()}",  # its code is made from its id
                    created_at=created,
                    expires_at=int(expires_at),
                )
                .returning(db.cards.c.id)
            ).scalar_one()
            code = self._code(seat, number, created)
            connection.execute(
                update(db.cards).where(db.cards.c.id == number).values(code_hmac=self._hash(code))
            )
            row = connection.execute(_placed().where(db.cards.c.id == number)).one()
        return self._card(row)

    def again(self, seat: str) -> Card | None:
        """The seat's newest good card, to be printed once more; None if it has none."""
        query = _placed().where(db.persons.c.name == seat, self._alive()).order_by(db.cards.c.id.desc())
        with self._engine.connect() as connection:
            row = connection.execute(query.limit(1)).one_or_none()
        return None if row is None else self._card(row)

    def revoke(self, seat: str) -> int:
        """Ends every card of a seat; returns how many. Sessions that it opened are ended by
        `hub_config.signing_in.sessions`. Raises PersonRefused: no such seat."""
        with self._engine.begin() as connection:
            done = connection.execute(
                update(db.cards)
                .where(db.cards.c.seat_id == _seat(connection, seat), db.cards.c.revoked_at.is_(None))
                .values(revoked_at=int(self._now()))
            )
        return done.rowcount

    def _card(self, row: Row[Any]) -> Card:
        code = self._code(row.seat, row.id, row.created_at)
        printed = "-".join(code[at : at + 4] for at in range(0, CODE_LENGTH, 4))
        # The code is in the token so that a telephone's page can show it without asking the Hub.
        fields = json.dumps([row.workshop, row.seat, row.team, row.id, printed]).encode("ascii")
        token = self._signer.sign(base64_encode(fields)).decode("ascii")
        return Card(row.seat, printed, token, row.expires_at)

    def _code(self, seat: str, number: int, created: int) -> str:
        # The time too: after a restored backup a number may be given a second time.
        digest = hmac.digest(self._key, f"civic.card.code {seat} {number} {created}".encode(), "sha256")
        bits = int.from_bytes(digest[:8], "big")
        return "".join(ALPHABET[bits >> 5 * place & 31] for place in range(CODE_LENGTH))

    def _hash(self, code: str) -> str:
        return hmac.digest(self._key, f"civic.card.hash {code}".encode(), "sha256").hex()

    # -------------------------------------------------------------------------------------------- asking

    def seat_for(self, typed: str) -> str:
        """The seat of a token or a code. Raises CardRefused."""
        row = self._find_code(typed) if looks_like_code(typed) else self._find_token(typed)
        if row is None:
            raise CardRefused("unknown")
        if row.revoked_at is not None:
            raise CardRefused("revoked")
        if row.expires_at <= self._now():
            raise CardRefused("expired")
        if row.ended_at is not None or row.ends_at <= self._now():
            raise CardRefused("ended")
        return str(row.seat)

    def _find_code(self, typed: str) -> Row[Any] | None:
        hashed = self._hash(normalize_code(typed))
        with self._engine.connect() as connection:
            return connection.execute(_placed().where(db.cards.c.code_hmac == hashed)).one_or_none()

    def _find_token(self, token: str) -> Row[Any] | None:
        """A seat may be in the team's next workshop by now: then the team must be the one on the card."""
        try:
            workshop, seat, team, number, _ = json.loads(base64_decode(self._signer.unsign(token.strip())))
        except (BadData, ValueError, TypeError):
            return None
        with self._engine.connect() as connection:
            row = connection.execute(_placed().where(db.cards.c.id == number)).one_or_none()
            printed_for = connection.execute(
                select(db.teams.c.slug)
                .join(db.workshops, db.workshops.c.team_id == db.teams.c.id)
                .where(db.workshops.c.slug == workshop)
            ).scalar_one_or_none()
        if row is None or row.seat != seat or not row.team == team == printed_for:
            return None
        return row

    def can_stay(self, seat: str) -> bool:
        """Whether a session that a card opened may go on: some card is good, and the workshop is open."""
        with self._engine.connect() as connection:
            found = connection.execute(
                _placed().where(db.persons.c.name == seat, self._alive(), is_open(self._now())).limit(1)
            )
            return found.one_or_none() is not None

    def _alive(self) -> ColumnElement[bool]:
        return and_(db.cards.c.revoked_at.is_(None), db.cards.c.expires_at > int(self._now()))

    # ------------------------------------------------------------------------------------------ browsers

    def enter(self, seat: str, browser: str) -> Standing:
        """A browser (a random word that only it holds) showed a good card of the seat: it is in if no other is,
        else it waits. May be asked again and again; who waits goes on waiting."""
        mine, now = hash_browser(browser), int(self._now())
        with self._engine.begin() as connection:
            place = _seat(connection, seat)
            known = {row.browser_sha256: row for row in connection.execute(_browsers(place))}
            others_in = any(row.state == "in" for key, row in known.items() if key != mine)
            state: Standing = "waiting" if others_in else "in"
            row = known.get(mine)
            if row is None:
                connection.execute(
                    insert(db.browsers).values(seat_id=place, browser_sha256=mine, state=state, since=now)
                )
            elif row.state != state or (state == "waiting" and row.since <= now - WAITING_S):
                connection.execute(
                    update(db.browsers).where(db.browsers.c.id == row.id).values(state=state, since=now)
                )
        return state

    def standing(self, seat: str, browser: str) -> Standing | None:
        """Whether this browser is in or waits; None if it neither is nor does."""
        row = self._browser(seat, browser)
        return row.state if row is not None and row.state != "out" else None

    def claim(self, seat: str, browser: str) -> bool:
        """Whether a browser that the facilitator has just let in may come in without the card: once. Not for ever,
        or who finds the laptop after a sign-out would need none."""
        row = self._browser(seat, browser)
        fresh = row is not None and row.state == "in" and row.since > self._now() - ADMITTED_S
        if row is None or not fresh or not self.can_stay(seat):
            return False
        with self._engine.begin() as connection:
            connection.execute(update(db.browsers).where(db.browsers.c.id == row.id).values(since=0))
        return True

    def leave(self, seat: str, browser: str) -> None:
        """She signed out in this browser: the next one with her card need not wait."""
        with self._engine.begin() as connection:
            connection.execute(
                delete(db.browsers).where(
                    db.browsers.c.seat_id.in_(_place_of(seat)),
                    db.browsers.c.browser_sha256 == hash_browser(browser),
                )
            )

    def moves(self, workshop_slug: str) -> list[Move]:
        """Who waits in a workshop, the longest first."""
        query = (
            select(db.persons.c.name, db.browsers.c.since, db.browsers.c.browser_sha256)
            .join(db.seats, db.seats.c.id == db.browsers.c.seat_id)
            .join(db.persons, db.persons.c.id == db.seats.c.person_id)
            .join(db.workshops, db.workshops.c.id == db.seats.c.workshop_id)
            .where(
                db.workshops.c.slug == workshop_slug,
                db.browsers.c.state == "waiting",
                db.browsers.c.since > int(self._now()) - WAITING_S,
            )
            .order_by(db.browsers.c.since, db.browsers.c.id)
        )
        with self._engine.connect() as connection:
            return [
                Move(row.name, row.since, _number(row.browser_sha256)) for row in connection.execute(query)
            ]

    def admit(self, seat: str, number: str | None = None) -> bool:
        """Lets the waiting browser in, and the former one is out. Where several wait, `number` says which; False,
        and nothing changed, where that leaves none or more than one. The former's session goes on until
        `hub_config.signing_in.sessions` ends it: call `sessions.move`, which does both."""
        now = int(self._now())
        with self._engine.begin() as connection:
            place = _seat(connection, seat)
            waiting = [
                row
                for row in connection.execute(_browsers(place))
                if row.state == "waiting"
                and row.since > now - WAITING_S
                and number in (None, _number(row.browser_sha256))
            ]
            if len(waiting) != 1:
                return False
            connection.execute(
                update(db.browsers)
                .where(db.browsers.c.seat_id == place, db.browsers.c.state == "in")
                .values(state="out", since=now)
            )
            connection.execute(
                update(db.browsers).where(db.browsers.c.id == waiting[0].id).values(state="in", since=now)
            )
        return True

    def forget_browsers(self, seat: str) -> None:
        """Nobody is in or waits: whoever shows the card next is in. For a reset seat, a new card, a next workshop."""
        with self._engine.begin() as connection:
            connection.execute(delete(db.browsers).where(db.browsers.c.seat_id.in_(_place_of(seat))))

    def _browser(self, seat: str, browser: str) -> Row[Any] | None:
        with self._engine.connect() as connection:
            return connection.execute(
                select(db.browsers).where(
                    db.browsers.c.seat_id.in_(_place_of(seat)),
                    db.browsers.c.browser_sha256 == hash_browser(browser),
                )
            ).one_or_none()


def _placed() -> Select[Any]:
    """Cards with the seat, the workshop that it is in now, and that workshop's team."""
    return (
        select(
            db.cards.c.id,
            db.cards.c.created_at,
            db.cards.c.expires_at,
            db.cards.c.revoked_at,
            db.persons.c.name.label("seat"),
            db.workshops.c.slug.label("workshop"),
            db.workshops.c.ended_at,
            db.workshops.c.ends_at,
            db.teams.c.slug.label("team"),
        )
        .join(db.seats, db.seats.c.id == db.cards.c.seat_id)
        .join(db.persons, db.persons.c.id == db.seats.c.person_id)
        .join(db.workshops, db.workshops.c.id == db.seats.c.workshop_id)
        .join(db.teams, db.teams.c.id == db.workshops.c.team_id)
    )


def _place_of(seat: str) -> Select[Any]:
    return (
        select(db.seats.c.id)
        .join(db.persons, db.persons.c.id == db.seats.c.person_id)
        .where(db.persons.c.name == seat)
    )


def _browsers(place: int) -> Select[Any]:
    return select(db.browsers).where(db.browsers.c.seat_id == place).with_for_update()


def _seat(connection: Connection, name: str) -> int:
    found = connection.execute(_place_of(name)).one_or_none()
    if found is None:
        raise PersonRefused(name=name[:40], reason="unknown")
    return int(found.id)


def open_cards(settings: Settings, now: Callable[[], float] = time.time) -> Cards:
    """Cards of the workspace whose folders and key `hub_config.home.prepare` made."""
    return Cards(db.open_database(settings), read_card_key(settings), now)
