"""Ask the city's data, and get answers that know where they came from.

    import civic_kernel as civic
    rides = civic.dataset("bike_rides")
    rides.by(rides.start_gu, rides.month).agg(rides=civic.count()).ask()

Nothing is imported before it is used: a kernel that only shows help, and the command line, must not wait for
pandas or folium. tests/kernel/test_import.py holds the line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

    from civic_kernel import charts, errors, maps, methods
    from civic_kernel.asked import SqlQuestion, cite
    from civic_kernel.client import Client
    from civic_kernel.errors import CivicError
    from civic_kernel.frames import AnswerFrame
    from civic_kernel.held import Waiting
    from civic_kernel.measures import count, histogram, mean, persons, quantiles, share
    from civic_kernel.measures import sum_of as sum
    from civic_kernel.methods.combine import diff, ratio, total
    from civic_kernel.practice import use
    from civic_kernel.queries import Dataset, band, hour, season, weekday
    from civic_kernel.report_form import report_form

__all__ = [
    "CivicError",
    "Client",
    "answer",
    "approve",
    "band",
    "catalog",
    "charts",
    "cite",
    "connect",
    "count",
    "dataset",
    "diff",
    "errors",
    "histogram",
    "hour",
    "maps",
    "mean",
    "methods",
    "persons",
    "quantiles",
    "questions",
    "ratio",
    "refuse",
    "report_form",
    "season",
    "share",
    "sql",
    "sum",
    "total",
    "twin",
    "use",
    "waiting",
    "weekday",
]

#: public name -> (module, attribute); None is the module itself.
_LAZY: dict[str, tuple[str, str | None]] = {
    "CivicError": ("errors", "CivicError"),
    "Client": ("client", "Client"),
    "charts": ("charts", None),
    "cite": ("asked", "cite"),
    "count": ("measures", "count"),
    "diff": ("methods.combine", "diff"),
    "errors": ("errors", None),
    "hour": ("queries", "hour"),
    "maps": ("maps", None),
    "methods": ("methods", None),
    "persons": ("measures", "persons"),
    "ratio": ("methods.combine", "ratio"),
    "report_form": ("report_form", "report_form"),
    "total": ("methods.combine", "total"),
    "use": ("practice", "use"),
    "weekday": ("queries", "weekday"),
    "band": ("queries", "band"),
    "season": ("queries", "season"),
    **{name: ("measures", name) for name in ("histogram", "mean", "quantiles", "share")},
    # `sum` inside the package is Python's.
    "sum": ("measures", "sum_of"),
}

_client: Client | None = None


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'civic_kernel' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    loaded = import_module(f"civic_kernel.{module}")
    value = loaded if attribute is None else getattr(loaded, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def connect(client: Client | None = None) -> Client:
    """The client that this process asks with; made from the environment at first use.

    Given one, it is used from now on: a report run and a test bring their own.
    """
    global _client
    if client is not None:
        _client = client
    elif _client is None:
        from civic_kernel.client import Client as Made

        _client = Made.from_settings()
    return _client


def catalog() -> pd.DataFrame:
    """All datasets: id, title, description, whether made up, whether open (and if not, the code why)."""
    import pandas as pd

    client = connect()
    return pd.DataFrame(
        [
            {
                "id": row.id,
                "title": row.title.get(client.language),
                "description": row.description.get(client.language),
                "synthetic": row.synthetic,
                "open": row.open,
                "closed_code": row.closed_code,
            }
            for row in client.catalog().datasets
        ],
        columns=["id", "title", "description", "synthetic", "open", "closed_code"],
    )


def dataset(name: str) -> Dataset:
    """The dataset `name`, with its columns as attributes; its twin after `civic.use("twin")`. Raises UnknownDataset."""
    from civic_kernel.practice import in_use, practice_dataset
    from civic_kernel.queries import Dataset as Made

    client = connect()
    if in_use() == "twin":
        return practice_dataset(client, name)
    return Made(client.dataset(name), client)


def sql(text: str) -> SqlQuestion:
    """One SELECT as a question, with `.price()` and `.ask()`; docs/sql.md says what may stand in it."""
    from civic_kernel.asked import SqlQuestion as Made
    from civic_kernel.practice import in_use, practice_client

    client = connect()
    return Made(text, practice_client(client) if in_use() == "twin" else client)


def questions(containing: str = "") -> pd.DataFrame:
    """What your teams have asked, newest first; `civic.answer(id)` reopens one, free."""
    from civic_kernel.asked import team_questions

    return team_questions(connect(), containing)


def answer(answer_id: str) -> AnswerFrame:
    """An earlier answer again: the same bytes, at no cost. Raises UnknownAnswer."""
    from civic_kernel.asked import reopened

    return reopened(connect(), answer_id)


def waiting(everything: bool = False) -> pd.DataFrame:
    """What waits for a person in your teams: in words, with its price, and whether you may decide on it."""
    from civic_kernel.held import table

    return table(connect(), everything=everything)


def approve(approval_id: str) -> Waiting:
    """Let a question that waits be asked once; your team pays. Raises ApprovalNotYours or ApprovalEnded."""
    return _decide(approval_id, "approve")


def refuse(approval_id: str) -> Waiting:
    """Turn a question that waits down. Raises ApprovalNotYours or ApprovalEnded."""
    return _decide(approval_id, "refuse")


def _decide(approval_id: str, decision: Literal["approve", "refuse"]) -> Waiting:
    from civic_kernel.held import Waiting as Made

    client = connect()
    return Made(client.decide(approval_id, decision), client.language)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext civic_kernel` brings the cell magic `%%civic`."""
    from civic_kernel.magics import register

    register(shell)


def twin(name: str, rows: int = 100_000, seed: int = 0) -> Dataset:
    """Dummy rows of the dataset `name`, made from signed metadata alone; asked like the dataset, free. For an open
    dataset, the dataset itself.

    The same `seed` gives the same rows. Raises UnknownDataset.
    """
    from civic_kernel.twins import make_twin

    return make_twin(connect(), name, rows, seed)
