"""What comes in, strictly; and what goes out."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from civic_kernel.reports.batch import OVER, Batch, State
from civic_kernel.reports.parameters import Schema

#: Values of one parameter that a batch may run through.
MOST_VALUES = 100
NANO = 1_000_000_000


class Wanted(BaseModel):
    """A report with its parameters, and `each` of which values it shall be run for."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    report: str = Field(max_length=64)
    parameters: dict[str, Any] = Field(default_factory=dict, max_length=64)
    each: dict[str, list[Any]] | None = Field(default=None, max_length=3)
    team: str = Field(min_length=1, max_length=64)
    purpose: str = Field(min_length=1, max_length=64)

    @field_validator("each")
    @classmethod
    def _bounded(cls, each: dict[str, list[Any]] | None) -> dict[str, list[Any]] | None:
        many = 1
        for values in (each or {}).values():
            many *= len(values)
        if not 0 < many <= MOST_VALUES:
            raise ValueError("too many runs, or none")
        return each


class Ordered(Wanted):
    """`pay` is the ρ agreed to, as the price had it: nano-ρ, or decimal text of ρ. `key` makes a retry safe."""

    key: str = Field(min_length=8, max_length=128)
    pay: int | str

    @property
    def nano(self) -> int:
        """Raises ValueError (decimal's own included) for a text that is no amount."""
        if isinstance(self.pay, int):
            return self.pay
        try:
            amount = Decimal(self.pay) * NANO
            if not amount.is_finite() or amount != int(amount):
                raise ValueError("no amount")
        except ArithmeticError:
            raise ValueError("no amount") from None
        return int(amount)


def report_line(schema: Schema) -> dict[str, Any]:
    return {"name": schema.name, "label": dict(schema.label), "schema": dict(schema.document)}


def batch_document(batch: Batch, ahead: int) -> dict[str, Any]:
    """`place` is how many runs of anybody begin before the next of this batch."""
    order = batch.order
    runs = []
    for number, part in enumerate(batch.parts, 1):
        line: dict[str, Any] = {
            "n": number,
            "parameters": part.parameters,
            "state": part.state,
            "done": part.done,
            "total": part.total,
            "cell": part.cell,
        }
        if part.message:
            line |= {"code": part.code, "message": part.message, "remedy": part.remedy}
        if part.state in OVER:
            page = batch.page(number)
            line["page"] = None if page is None else f"pages/{number}/{page}"
            line["partial"] = f"pages/{number}/partial.ipynb" if batch.has_partial(number) else None
        runs.append(line)
    return {
        "id": order.id,
        "report": order.report,
        "title": dict(order.title),
        "state": batch.state,
        "place": ahead,
        "team": order.team,
        "purpose": order.purpose,
        "pay": order.pay,
        "created_at": order.created_at,
        "done": sum(part.state is State.DONE for part in batch.parts),
        "runs": runs,
    }


def batch_line(batch: Batch) -> dict[str, Any]:
    """One line of a person's list: without the runs, which she opens."""
    document = batch_document(batch, 0)
    return {name: document[name] for name in ("id", "report", "title", "state", "done", "created_at")} | {
        "runs": len(batch.parts)
    }
