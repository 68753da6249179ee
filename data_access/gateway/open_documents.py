"""What goes out of the open lane, as types: the private one's documents, with nothing where they speak of protection.

Unions in gateway/replies.py, told apart by `lane`: a reply that had half of each would fit neither.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from data_access.documents import Labels
from data_access.gateway.documents import (
    AnswerId,
    Moment,
    Nano,
    Offer,
    Period,
    PlanDocument,
    PlanId,
    PolicySigner,
    Reply,
    Sha256,
    Signed,
    TeamBudget,
)


class OpenColumn(Reply):
    """A column of an open dataset: any value may be named in a filter. The last two are absent from the month."""

    name: str
    type: Literal["period", "time", "key", "measure"]
    label: Labels
    values: None
    other: Literal[False]
    geography: str | None
    holds: Literal["text", "integer", "decimal", "moment", "day"] | None = None
    places: int | None = None


class RowsOffered(Reply):
    columns: list[str]
    most: int


class OpenDatasetDocument(Reply):
    """The same of a dataset with nobody in it: nothing to protect, and nothing to pay."""

    id: str
    title: Labels
    description: Labels
    lane: Literal["open"]
    synthetic: bool
    policy_hash: Sha256
    policy_version: int
    data_version: int | None
    unit: None
    row_bound: None
    minimum: None
    delta: None
    purposes: list[str]
    periods: Annotated[list[Period], Field(max_length=0)]
    time_column: str | None
    columns: list[OpenColumn]
    functions: list[str]
    measures: list[str]
    precisions: Annotated[dict[str, Nano], Field(max_length=0)]
    default_spend: Literal[0]
    max_spend: Literal[0]
    expires: str
    signers: list[PolicySigner]
    teams: Annotated[list[TeamBudget], Field(max_length=0)]
    rows: RowsOffered


class UnpricedMeasure(Reply):
    fn: Literal["count", "sum", "mean"]
    rho: Literal[0]
    sensitivity_squared: None
    scale: None
    margin: None


class FreeMeasure(UnpricedMeasure):
    expected: None


class FreePrice(Reply):
    """The price of a question to an open dataset; `cells` is null where only the data say how many there are."""

    plan: PlanDocument
    plan_id: PlanId
    rho: Literal[0]
    periods: Annotated[list[Period], Field(max_length=0)]
    cells: int | None
    cell: None
    cell_from: None
    measures: dict[str, FreeMeasure]
    team: str
    left: Annotated[dict[Period, Nano], Field(max_length=0)]
    share_of_left: None
    more_such: None
    stored: AnswerId | None
    joins: Annotated[dict[Period, AnswerId], Field(max_length=0)]
    to_pay: Annotated[list[Period], Field(max_length=0)]
    offers: Annotated[list[Offer], Field(max_length=0)]
    free: Literal[True]
    waits: None
    truncated_share: None


class NoMechanism(Reply):
    name: Literal["none"]
    measures: dict[str, UnpricedMeasure]


class Nothing(Reply):
    rho: Literal[0]


class OpenHeading(Reply):
    """`value` is a column of rows; `type` says what its values are, whatever JSON writes them as."""

    name: str
    role: Literal["key", "measure", "value"]
    measure: str | None
    type: Literal["text", "integer", "decimal", "moment", "day", "month"]


class OpenTable(Reply):
    """Decimals are text with all their places, whole numbers from 2^53 on text too; null is a missing value."""

    columns: list[OpenHeading]
    rows: list[list[str | int | None]]


class OpenStatement(Reply):
    """What is signed of an open dataset: rows, with how many match in all and where the next page begins; or cells."""

    kind: Literal["civic-answer"]
    dataset: str
    dataset_title: Labels
    data_version: int
    policy_hash: Sha256
    policy_version: int
    synthetic: bool
    lane: Literal["open"]
    unit: None
    row_bound: None
    minimum: None
    delta: None
    plan: PlanDocument
    plan_id: PlanId
    spend: Nothing
    team: str
    purpose: str
    reservation: str
    periods: Annotated[list[Period], Field(max_length=0)]
    mechanism: NoMechanism
    truncated_share: None
    issued_at: Moment
    table: OpenTable
    matching: int | None = None
    next: str | None = None


class OpenAnswer(Reply):
    answer_id: AnswerId
    signature: Signed
    statement: OpenStatement
    newer_data: bool
    newer_policy: bool
    charged: Literal[0]
