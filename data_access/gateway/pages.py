"""The pages behind the Hub's login: what is left of each budget, what was asked, what waits for a person.

They read and decide through the same flows as `/v1`; nothing can be done here that the interface would refuse. No
script runs in them. Annotations are evaluated here, as in workspace.py.
"""

import csv
import io
from collections.abc import Mapping
from datetime import datetime, time
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import RedirectResponse

from data_access.clock import SEOUL
from data_access.compose import Parts
from data_access.errors import MalformedRequest, NotSignedIn
from data_access.flows.allowing import Wish
from data_access.flows.overview import Asked, Overview, Wanted
from data_access.gateway.approvals import DECIDE, MOST_NANO, MOST_SEATS
from data_access.gateway.identity import FACILITATE, READ, Identity
from data_access.gateway.look import headers
from data_access.gateway.showing import FormRefused, Shown, Visitor, language_of, safely, set_cookie
from data_access.gateway.sign_in import COOKIE, SESSION_SECONDS, Sessions, SignIn, SignInRefused, cookie_of
from data_access.privacy.budget import Rho
from data_access.texts import Language

#: Lines of one page, and of one file.
LINES, MOST_LINES = 50, 5_000
_HEADINGS = (
    *("at", "team", "person", "dataset", "purpose", "question", "months", "paid_months"),
    *("rho_each", "rho", "share_of_month", "answer_id"),
)
_MOST_FORM = 10_000
_PAGES = ("", "budget", "questions", "approvals")


def add_pages(app: FastAPI, parts: Parts, identity: Identity, prefix: str = "/services/data") -> None:
    """The pages, under `prefix`, where the proxy mounts the service."""
    app.include_router(_routes(parts, identity, prefix), prefix=prefix)


def _routes(parts: Parts, identity: Identity, prefix: str) -> APIRouter:
    pages = [f"{prefix}/{page}" for page in _PAGES] + [f"{prefix}/budget.csv"]
    sessions = Sessions(parts.clock)
    sign_in = SignIn(parts.settings, parts.clock, prefix, pages)
    overview = Overview(parts.governing, parts.book, parts.approving.gate)
    shown = Shown(parts, prefix)
    routes = APIRouter(route_class=safely(shown, sign_in), include_in_schema=False)

    def visitor(request: Request) -> Visitor:
        # A script in a seat's page has this origin: it may lead a person here, but not read what she would see.
        mode, where = request.headers.get("sec-fetch-mode"), request.headers.get("sec-fetch-dest")
        if mode not in (None, "navigate") or where not in (None, "document"):
            raise FormRefused()
        session = sessions.find(request.cookies.get(COOKIE))
        if session is None:
            raise NotSignedIn()
        try:
            caller = identity.caller(session.token)
        except NotSignedIn:
            sessions.close(request.cookies.get(COOKIE))
            raise
        caller.check_any((READ,))
        return Visitor(caller, session, language_of(request))

    async def written(request: Request) -> dict[str, str]:
        body = await request.body()
        if len(body) > _MOST_FORM:
            raise MalformedRequest(where="body")
        return dict(parse_qsl(body.decode("utf-8", "replace")))

    def form(
        who: Annotated[Visitor, Depends(visitor)], fields: Annotated[dict[str, str], Depends(written)]
    ) -> dict[str, str]:
        if not who.session.wrote(fields.get("form")):
            raise FormRefused()
        return fields

    @routes.get("/oauth_callback")
    def callback(request: Request, state: str = "", code: str = "") -> Response:
        token, page = sign_in.finish(state, code, request.cookies.get(cookie_of(state)))
        # Asked before the session is there: who may not come in is told so, instead of being led round.
        try:
            identity.caller(token)
        except NotSignedIn:
            raise SignInRefused() from None
        answer = RedirectResponse(page, 303, headers())
        answer.delete_cookie(cookie_of(state), path=prefix)
        set_cookie(answer, request, COOKIE, sessions.open(token), prefix, SESSION_SECONDS)
        return answer

    @routes.get("/")
    def index(request: Request, who: Annotated[Visitor, Depends(visitor)]) -> Response:
        return shown.page(request, who, "index.html.j2", waiting=_waiting(parts, who))

    @routes.get("/budget")
    def budget(
        request: Request,
        who: Annotated[Visitor, Depends(visitor)],
        dataset: str = "",
        month: str = "",
        team: str = "",
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> Response:
        mine = who.caller.asker.teams
        with parts.database.reading() as connection:
            known = overview.teams(connection) | mine if who.sees_all else mine
            wanted = _wanted(who, dataset, month).narrowed(team or None)
            budgets = overview.budgets(connection, known if wanted.teams is None else wanted.teams)
            lines, count = overview.asked(connection, wanted, most=LINES, after=(page - 1) * LINES)
        chosen = {"dataset": dataset, "month": month, "team": team}
        return shown.page(
            request,
            who,
            "budget.html.j2",
            budgets=[each for each in budgets if dataset in ("", each.dataset)],
            choices={
                "dataset": [(each.dataset, shown.title(each.title, who.language)) for each in budgets],
                "month": sorted({m.period for each in budgets for m in each.months}, reverse=True),
                "team": sorted(known),
            },
            chosen=chosen,
            named=sorted(known if wanted.teams is None else wanted.teams),
            lines=lines,
            count=count,
            query=urlencode({name: value for name, value in chosen.items() if value}),
            pages=_neighbours(page, count),
        )

    @routes.get("/budget.csv")
    def table(
        request: Request,
        who: Annotated[Visitor, Depends(visitor)],
        dataset: str = "",
        month: str = "",
        team: str = "",
    ) -> Response:
        with parts.database.reading() as connection:
            wanted = _wanted(who, dataset, month).narrowed(team or None)
            lines, _ = overview.asked(connection, wanted, most=MOST_LINES)
        named = {
            "Content-Disposition": 'attachment; filename="questions.csv"',
            "Content-Type": "text/csv; charset=utf-8",
        }
        return Response(_csv(lines, who.language), headers={**headers(), **named})

    @routes.get("/questions")
    def questions(
        request: Request,
        who: Annotated[Visitor, Depends(visitor)],
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> Response:
        with parts.database.reading() as connection:
            wanted = Wanted(who.caller.asker.teams)
            lines, count = overview.asked(connection, wanted, most=LINES, after=(page - 1) * LINES)
        return shown.page(
            request,
            who,
            "questions.html.j2",
            lines=lines,
            count=count,
            query="",
            pages=_neighbours(page, count),
        )

    @routes.get("/approvals")
    def approvals(
        request: Request, who: Annotated[Visitor, Depends(visitor)], done: str = "", allowed: str = ""
    ) -> Response:
        return shown.approvals(request, who, done=done, allowed=allowed)

    @routes.post("/approvals")
    def decide(
        who: Annotated[Visitor, Depends(visitor)], fields: Annotated[dict[str, str], Depends(form)]
    ) -> Response:
        who.caller.check_any(DECIDE)
        approval, decision = fields.get("approval", ""), fields.get("decision")
        if decision not in ("approve", "refuse"):
            raise MalformedRequest(where="decision")
        parts.approving.decide(who.caller.asker, approval, "approve" if decision == "approve" else "refuse")
        return RedirectResponse(f"{prefix}/approvals?{urlencode({'done': approval})}", 303, headers())

    @routes.post("/allowances")
    def allow(
        request: Request,
        who: Annotated[Visitor, Depends(visitor)],
        fields: Annotated[dict[str, str], Depends(form)],
    ) -> Response:
        who.caller.check_any((FACILITATE,))
        wish = _wish(parts, fields)
        is_trial = fields.get("do") != "set"
        meaning = parts.allowing.set(who.caller.asker, wish, dry_run=is_trial)
        if not is_trial:
            made = meaning["allowance"]["allowance_id"]
            return RedirectResponse(f"{prefix}/approvals?{urlencode({'allowed': made})}", 303, headers())
        trial = {name: fields.get(name, "") for name in ("team", "dataset", "each", "until")}
        trial |= {**meaning, "rho_text": str(Rho(wish.nano))}
        return shown.approvals(request, who, trial=trial)

    return routes


def _wanted(who: Visitor, dataset: str, month: str) -> Wanted:
    # PostgreSQL takes no NUL in a text.
    chosen = [value if value.isprintable() and value else None for value in (dataset, month)]
    return Wanted(None if who.sees_all else who.caller.asker.teams, *chosen)


def _waiting(parts: Parts, who: Visitor) -> int:
    """How many questions wait for her word."""
    return sum(one["can_decide"] for one in parts.approving.list(who.caller.asker))


def _neighbours(page: int, count: int) -> dict[str, int | None]:
    return {"newer": page - 1 if page > 1 else None, "older": page + 1 if page * LINES < count else None}


def _wish(parts: Parts, fields: Mapping[str, str]) -> Wish:
    """An allowance as the form has it: for each seat so many questions of normal precision a month."""
    dataset = fields.get("dataset", "")
    with parts.database.reading() as connection:
        policy = parts.governing.in_force(connection, dataset).policy
    each = Rho.parse(policy.precisions.get("normal", policy.default_spend)).nano
    return Wish(
        fields.get("team", ""),
        dataset,
        _number(fields, "seats", 1, MOST_SEATS),
        _number(fields, "each", 0, MOST_NANO // each) * each,
        None,
        _end_of_day(fields.get("until", "")),
    )


def _number(fields: Mapping[str, str], name: str, least: int, most: int) -> int:
    written = fields.get(name, "")
    if not (written.isascii() and written.isdigit() and len(written) < 16 and least <= int(written) <= most):
        raise MalformedRequest(where=name)
    return int(written)


def _end_of_day(written: str) -> datetime | None:
    """The last second of a day in Seoul."""
    if not written:
        return None
    try:
        day = datetime.strptime(written, "%Y-%m-%d")
    except ValueError:
        raise MalformedRequest(where="until") from None
    if not 2000 < day.year < 2999:
        raise MalformedRequest(where="until")
    return datetime.combine(day, time(23, 59, 59), SEOUL)


def _csv(lines: list[Asked], language: Language) -> bytes:
    """The table of questions, ρ exact. It begins with a byte-order mark, without which spreadsheets guess."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_HEADINGS)
    for line in lines:
        row = [
            *(line.at, line.team, line.person, line.dataset, line.purpose or ""),
            line.words[language] if line.words else "",
            *(" ".join(line.periods), " ".join(line.paid), str(Rho(line.nano)), str(Rho(line.total))),
            *(f"{line.share:.6f}", line.answer or ""),
        ]
        # A spreadsheet would run what begins like a formula.
        writer.writerow([f"'{cell}" if cell[:1] in tuple("=+-@\t\r") else cell for cell in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")
