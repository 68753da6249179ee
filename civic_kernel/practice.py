"""Practice data or real data: which of the two `civic.dataset` and SQL answer from in this kernel.

    civic.use("twin")   made-up rows, free; a workshop's seat starts with them
    civic.use("real")   the city's data; what is asked is paid for by the team
    civic.use()         which of the two, and what the team and this seat have left

A notebook with such a line means the same wherever it runs. The button in JupyterLab also remembers its choice for
kernels that start later (`~/.civic/data`): a restart would otherwise bring made-up rows back, under real figures.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from civic_kernel.settings import read_settings, starts_on_twin
from civic_kernel.texts import Language, speaker, text

if TYPE_CHECKING:
    from civic_kernel import wire
    from civic_kernel.client import Client
    from civic_kernel.queries import Dataset

Data = Literal["real", "twin"]
#: As many as `civic.twin` makes unless it is told otherwise: in a kernel, each dataset's are made once.
ROWS = 100_000

_chosen: Data | None = None
_twins: dict[tuple[Client, str], Dataset] = {}


@dataclass(frozen=True)
class InUse:
    """What is in use, shown in words; `left` is empty for made-up rows, which cost nothing."""

    data: Data
    language: Language
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        say = speaker(self.language, "lab", "use.")
        return "\n".join([say("real") if self.data == "real" else say("twin"), *self.left])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        first, *rest = (html.escape(line) for line in str(self).splitlines())
        items = "".join(f"<li>{line}</li>" for line in rest)
        return f"<p><strong>{first}</strong></p>" + (f"<ul>{items}</ul>" if items else "")


class ForButton:
    """What the button in JupyterLab asks a kernel; its repr is JSON, since that is all that crosses over."""

    def __init__(self, data: Data | None = None, *, whole: bool = False) -> None:
        self._told: dict[str, Any] = {"data": data or in_use()}
        if whole:
            self._told["words"] = str(_look(data or in_use()))

    def __repr__(self) -> str:
        return json.dumps(self._told, ensure_ascii=False)


def in_use() -> Data:
    """What this kernel answers from."""
    return _chosen or _remembered() or ("twin" if starts_on_twin() else "real")


def use(data: Data | None = None) -> InUse:
    """Answer from `"twin"` (made up, free) or `"real"` from now on. Raises ValueError for another word."""
    if data is not None:
        choose(data)
    return _look(in_use())


def choose(data: Data) -> None:
    """`use` without a look at what is left."""
    global _chosen
    if data not in ("real", "twin"):
        raise ValueError('civic.use("real"), civic.use("twin")')
    _chosen = data


def choice_file() -> Path:
    """Where the button's choice is kept, in the home of this seat or room."""
    return Path.home() / ".civic" / "data"


def _remembered() -> Data | None:
    try:
        kept = choice_file().read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return next((known for known in ("real", "twin") if known == kept), None)


def _look(data: Data) -> InUse:
    if data == "twin":
        return InUse(data, read_settings().language)
    from civic_kernel import connect
    from civic_kernel.errors import CivicError

    client = connect()
    try:
        left = tuple(_left(client))
    except CivicError:
        # The choice is made either way, and what is asked next says what is wrong.
        left = (text(client.language, "lab", "use.unknown"),)
    return InUse(data, client.language, left)


def _left(client: Client) -> Iterator[str]:
    """For each dataset that costs: the team's share of its cap in the month with the least left, and the seat's."""
    from civic_kernel.affordable import percent

    say = speaker(client.language, "lab", "use.")
    allowed = {
        line.dataset: line for line in client.allowances() if line.in_force and line.team == client.team
    }
    for row in client.catalog().datasets:
        if not row.open or row.lane is None:
            continue
        detail = client.dataset(row.id)
        team = next((each for each in detail.teams if each.team == client.team), None)
        if detail.is_open or team is None or not team.left or not team.cap:
            continue
        normal = detail.precisions.get("normal", detail.default_spend)
        left, month = min((nano, month) for month, nano in team.left.items())
        yield say(
            "team",
            title=detail.title.get(client.language),
            team=team.team,
            percent=percent(Decimal(left) / team.cap),
            month=month,
            n=f"{left // normal:,}",
        )
        if detail.id in allowed:
            yield _seat(allowed[detail.id], normal, client.language)


def _seat(allowance: wire.AllowanceLine, normal: int, language: Language) -> str:
    spent = max(allowance.mine.spent.values(), default=0)
    left = max(allowance.rho - spent, 0) // normal
    return text(language, "lab", "use.seat", all=f"{allowance.rho // normal:,}", n=f"{left:,}")


# --- the twin in place of the data ---


def practice_dataset(client: Client, name: str, rows: int = ROWS) -> Dataset:
    """The twin of `name`, made once in this kernel; of an open dataset itself. Raises UnknownDataset."""
    from civic_kernel.twins import make_twin

    if (client, name) not in _twins:
        _twins[client, name] = make_twin(client, name, rows, 0)
    return _twins[client, name]


def practice_client(client: Client) -> Client:
    """Stands for `client` where a question in SQL is asked: translated by the gateway as ever, which is free, then
    answered from made-up rows."""
    from civic_kernel.client import Client as Base

    class Practising(Base):
        def __init__(self) -> None:
            # Not Client.__init__: no token and no connection of its own.
            self.team, self.purpose, self.language = client.team, client.purpose, client.language
            self.answers = []

        def dataset(self, dataset: str) -> wire.DatasetDetail:
            return client.dataset(dataset)

        def price(self, question: Any, spend: dict[str, Any] | None = None, **rest: Any) -> wire.PriceBody:
            plan, asked = self._who_answers(question)
            return asked.price(plan, spend, **rest)

        def ask(self, question: Any, spend: dict[str, Any] | None = None, **rest: Any) -> wire.AnswerBody:
            plan, asked = self._who_answers(question)
            return asked.ask(plan, spend, **rest)

        def _who_answers(self, question: Any) -> tuple[dict[str, Any], Client]:
            plan = client.price(question).plan if isinstance(question, str) else question
            return plan, practice_dataset(client, str(plan["dataset"]))._client

    return Practising()
