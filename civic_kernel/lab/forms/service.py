"""Speaks with the service `reports` as one person: what there is, what it would cost, runs and their pages."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pydantic import Field

from civic_kernel.calling import Caller, segment
from civic_kernel.errors import BadAnswer
from civic_kernel.reports.parameters import Schema, make_schema
from civic_kernel.settings import read_settings
from civic_kernel.wire import Labels, Wire, parse

#: Bytes. A page has less than a tenth of it; its one ZIP has all of it.
MOST_BYTES = 32_000_000


class Offered(Wire):
    name: str
    label: Labels
    schema_: dict[str, Any] = Field(alias="schema")

    @property
    def declared(self) -> Schema:
        """Raises ValueError where the service gave something that is no declaration."""
        return make_schema(self.schema_)


class OfferedList(Wire):
    reports: list[Offered]


class AskedThere(Wire):
    """One question of a report: in words, what it would be charged now (nano-ρ), and how exact it is."""

    words: str
    charged: int
    precision: str = ""
    waits: str | None = None


class RunPrice(Wire):
    """`rho` in nano-ρ is handed back as it came: what a person agreed to. `whole` is false where the trial on made-up
    rows stopped before the end, so that more may be asked.
    """

    rho: int
    share_of_left: str | None = None
    questions: list[AskedThere] = []
    runs: int = 1
    whole: bool = True


class OneRun(Wire):
    """One report of an order: `done` of `total` cells, the title of the one at work, what went wrong; `page` and
    `partial` (the notebook as far as it came) are paths below the order.
    """

    n: int
    parameters: dict[str, Any] = {}
    state: str
    done: int = 0
    total: int = 0
    cell: str | None = None
    message: str | None = None
    remedy: str | None = None
    page: str | None = None
    partial: str | None = None


class Order(Wire):
    """What was ordered at once: one run, or one for each place. `place` is how many runs begin before it."""

    id: str
    report: str
    title: Labels
    state: str
    place: int = 0
    runs: list[OneRun]


class OrderLine(Wire):
    """The same in a list; `done` of its `runs` are."""

    id: str
    report: str
    title: Labels
    state: str
    done: int
    runs: int


class OrderList(Wire):
    runs: list[OrderLine]


class Reports(Caller):
    """One person's side of the service. Every failure is a CivicError in the asker's language."""

    def reports(self) -> list[Offered]:
        return parse(OfferedList, self._call("GET", "/v1/reports"), self.language).reports

    def price(self, body: dict[str, Any]) -> RunPrice:
        return parse(RunPrice, self._call("POST", "/v1/runs/price", body), self.language)

    def start(self, body: dict[str, Any]) -> Order:
        return parse(Order, self._call("POST", "/v1/runs", body), self.language)

    def orders(self) -> list[OrderLine]:
        return parse(OrderList, self._call("GET", "/v1/runs"), self.language).runs

    def order(self, order_id: str) -> Order:
        return parse(Order, self._call("GET", f"/v1/runs/{segment(order_id)}"), self.language)

    def cancel(self, order_id: str) -> None:
        self._call("DELETE", f"/v1/runs/{segment(order_id)}")

    def resume(self, order_id: str) -> None:
        self._call("POST", f"/v1/runs/{segment(order_id)}/resume")

    def page(self, order_id: str, number: int, path: str) -> bytes:
        """One file of a run's page. `path` is checked by the service; here no part of it can leave the run's folder."""
        parts = path.split("/")
        if any(part in ("", ".", "..") for part in parts):
            raise BadAnswer.say(self.language)
        place = "/".join(segment(part) for part in parts)
        response = self._request("GET", f"/v1/runs/{segment(order_id)}/pages/{number}/{place}", None, "*/*")
        if response.status_code != 200:
            document: Any = None
            with suppress(ValueError):
                document = response.json()
            raise self._failure(response.status_code, document)
        if len(response.content) > MOST_BYTES:
            raise BadAnswer.say(self.language)
        return bytes(response.content)


def open_reports() -> Reports:
    """For a notebook: the service that the environment describes. Raises SettingInvalid or NotSignedIn."""
    settings = read_settings()
    return Reports(settings.reports_url, settings.token, settings.language)
