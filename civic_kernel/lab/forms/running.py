"""Running a report without code: which, of what, at what price; then watching it come, stopping it, going on.

GET  civic/reports          the reports and what was run; with ?report= the form, and with ?priced= its price
POST civic/reports          starts a run, or a batch, at the price that was shown
GET  civic/reports/run      ?id= how it stands; &part=state the changing part alone, for the script
POST civic/reports/run      {"id", "act": "stop" | "resume"}
GET  civic/reports/pages/…  a run's page, in a sandbox
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from civic_kernel.affordable import percent
from civic_kernel.errors import CivicError, GatewayUnreachable
from civic_kernel.lab.forms import fields as forms
from civic_kernel.lab.forms.frame import RETRY_SECONDS, FormHandler, refusal_words
from civic_kernel.lab.forms.service import Offered, OneRun, Order, Reports
from civic_kernel.reports.parameters import Parameters, Schema, check_parameters
from civic_kernel.texts import Language, keys, text

#: States in which nothing more will happen by itself.
OVER = frozenset({"done", "failed", "cancelled", "partly"})


class ReportsFormHandler(FormHandler):
    def reports(self) -> Reports:
        settings = self.settings_here
        http = self.http_of(settings.reports_url) if settings.reports_url and settings.token else None
        return Reports(settings.reports_url, settings.token, self.language, http, RETRY_SECONDS)

    async def offered(self, name: str) -> tuple[Offered, Schema]:
        """Raises HTTPError 404 for a report that is not offered."""
        for report in await self.aside(self.reports().reports):
            if report.name == name:
                return report, report.declared
        raise web.HTTPError(404)

    async def payers(self) -> tuple[list[str], list[str]]:
        """(teams, purposes) that may be named: those of the data that are open to the asker, her own first."""
        client, settings = self.client(), self.settings_here
        teams = dict.fromkeys([settings.team] if settings.team else [])
        purposes = dict.fromkeys([settings.purpose] if settings.purpose else [])
        for row in (await self.aside(client.catalog)).datasets:
            if row.open and row.lane is not None:
                detail = await self.aside(client.dataset, row.id)
                teams.update(dict.fromkeys(team.team for team in detail.teams))
                purposes.update(dict.fromkeys(detail.purposes))
        return list(teams), list(purposes)

    def refused(self, refusal: CivicError, back: str) -> None:
        if isinstance(refusal, GatewayUnreachable):
            refusal.message = text(self.language, "forms", "run.unreachable")
            refusal.remedy = text(self.language, "forms", "run.unreachable.remedy")
        self.show_refusal(refusal, back)


class ReportsHandler(ReportsFormHandler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        try:
            if self.one("report"):
                await self._form()
            else:
                await self._list()
        except CivicError as refusal:
            self.refused(refusal, "reports" if self.one("report") else "")

    async def _list(self) -> None:
        offered = await self.aside(self.reports().reports)
        orders = await self.aside(self.reports().orders)
        lines = [
            {
                "id": order.id,
                "label": order.title.get(self.language),
                "words": _summary(order.state, order.done, order.runs, 0, self.language),
            }
            for order in orders
        ]
        self.show("reports", reports=offered, orders=lines)

    async def _form(self, refusal: CivicError | None = None) -> None:
        report, schema = await self.offered(self.one("report"))
        sent = self.fields()
        given, each = forms.read_fields(schema, sent), forms.read_each(schema, sent)
        wrong, price = frozenset[str](), None
        teams, purposes = await self.payers()
        team, purpose = _given(sent, "team", teams), _given(sent, "purpose", purposes)
        if self.one("priced"):
            wrong = forms.wrong_fields(schema, given)
            if not wrong:
                given = check_parameters(schema, given, self.language)
                price = await self._price(schema, given, each, team, purpose)
        if refusal is not None:
            self.set_status(409)
        self.show(
            "report",
            forms.to_fields(schema, given, each),
            report=report,
            inputs=forms.make_fields(schema, given, self.language, wrong),
            each=next(iter(each), ""),
            wrong=wrong,
            teams=teams,
            purposes=purposes,
            team=team,
            purpose=purpose,
            price=price,
            refusal=refusal and refusal_words(refusal, self.language),
            said=forms.said(schema, given, each, self.language),
            sent=forms.to_fields(schema, given, each),
            key=secrets.token_urlsafe(24),
        )

    async def _price(
        self, schema: Schema, given: Parameters, each: Mapping[str, list[str]], team: str, purpose: str
    ) -> dict[str, Any]:
        body = {"report": schema.name, "parameters": given, "team": team, "purpose": purpose}
        priced = await self.aside(self.reports().price, body | ({"each": each} if each else {}))
        share = None if priced.share_of_left is None else percent(priced.share_of_left)
        return {
            "pay": priced.rho,
            "share": share,
            "runs": priced.runs,
            "questions": priced.questions,
            "whole": priced.whole,
            "waits": sorted({one.waits for one in priced.questions if one.waits}),
        }

    @web.authenticated
    @authorized(action="write")
    async def post(self) -> None:
        try:
            _, schema = await self.offered(self.one("report"))
            sent = self.fields()
            given = check_parameters(schema, forms.read_fields(schema, sent), self.language)
            each = forms.read_each(schema, sent)
            body = {
                "report": schema.name,
                "parameters": given,
                "team": self.one("team"),
                "purpose": self.one("purpose"),
                "key": self.one("key"),
                "pay": self._agreed(),
            }
            order = await self.aside(self.reports().start, body | ({"each": each} if each else {}))
        except CivicError as refusal:
            await self._again(refusal)
            return
        self.go("reports/run", [("id", order.id)])

    def _agreed(self) -> int:
        agreed = self.one("pay")
        if not (agreed.isascii() and agreed.isdigit()) or len(agreed) > 18:
            raise web.HTTPError(400)
        return int(agreed)

    async def _again(self, refusal: CivicError) -> None:
        """The form as it was sent, with today's price: most refusals here are a price that is no longer true."""
        self.request.arguments["priced"] = [b"1"]
        try:
            await self._form(refusal)
        except CivicError:
            self.refused(refusal, "reports")


class RunHandler(ReportsFormHandler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        try:
            order = await self.aside(self.reports().order, self.one("id"))
            offered = await self.aside(self.reports().reports)
        except CivicError as refusal:
            self.refused(refusal, "reports")
            return
        schema = next((one.declared for one in offered if one.name == order.report), None)
        done = sum(run.state == "done" for run in order.runs)
        facts = {
            "order": order,
            "label": order.title.get(self.language),
            "runs": [_run_line(order, run, schema, self.language) for run in order.runs],
            "words": _summary(order.state, done, len(order.runs), order.place, self.language),
            "finished": done,
            "all": len(order.runs),
            "over": order.state in OVER,
            "more": done < len(order.runs),
        }
        if self.one("part") == "state":
            self.show("state", **facts)
        else:
            self.show("run", [("id", order.id)], **facts)

    @web.authenticated
    @authorized(action="write")
    async def post(self) -> None:
        order = self.one("id")
        acts = {"stop": self.reports().cancel, "resume": self.reports().resume}
        if self.one("act") not in acts:
            raise web.HTTPError(400)
        try:
            await self.aside(acts[self.one("act")], order)
        except CivicError as refusal:
            self.refused(refusal, "reports")
            return
        self.go("reports/run", [("id", order)])


#: What a page is made of, by the end of its name. Anything else is not handed out.
TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "ipynb": "application/x-ipynb+json",
    "txt": "text/plain; charset=utf-8",
    "xml": "application/xml",
}


class PageHandler(ReportsFormHandler):
    """A run's page as its maker looks at it. It may hold what another person's notebook put there: so it gets an origin
    of its own, whatever the service says of it, and nothing in it can reach this server's addresses.
    """

    @property
    def content_security_policy(self) -> str:
        # Downloads of the page's own CSV are a click of the reader's; everything else stays inside.
        return "sandbox allow-scripts allow-downloads; frame-ancestors 'none'"

    @web.authenticated
    @authorized
    async def get(self, order: str, number: str, path: str) -> None:
        kind = TYPES.get(path.rpartition(".")[2])
        if kind is None:
            raise web.HTTPError(404)
        try:
            content = await self.aside(self.reports().page, order, int(number), path)
        except CivicError as refusal:
            # In the sandbox as well: no page of ours is shown under this address.
            self.set_status(404)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(str(refusal))
            return
        self.set_header("Content-Type", kind)
        if not kind.startswith("text/html"):
            # What is no page is saved, never shown. Its name is of the letters that an address here may have.
            name = path.rpartition("/")[2]
            self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        self.finish(content)


@dataclass(frozen=True)
class Line:
    """One run on the page: what of, how far, what there is to open or to read."""

    label: str
    state: str
    words: str
    done: int
    total: int
    cell: str
    message: str
    page: str
    partial: str


def _run_line(order: Order, run: OneRun, schema: Schema | None, language: Language) -> Line:
    message = " ".join(part for part in (run.message, run.remedy) if part)
    return Line(
        _label(order, run, schema, language),
        run.state,
        _state_words(run.state, language),
        run.done,
        run.total,
        run.cell or "",
        message,
        _below(order, run.page),
        _below(order, run.partial),
    )


def _label(order: Order, run: OneRun, schema: Schema | None, language: Language) -> str:
    """What sets this run apart from the others; of one alone, what it is of."""
    if schema is None:  # a report that is no longer offered
        return str(run.n)
    names = [name for name in run.parameters if name in schema.names]
    apart = [n for n in names if any(o.parameters.get(n) != run.parameters[n] for o in order.runs)]
    of_it = {name: run.parameters[name] for name in apart or names if name != "language" or apart}
    return ", ".join(words for _, words in forms.said(schema, of_it, {}, language)) or str(run.n)


def _below(order: Order, path: str | None) -> str:
    return f"reports/{path.replace('pages/', f'pages/{order.id}/', 1)}" if path else ""


def _summary(state: str, done: int, runs: int, place: int, language: Language) -> str:
    """How the whole stands, and of a batch how many of how many are done."""
    words = _state_words(state, language)
    if runs > 1:
        return text(language, "forms", "run.of", state=words, done=done, all=runs)
    return (
        text(language, "forms", "run.place", state=words, place=place)
        if state == "waiting" and place
        else words
    )


def _state_words(state: str, language: Language) -> str:
    # A state of a newer service is shown as it is, rather than as a fault.
    key = f"state.{state}"
    return text(language, "forms", key) if key in keys(language, "forms") else state


def _given(sent: Mapping[str, list[str]], name: str, known: list[str]) -> str:
    given = next(iter(sent.get(name, ())), "")
    return given if given in known else next(iter(known), "")
