"""/hub/workshops: a facilitator makes workshops, prints their cards, and sees from one page who needs her.

/hub/workshop is a participant's own page. What another browser shows of a card is the part of workshop.cards;
here its waiting is seen, and ended with one press.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from hub_config.errors import WorkshopRefused
from hub_config.home import set_home_aside, shipped_notebooks
from hub_config.members.people import Account
from hub_config.pages.preparing import Preparing, show
from hub_config.runtime import (
    current_cards,
    current_people,
    current_settings,
    current_teams,
    current_workshops,
)
from hub_config.signing_in.sessions import move, sign_out
from hub_config.texts import Language, known_language, text
from hub_config.workshop.card_sheet import TEMPLATE, cards_of, day, moment, sheet_facts
from hub_config.workshop.workshops import Seat, Workshop, new_seats, read_day

#: Minutes without a sign of life from a seat after which its row says so.
QUIET_MINUTES = 15


@cache
def preparing() -> Preparing:
    """This Hub's."""
    return Preparing()


class _Page(BaseHandler):  # type: ignore[misc]
    language: Language

    def _facilitator(self) -> Account:
        account = current_people().find(self.current_user.name)
        if account is None or not account.leads:
            raise web.HTTPError(404)
        return account

    def _workshop(self, slug: str) -> Workshop:
        """Somebody else's and one that is not there look the same."""
        # Asked of the tables: a role that was taken away counts at once.
        me, found = self._facilitator(), current_workshops().find(slug)
        if found is None or found.team not in me.leads:
            raise web.HTTPError(404)
        return found

    async def _show(self, template: str, **facts: object) -> None:
        html: Any = await self.render_template(template, **facts)
        self.finish(html)


class WorkshopsPage(_Page):
    """GET: the workshops of her teams, and a form for the next; POST makes it, with a card for each seat."""

    @web.authenticated
    async def get(self) -> None:
        await self._list(self._facilitator())

    @web.authenticated
    async def post(self) -> None:
        me = self._facilitator()
        given = {name: self.get_body_argument(name, "") for name in _FIELDS}
        try:
            if given["team"] not in me.teams:
                raise WorkshopRefused(reason="team")
            made = current_workshops().make(
                title=given["title"],
                team=given["team"],
                seats=_number(given["seats"]),
                ends_at=read_day(given["until"], time.time()),
                homes_until=read_day(given["keep"], time.time()) if given["keep"] else None,
                notebook=given["notebook"] if given["notebook"] in shipped_notebooks() else "",
                language=known_language(given["language"]) or self.language,
                by=me.name,
            )
        except WorkshopRefused as refusal:
            self.set_status(409)
            await self._list(me, given=given, refused=refusal.sentence(self.language))
            return
        cards_of(current_cards(), made, current_workshops().seats(made.slug))
        self.redirect(f"{self.hub.base_url}workshops/{made.slug}?done=made", status=303)

    async def _list(self, me: Account, **more: object) -> None:
        found = current_workshops().of_teams(me.teams)
        now, language = time.time(), self.language
        tomorrow = time.strftime("%Y-%m-%d", time.gmtime(now + (24 + 9) * 3600))
        defaults = {
            "title": "",
            "team": me.teams[0],
            "seats": "30",
            "until": tomorrow,
            "keep": "",
            "notebook": "",
            "language": language,
        }
        await self._show(
            "workshops.html",
            workshops=[
                (one, one.is_open(now), moment(one.ended_at or one.ends_at, language)) for one in found
            ],
            teams=[current_teams().find(team) for team in me.teams],
            notebooks=shipped_notebooks(),
            **{"given": defaults, "refused": "", **more},
        )


_FIELDS = ("title", "team", "seats", "until", "keep", "notebook", "language")


def _number(given: str) -> int:
    if not (given.isascii() and given.isdigit() and len(given) < 4):
        raise WorkshopRefused(reason="seats")
    return int(given)


@dataclass(frozen=True)
class Row:
    """A seat as the facilitator sees it. `state` is a sentence; `here`: whether somebody sits at it."""

    name: str
    number: str
    state: str
    here: bool
    help: str
    moves: tuple[str, ...]


class LeadPage(_Page):
    """The facilitator's page of one workshop. POST `do` with `seat`; what takes something away asks once more."""

    @web.authenticated
    async def get(self, slug: str) -> None:
        workshop = self._workshop(slug)
        done = self.get_query_argument("done", "")
        number = self.get_query_argument("seat", "")
        await self._lead(
            workshop,
            done=text(self.language, f"lead.done.{done}", seat=number[:3]) if done in _DONE else "",
        )

    @web.authenticated
    async def post(self, slug: str) -> None:
        workshop = self._workshop(slug)
        do = self.get_body_argument("do", "")
        act = _ACTS.get(do)
        if act is None:
            raise web.HTTPError(400)
        seat = self._seat(workshop) if do in _OF_A_SEAT else None
        if do in _ASKED_TWICE and self.get_body_argument("sure", "") != "1":
            await self._show("workshop_sure.html", workshop=workshop, do=do, seat=seat)
            return
        try:
            where = await act(self, workshop, seat)
        except WorkshopRefused as refusal:
            self.set_status(409)
            await self._lead(workshop, refused=refusal.sentence(self.language))
            return
        query = urlencode({"done": do, **({"seat": f"{seat.number:02d}"} if seat else {})})
        self.redirect(where or f"{self.hub.base_url}workshops/{workshop.slug}?{query}", status=303)

    def _seat(self, workshop: Workshop) -> Seat:
        name = self.get_body_argument("seat", "")
        found = next((seat for seat in current_workshops().seats(workshop.slug) if seat.name == name), None)
        if found is None:
            raise web.HTTPError(404)
        return found

    async def _lead(self, workshop: Workshop, **more: object) -> None:
        language = self.language
        seats = current_workshops().seats(workshop.slug)
        await self._show(
            "workshop_lead.html",
            workshop=workshop,
            is_open=workshop.is_open(time.time()),
            until=moment(workshop.ended_at or workshop.ends_at, language),
            kept_until=day(workshop.homes_until, language),
            ends_day=time.strftime("%Y-%m-%d", time.gmtime(workshop.ends_at + 9 * 3600)),
            earlier=len(seats) - len(new_seats(workshop, seats)),
            rows=make_rows(self, workshop, language),
            work=show(preparing().of(workshop), language),
            **{"done": "", "refused": "", **more},
        )

    # ------------------------------------------------------------------------------------------- what is done

    async def _admit(self, workshop: Workshop, seat: Seat) -> None:
        if not await move(self, seat.name, self.get_body_argument("number", "") or None):
            raise WorkshopRefused(reason="nobody_waits")
        current_workshops().note("seat_moved", seat.name, by=self.current_user.name)

    async def _helped(self, workshop: Workshop, seat: Seat) -> None:
        current_workshops().ask_help(seat.name, False)

    async def _restart(self, workshop: Workshop, seat: Seat) -> None:
        user = await self._stopped(seat)
        current_workshops().note("seat_restarted", seat.name, by=self.current_user.name)
        if user is not None and workshop.is_open(time.time()):
            await self.spawn_single_user(user)

    async def _fresh(self, workshop: Workshop, seat: Seat) -> None:
        await self._stopped(seat)
        set_home_aside(current_settings(), seat.name, time.time())
        current_workshops().note("seat_fresh", seat.name, by=self.current_user.name)

    async def _card(self, workshop: Workshop, seat: Seat) -> str:
        current_cards().revoke(seat.name)
        current_cards().forget_browsers(seat.name)
        await sign_out(self, seat.name)
        current_cards().make(seat.name, expires_at=workshop.homes_until)
        current_workshops().note("seat_card", seat.name, by=self.current_user.name)
        return f"{self.hub.base_url}workshops/{workshop.slug}/cards?{urlencode({'seat': seat.name})}"

    async def _prepare(self, workshop: Workshop, _seat: None) -> None:
        what = self.get_body_argument("do", "")
        if not preparing().start(workshop, what, self.current_user, self.log):
            raise WorkshopRefused(reason="prepares")

    async def _end(self, workshop: Workshop, _seat: None) -> None:
        current_workshops().end(workshop.slug, by=self.current_user.name)
        self.app.closing.now()

    async def _extend(self, workshop: Workshop, _seat: None) -> None:
        until = read_day(self.get_body_argument("until", ""), time.time())
        current_workshops().extend(workshop.slug, ends_at=until, by=self.current_user.name)

    async def _stopped(self, seat: Seat) -> Any:
        """The seat's Hub user with no server running; None for one that never signed in."""
        user = self.find_user(seat.name)
        if user is None:
            return None
        if user.spawner.pending:
            raise WorkshopRefused(reason="seat_busy")
        if user.spawner.active:
            await self.stop_single_user(user)
            if user.spawner.active:
                raise WorkshopRefused(reason="seat_busy")
        return user


_ACTS: dict[str, Callable[[LeadPage, Workshop, Any], Awaitable[str | None]]] = {
    "admit": LeadPage._admit,
    "helped": LeadPage._helped,
    "restart": LeadPage._restart,
    "fresh": LeadPage._fresh,
    "card": LeadPage._card,
    "check": LeadPage._prepare,
    "price": LeadPage._prepare,
    "buy": LeadPage._prepare,
    "end": LeadPage._end,
    "extend": LeadPage._extend,
}
_OF_A_SEAT = frozenset({"admit", "helped", "restart", "fresh", "card"})
_ASKED_TWICE = frozenset({"restart", "fresh", "card", "buy", "end"})
_DONE = frozenset(_ACTS) | {"made"}


class LeadNow(_Page):
    """What the facilitator's page asks every few seconds: its living part, and a sentence for each call; nothing but
    the version where that is `known`."""

    @web.authenticated
    async def get(self, slug: str) -> None:
        workshop = self._workshop(slug)
        rows = make_rows(self, workshop, self.language)
        work = show(preparing().of(workshop), self.language)
        version = hashlib.sha256(repr((rows, work)).encode()).hexdigest()[:16]
        if version == self.get_query_argument("known", ""):
            self.finish({"version": version})
            return
        html: Any = await self.render_template(
            "workshop_now.html",
            workshop=workshop,
            is_open=workshop.is_open(time.time()),
            rows=rows,
            work=work,
        )
        self.finish({"version": version, "html": html, "calls": calls(rows, self.language)})


def make_rows(handler: Any, workshop: Workshop, language: Language) -> list[Row]:
    entered = current_workshops().entered(workshop.slug)
    waiting: dict[str, list[str]] = {}
    for one in current_cards().moves(workshop.slug):
        waiting.setdefault(one.seat, []).append(one.number)
    # All whose server runs are among these; asked for one by one, each would be a query, every few seconds.
    spawners = {user.name: user.spawner for user in handler.app.users.values()}
    rows = []
    for seat in current_workshops().seats(workshop.slug):
        since = seat.help_since
        rows.append(
            Row(
                name=seat.name,
                number=f"{seat.number:02d}",
                state=_state(spawners.get(seat.name), seat.name in entered, language),
                here=seat.name in entered,
                help="" if since is None else _ago(time.time() - since, language),
                moves=tuple(waiting.get(seat.name, ())),
            )
        )
    return rows


def _state(spawner: Any, entered: bool, language: Language) -> str:
    if spawner is not None and spawner.pending:
        return text(language, "lead.state.opening" if spawner.pending == "spawn" else "lead.state.closing")
    if spawner is not None and spawner.ready:
        last = spawner.orm_spawner.last_activity
        quiet = 0 if last is None else int((time.time() - _utc(last)) // 60)
        if quiet >= QUIET_MINUTES:
            # Steps, or every row would change each minute for nobody's good.
            return text(language, "lead.state.quiet", minutes=quiet // 5 * 5)
        return text(language, "lead.state.working")
    return text(language, "lead.state.in" if entered else "lead.state.away")


def _utc(when: Any) -> float:
    """JupyterHub's times are in UTC without saying so."""
    from datetime import UTC

    return float(when.replace(tzinfo=UTC).timestamp())


def _ago(seconds: float, language: Language) -> str:
    minutes = int(seconds // 60)
    return text(language, "lead.since", minutes=minutes) if minutes else text(language, "lead.just_now")


def calls(rows: list[Row], language: Language) -> dict[str, str]:
    """Who needs the facilitator, each with the sentence that a screen reader says when it is new."""
    found = {}
    for row in rows:
        if row.help:
            found[f"help:{row.name}"] = text(language, "lead.said.help", seat=row.number)
        for number in row.moves:
            found[f"move:{row.name}:{number}"] = text(language, "lead.said.move", seat=row.number)
    return found


class CardsPage(_Page):
    """The sheet again: of the seats made for this workshop, of all with `all=1`, or of one `seat`."""

    @web.authenticated
    async def get(self, slug: str) -> None:
        workshop = self._workshop(slug)
        seats = current_workshops().seats(slug)
        one = self.get_query_argument("seat", "")
        if one:
            seats = [seat for seat in seats if seat.name == one]
        elif self.get_query_argument("all", "") != "1":
            seats = new_seats(workshop, seats)
        cards = [card for seat in seats if (card := current_cards().again(seat.name))]
        facts = sheet_facts(current_settings(), workshop, seats, cards)
        await self._show(TEMPLATE, back=f"{self.hub.base_url}workshops/{slug}", **facts)


class WorkshopPage(_Page):
    """A participant's own page of the workshop that she is in."""

    @web.authenticated
    async def get(self) -> None:
        workshop = current_workshops().open_for(self.current_user.name)
        seat = current_workshops().seat(self.current_user.name)
        if workshop is None or seat is None:
            raise web.HTTPError(404)
        await self._show(
            "workshop.html",
            **about_workshop(self.language, workshop, seat),
            waits=seat.help_since is not None,
        )


def about_workshop(language: Language, workshop: Workshop, seat: Seat) -> dict[str, Any]:
    """What the participant's pages say of her workshop."""
    return {
        "workshop": workshop,
        "number": f"{seat.number:02d}",
        "until": moment(workshop.ends_at, language),
        "kept_until": day(workshop.homes_until, language),
    }
