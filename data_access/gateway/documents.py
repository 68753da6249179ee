"""What goes out, as types: the schemas of docs/openapi.json come from here, and a reply that departs from them fails
the fuzzing (tests/fuzz).

Closed, so that a field which nobody documented cannot leave unnoticed. Nothing is validated at run time: a reply
that does not fit would become a 500 for the asker, and a table of 100,000 cells would be walked twice.

A field with a default may be absent; one that says `| None` alone is there, and may be null.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_access.documents import Labels
from data_access.parties.register import Side
from data_access.policy import Clip

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Period = Annotated[str, Field(pattern=r"^\d{4}-\d\d$")]
#: Never negative: what is left is shown as 0 where a policy has lowered a cap below what was spent.
Nano = Annotated[int, Field(ge=0)]
AnswerId = Annotated[str, Field(pattern=r"^ans-[a-z2-7]{26}$")]
PlanId = Annotated[str, Field(pattern=r"^pln-[a-z2-7]{26}$")]
ApprovalId = Annotated[str, Field(pattern=r"^apr-[a-z2-7]{26}$")]
Cause = Literal["allowance", "room"]
LostId = Annotated[str, Field(pattern=r"^lost-[a-z2-7]{26}$")]
ReleaseId = Annotated[str, Field(pattern=r"^rel-[a-z2-7]{26}$")]
#: The plan in its canonical form.
PlanDocument = dict[str, Any]


class Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Signed(Reply):
    """A detached Ed25519 signature over canonical JSON (RFC 8785)."""

    key_id: str
    ed25519: str


class Me(Reply):
    name: str
    public_name: str
    teams: list[str]


class CatalogLine(Reply):
    id: str
    title: Labels
    description: Labels
    lane: Literal["open", "private"] | None
    synthetic: bool | None
    open: bool
    closed_code: str | None


class Catalog(Reply):
    datasets: list[CatalogLine]


class Protected(Reply):
    """What is protected: one person's, or one row's, part in one period."""

    kind: Literal["person", "row"]
    period: Literal["month"]


class Bounds(Reply):
    low: int
    high: int
    unit: str


class Column(Reply):
    """What a question may name; the last three stand beside measures alone."""

    name: str
    type: Literal["period", "time", "key", "measure"]
    label: Labels
    values: list[str] | None
    other: bool
    geography: str | None
    clip: Bounds | None = None
    bins: list[int] | None = None
    bands: list[str] | None = None


class PolicySigner(Reply):
    key_id: str
    side: Side | None
    party: str | None
    title: Labels | None
    demo: bool | None


class TeamBudget(Reply):
    team: str
    cap: Nano
    left: dict[Period, Nano]


class Promise(Reply):
    """What the budget protects by: ρ of a month, and ε at `delta` of a month and of twelve together, as text."""

    rho: str
    delta: str
    epsilon_month: str
    epsilon_year: str


class DatasetDocument(Reply):
    """What may be asked of a dataset, at what price, and what the asker's teams have left."""

    id: str
    title: Labels
    description: Labels
    lane: Literal["private"]
    synthetic: bool
    policy_hash: Sha256
    policy_version: int
    data_version: int | None
    unit: Protected
    row_bound: int
    minimum: int
    delta: str
    promise: Promise
    purposes: list[str]
    periods: list[Period]
    time_column: str
    columns: list[Column]
    functions: list[str]
    measures: list[str]
    precisions: dict[str, Nano]
    default_spend: Nano
    max_spend: Nano
    expires: str
    signers: list[PolicySigner]
    teams: list[TeamBudget]


class Twin(Reply):
    kind: Literal["civic-twin"]
    made_up: Literal[True]
    notice: Labels
    dataset: str
    policy_hash: Sha256
    seed: int
    after: int
    columns: list[str]
    rows: list[list[str | int]]
    clips: dict[str, Clip]


class MechanismPart(Reply):
    part: str
    rho: Nano
    sensitivity_squared: int
    scale: str


class MeasureDocument(Reply):
    """How one measure is protected. A mean has two mechanisms, which then stand under `parts`."""

    fn: str
    rho: Nano
    sensitivity_squared: int | None
    scale: str | None
    margin: int | None
    interval: Literal["fieller", "woodruff"] | None = None
    parts: list[MechanismPart] | None = None


class Expected(Reply):
    margin: str
    cell: int


class PricedMeasure(MeasureDocument):
    expected: Expected | None


class Offer(Reply):
    periods: list[Period]
    answers: list[AnswerId]
    margins: dict[str, int]


class Truncated(Reply):
    """What no question counts, as a part of 1 with its 95 % interval, and the published shares it is made from."""

    share: str
    low: str
    high: str
    lost_shares: list[LostId]


class Price(Reply):
    plan: PlanDocument
    plan_id: PlanId
    rho: Nano
    periods: list[Period]
    cells: int
    #: The size of cell that `expected` is told for, and who says that cells are so large.
    cell: int | None
    cell_from: str | None
    measures: dict[str, PricedMeasure]
    team: str
    left: dict[Period, Nano]
    share_of_left: str
    more_such: Nano
    stored: AnswerId | None
    joins: dict[Period, AnswerId]
    to_pay: list[Period]
    offers: list[Offer]
    free: bool
    #: Asked now, it would wait for a person: why.
    waits: Cause | None
    truncated_share: Truncated | None


class Spent(Reply):
    rho: Nano


class Mechanism(Reply):
    name: Literal["discrete-gaussian", "sum-of-discrete-gaussians"]
    measures: dict[str, MeasureDocument]


class Heading(Reply):
    name: str
    role: Literal["key", "measure", "low", "high", "flag"]
    measure: str | None
    bin: list[int] | None = None
    per_cent: int | None = None


class Table(Reply):
    """Means, shares and quantiles are decimal text; a withheld cell is null and flagged."""

    columns: list[Heading]
    rows: list[list[str | int | bool | None]]


class Source(Reply):
    period: Period
    answer_id: AnswerId
    rho: Nano
    data_version: int
    policy_hash: Sha256
    #: How many of its cells were added up to one; only where some were.
    cells: int | None = None


class Statement(Reply):
    """What is signed."""

    kind: Literal["civic-answer"]
    dataset: str
    dataset_title: Labels
    data_version: int
    policy_hash: Sha256
    policy_version: int
    synthetic: bool
    lane: Literal["private"]
    unit: Protected
    row_bound: int
    minimum: int
    delta: str
    plan: PlanDocument
    plan_id: PlanId
    spend: Spent
    team: str
    purpose: str
    reservation: str
    periods: list[Period]
    mechanism: Mechanism
    joined: list[Source] | None = None
    rolled_up: list[Source] | None = None
    truncated_share: Truncated | None
    issued_at: Moment
    table: Table


class Answer(Reply):
    answer_id: AnswerId
    signature: Signed
    statement: Statement
    newer_data: bool
    newer_policy: bool
    charged: Nano


class AnswerLine(Reply):
    answer_id: AnswerId
    rho: Nano
    dataset: str
    plan: PlanDocument
    team: str
    purpose: str
    issued_at: Moment
    synthetic: bool


class AskedMeasure(Reply):
    fn: str
    margin: int | None


class WaitingPrice(Reply):
    """The last two as of now; null where the question is over."""

    rho: Nano
    periods: list[Period]
    measures: dict[str, AskedMeasure]
    share_of_left: str | None
    more_such: Nano | None


class Waiting(Reply):
    """A question that waits for a person, and what became of it."""

    approval_id: ApprovalId
    state: Literal["waiting", "approved", "refused", "expired", "used", "void"]
    cause: Cause
    team: str
    asker: str
    dataset: str
    dataset_title: Labels
    purpose: str
    fresh: bool
    question: Labels
    plan: PlanDocument
    price: WaitingPrice
    asked_at: Moment
    expires_at: Moment
    decided_by: str | None
    decided_at: Moment | None
    answer_id: AnswerId | None
    mine: bool
    can_decide: bool


class MyShare(Reply):
    has_share: bool
    spent: dict[Period, Nano]


class AllowanceLine(Reply):
    """`rho` is nano-ρ of each seat in each period."""

    allowance_id: str
    team: str
    dataset: str
    seats: int
    rho: Nano
    from_: Moment | None = Field(alias="from")
    until: Moment | None
    set_by: str
    set_at: Moment
    in_force: bool
    taken: int
    mine: MyShare


class AllowanceSet(Reply):
    """What it means; with `dry_run` nothing was set."""

    dry_run: bool
    allowance: AllowanceLine | None
    seats: int
    rho: Nano
    all_seats: Nano
    share_of_left: str
    questions: dict[str, Nano]
    short: list[Period]
