"""Asking without code: which data, of which rows, by what, what; its price and precision; the answer.

GET  civic/ask            the datasets; with ?dataset= the form, with what is chosen, and its price
GET  civic/ask?part=price the price alone, for the script
POST civic/ask            asks and pays, then leads to the answer
GET  civic/ask/answer     ?answer= a stored answer; without it the same of made-up rows, which nobody stores
GET  civic/ask/csv        the same as a file
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from civic_kernel.errors import CivicError, QuestionWaits
from civic_kernel.lab.forms import answered, offered, pricing
from civic_kernel.lab.forms.chosen import Chosen, Fields, read_chosen
from civic_kernel.lab.forms.frame import FormHandler, refusal_words
from civic_kernel.lost import lost_words
from civic_kernel.practice import in_use
from civic_kernel.queries import Dataset
from civic_kernel.texts import Language
from civic_kernel.wire import DatasetDetail, PriceBody

if TYPE_CHECKING:
    from civic_kernel.client import Client
    from civic_kernel.frames import AnswerFrame

#: Of made-up rows: one request of the gateway, and a second of work at most.
TWIN_ROWS = 20_000


class AskHandler(FormHandler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        fields = self.fields()
        name = self.one("dataset")
        try:
            if not name:
                catalog = await self.aside(self.client().catalog)
                self.show("datasets", datasets=[row for row in catalog.datasets if row.open])
                return
            detail = await self.aside(self.client().dataset, name)
            asked = Asked(self, detail, fields)
            price = await self.aside(asked.price) if asked.was_sent or self.one("part") == "price" else None
        except CivicError as refusal:
            self.show_refusal(refusal, "ask" if name else "")
            return
        if self.one("part") == "price":
            self.show("price", **asked.facts(), priced=price)
        else:
            self.show("ask", asked.fields(), **asked.form(), priced=price)

    @web.authenticated
    @authorized(action="write")
    async def post(self) -> None:
        try:
            detail = await self.aside(self.client().dataset, self.one("dataset"))
            asked = Asked(self, detail, self.fields())
            answer = "" if asked.data == "twin" else await self.aside(asked.ask)
        except QuestionWaits as waits:
            # It waits at the gateway; asked again in the same words it is the same question, paid once.
            self.set_status(202)
            self.show("waits", waits=refusal_words(waits, self.language), asked=asked.facts())
            return
        except CivicError as refusal:
            self.show_refusal(refusal, "ask")
            return
        self.go("ask/answer", [*asked.fields(), ("answer", answer)] if answer else asked.fields())


class AnswerHandler(FormHandler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        try:
            detail = await self.aside(self.client().dataset, self.one("dataset"))
            asked = Asked(self, detail, self.fields())
            frame = await self.aside(asked.frame, self.one("answer"))
            view = await self.aside(answered.make_view, frame, detail, asked.chosen, self.language)
        except CivicError as refusal:
            self.show_refusal(refusal, "ask")
            return
        self.show_answer(asked, frame, view)

    def show_answer(self, asked: Asked, frame: AnswerFrame, view: answered.View) -> None:
        origin = frame.attrs["civic"]
        self.show(
            "answer",
            [*asked.fields(), ("answer", self.one("answer"))],
            view=view,
            asked=asked.facts(),
            filters=answered.filter_lines(asked.detail, asked.chosen, self.language),
            python=asked.python(),
            answer=origin["answer_id"] if self.one("answer") else "",
            made_up=origin["made_up"],
            synthetic=origin["synthetic"],
            exact=asked.detail.is_open,
            minimum=origin["minimum"],
            unit=origin["unit"],
            lost=lost_words(origin["lost"], self.language),
            newer=origin["newer_data"] or origin["newer_policy"],
        )


class CsvHandler(FormHandler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        try:
            detail = await self.aside(self.client().dataset, self.one("dataset"))
            asked = Asked(self, detail, self.fields())
            frame = await self.aside(asked.frame, self.one("answer"))
            content = answered.csv_of(frame, detail, asked.chosen, self.language)
        except CivicError as refusal:
            self.show_refusal(refusal, "ask")
            return
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        # A name of letters that the gateway knows: nothing that was typed becomes part of a header.
        self.set_header("Content-Disposition", f'attachment; filename="{detail.id}.csv"')
        self.set_header("Cache-Control", "no-store")
        self.finish(content)


class Asked:
    """One question as this request has it, with who pays for what purpose, and of which rows."""

    def __init__(self, handler: FormHandler, detail: DatasetDetail, fields: Fields) -> None:
        self.detail = detail
        self.language: Language = handler.language
        #: Whether anything was chosen: a form that is opened for the first time is filled in, and not priced.
        self.was_sent = "measure" in fields
        self.chosen: Chosen = read_chosen(fields, detail) if self.was_sent else offered.first_choice(detail)
        self.data = _one_of(fields, "data", ("real", "twin")) or ("real" if detail.is_open else in_use())
        if detail.is_open:
            self.data = "real"  # its own rows are free; made-up ones beside them would only be taken for them
        settings = handler.settings_here
        self.teams = [team.team for team in detail.teams] or [settings.team or ""]
        own = settings.team if settings.team in self.teams else self.teams[0]
        self.team = _one_of(fields, "team", self.teams) or own or ""
        given = settings.purpose if settings.purpose in detail.purposes else detail.purposes[0]
        self.purpose = _one_of(fields, "purpose", detail.purposes) or given
        self.precision = _one_of(fields, "precision", list(detail.precisions))
        self._client = handler.client()

    def fields(self) -> list[tuple[str, str]]:
        more = [("data", self.data), ("team", self.team), ("purpose", self.purpose)]
        return [*self.chosen.fields(), *more, *([("precision", self.precision)] if self.precision else [])]

    @property
    def _spend(self) -> str | None:
        return self.precision or None

    def facts(self) -> dict[str, Any]:
        return {
            "fields": self.fields(),
            "dataset": self.detail,
            "title": answered.title_of(self.detail, self.chosen, self.language),
            "filters": answered.filter_lines(self.detail, self.chosen, self.language),
            "data": self.data,
            "team": self.team,
        }

    def form(self) -> dict[str, Any]:
        return {
            **self.facts(),
            "choices": offered.filters(self.detail, self.chosen, self.language),
            "groups": offered.groups(self.detail, self.chosen, self.language),
            "measures": offered.measures(self.detail, self.chosen, self.language),
            "precisions": pricing.precision_options(self.detail, self.precision, self.language),
            "teams": self.teams,
            "purposes": self.detail.purposes,
            "purpose": self.purpose,
        }

    def price(self) -> dict[str, Any]:
        """`lines` and whether it `can` be asked; or the `refusal` in words. A question that is half filled in is no
        fault: the page says what is wrong with it."""
        try:
            question = self.chosen.question(self._dataset())
            body: PriceBody = question.price(self._spend, team=self.team, purpose=self.purpose).body
        except CivicError as refusal:
            return {"lines": [], "refusal": refusal_words(refusal, self.language), "free": False}
        free = body.free or bool(body.stored) or self.detail.is_open
        lines = pricing.price_lines(body, self.detail, self.chosen, self.language)
        return {"lines": lines, "refusal": None, "free": free}

    def ask(self) -> str:
        """The answer's id. Raises QuestionWaits at once: a page does not wait for a person."""
        question = self.chosen.question(Dataset(self.detail, self._client))
        frame = question.ask(self._spend, team=self.team, purpose=self.purpose, quiet=True)
        return str(frame.attrs["civic"]["answer_id"])

    def frame(self, answer: str) -> AnswerFrame:
        """The stored answer, free; of made-up rows where none is named. Raises UnknownAnswer."""
        if answer:
            from civic_kernel.frames import labelled_frame

            question = self.chosen.question(Dataset(self.detail, self._client))
            found = self._client.answer(answer)
            # A link that was put together by hand must not get one question's words over another's numbers. The
            # price costs nothing and has the question in the form in which it was signed.
            if (
                question.price(self._spend, team=self.team, purpose=self.purpose).body.plan
                != found.statement.plan
            ):
                raise web.HTTPError(400)
            return labelled_frame(found, self.detail, self.language)
        if self.data != "twin":
            raise web.HTTPError(400)  # a question that costs is asked by the button, never by an address
        question = self.chosen.question(self._dataset())
        return question.ask(self._spend, team=self.team, purpose=self.purpose, quiet=True)

    def python(self) -> str:
        rows = TWIN_ROWS if self.data == "twin" else None
        return self.chosen.python(self._spend, self.team, self.purpose, rows)

    def _dataset(self) -> Dataset:
        return (
            twin_of(self._client, self.detail) if self.data == "twin" else Dataset(self.detail, self._client)
        )


#: The last twin that was made, its address first: a server of a seat has not the memory for all of them.
_last_twin: dict[tuple[str, str, str], Dataset] = {}


def twin_of(client: Client, detail: DatasetDetail) -> Dataset:
    """Made-up rows of the dataset. The rows are kept; who asks, and in which language, is this request's."""
    from civic_kernel.twins import make_twin

    key = (detail.id, detail.policy_hash, client.language)
    if key not in _last_twin:
        made = make_twin(client, detail.id, TWIN_ROWS, 0)
        _last_twin.clear()
        _last_twin[key] = made
    return _last_twin[key]


def _one_of(fields: Fields, name: str, known: Any) -> str:
    given = next(iter(fields.get(name, ())), "")
    return given if given in known else ""
