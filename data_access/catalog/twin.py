"""How a dataset's twin looks: shapes that the stewards sign with the catalog entry, never taken from records.

All numbers are whole, since a policy signs the entry's hash. What is not declared is even.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from data_access.documents import Closed, Name

Weight = Annotated[int, Field(ge=0, le=10_000)]


class Joint(Closed):
    """`column` equals `of` in `percent` of the rows, and follows its own weights in the others."""

    column: Name
    of: Name
    percent: int = Field(ge=0, le=100)


class Spread(Closed):
    """A triangular distribution over the whole numbers from `low` to `high`, highest at `mode`."""

    low: int
    mode: int
    high: int

    @model_validator(mode="after")
    def _ordered(self) -> Spread:
        if not self.low <= self.mode <= self.high:
            raise ValueError("low, mode and high go up")
        return self


class TwinShape(Closed):
    #: Rows of one protected unit in a period, on average.
    rows_per_unit: int = Field(default=1, ge=1, le=1000)
    #: Column → value → how often, beside 1 for each value that is not named.
    weights: dict[Name, dict[str, Weight]] = {}
    #: Of the hours 0–23 and of the weekdays from Monday.
    hours: tuple[Weight, ...] = (1,) * 24
    weekdays: tuple[Weight, ...] = (1,) * 7
    joints: tuple[Joint, ...] = ()
    #: Of columns that the policy clips.
    spreads: dict[Name, Spread] = {}

    @model_validator(mode="after")
    def _complete(self) -> TwinShape:
        if len(self.hours) != 24 or len(self.weekdays) != 7 or not any(self.hours) or not all(self.weekdays):
            # A month that lacks every allowed weekday would have no day at all.
            raise ValueError("24 weights of hours, not all 0, and 7 of weekdays above 0")
        return self

    @property
    def columns(self) -> set[str]:
        """Every column that the shape speaks of."""
        return {
            *self.weights,
            *self.spreads,
            *(name for joint in self.joints for name in (joint.column, joint.of)),
        }
