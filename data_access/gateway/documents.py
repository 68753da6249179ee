"""What goes out, as types: the schemas of docs/openapi.json come from here, and a reply that departs from them fails
the fuzzing (tests/fuzz).

Closed, so that a field which nobody documented cannot leave unnoticed. Nothing is validated at run time: a reply
that does not fit would become a 500 for the asker, and a table of 100,000 cells would be walked twice.

A field with a default may be absent; one that says `| None` alone is there, and may be null.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from data_access.documents import Labels
from data_access.flows.releasing import ReleaseRecord
from data_access.flows.witnessing import WitnessStatement
from data_access.parties import Register
from data_access.parties.register import Side
from data_access.policy import Clip, Policy

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


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Signed(_Reply):
    """A detached Ed25519 signature over canonical JSON (RFC 8785)."""

    key_id: str
    ed25519: str


class Me(_Reply):
    name: str
    public_name: str
    teams: list[str]


class CatalogLine(_Reply):
    id: str
    title: Labels
    description: Labels
    lane: Literal["open", "private"] | None
    synthetic: bool | None
    open: bool
    closed_code: str | None


class Catalog(_Reply):
    datasets: list[CatalogLine]


class Protected(_Reply):
    """What is protected: one person's, or one row's, part in one period."""

    kind: Literal["person", "row"]
    period: Literal["month"]


class Bounds(_Reply):
    low: int
    high: int
    unit: str


class Column(_Reply):
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


class PolicySigner(_Reply):
    key_id: str
    side: Side | None
    party: str | None
    title: Labels | None
    demo: bool | None


class TeamBudget(_Reply):
    team: str
    cap: Nano
    left: dict[Period, Nano]


class DatasetDocument(_Reply):
    """What may be asked of a dataset, at what price, and what the asker's teams have left."""

    id: str
    title: Labels
    description: Labels
    lane: Literal["open", "private"]
    synthetic: bool
    policy_hash: Sha256
    policy_version: int
    data_version: int | None
    unit: Protected
    row_bound: int
    minimum: int
    delta: str
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


class Twin(_Reply):
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


class MechanismPart(_Reply):
    part: str
    rho: Nano
    sensitivity_squared: int
    scale: str


class MeasureDocument(_Reply):
    """How one measure is protected. A mean has two mechanisms, which then stand under `parts`."""

    fn: str
    rho: Nano
    sensitivity_squared: int | None
    scale: str | None
    margin: int | None
    interval: Literal["fieller", "woodruff"] | None = None
    parts: list[MechanismPart] | None = None


class Expected(_Reply):
    margin: str
    cell: int
    named_by: str


class PricedMeasure(MeasureDocument):
    expected: Expected | None


class Offer(_Reply):
    periods: list[Period]
    answers: list[AnswerId]
    margins: dict[str, int]


class Truncated(_Reply):
    """What no question counts, as a part of 1 with its 95 % interval, and the published shares it is made from."""

    share: str
    low: str
    high: str
    lost_shares: list[LostId]


class Price(_Reply):
    plan: PlanDocument
    plan_id: PlanId
    rho: Nano
    periods: list[Period]
    cells: int
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


class Spent(_Reply):
    rho: Nano


class Mechanism(_Reply):
    name: Literal["discrete-gaussian", "sum-of-discrete-gaussians"]
    measures: dict[str, MeasureDocument]


class Heading(_Reply):
    name: str
    role: Literal["key", "measure", "low", "high", "flag"]
    measure: str | None
    bin: list[int] | None = None
    per_cent: int | None = None


class Table(_Reply):
    """Means, shares and quantiles are decimal text; a withheld cell is null and flagged."""

    columns: list[Heading]
    rows: list[list[str | int | bool | None]]


class Source(_Reply):
    period: Period
    answer_id: AnswerId
    rho: Nano
    data_version: int
    policy_hash: Sha256
    #: How many of its cells were added up to one; only where some were.
    cells: int | None = None


class Statement(_Reply):
    """What is signed."""

    kind: Literal["civic-answer"]
    dataset: str
    dataset_title: Labels
    data_version: int
    policy_hash: Sha256
    policy_version: int
    synthetic: bool
    lane: Literal["open", "private"]
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


class Answer(_Reply):
    answer_id: AnswerId
    signature: Signed
    statement: Statement
    newer_data: bool
    newer_policy: bool
    charged: Nano


class AnswerLine(_Reply):
    answer_id: AnswerId
    rho: Nano
    dataset: str
    plan: PlanDocument
    team: str
    purpose: str
    issued_at: Moment
    synthetic: bool


class AskedMeasure(_Reply):
    fn: str
    margin: int | None


class WaitingPrice(_Reply):
    """The last two as of now; null where the question is over."""

    rho: Nano
    periods: list[Period]
    measures: dict[str, AskedMeasure]
    share_of_left: str | None
    more_such: Nano | None


class Waiting(_Reply):
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


class MyShare(_Reply):
    has_share: bool
    spent: dict[Period, Nano]


class AllowanceLine(_Reply):
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


class AllowanceSet(_Reply):
    """What it means; with `dry_run` nothing was set."""

    dry_run: bool
    allowance: AllowanceLine | None
    seats: int
    rho: Nano
    all_seats: Nano
    share_of_left: str
    questions: dict[str, Nano]
    short: list[Period]


class Head(_Reply):
    """The last event's place and hash; (0, zeros) before the first."""

    seq: Nano
    hash: Sha256


class SignedHead(Head):
    gateway_key: str


class Charge(_Reply):
    seq: int
    team: str
    cap: str
    nano: Nano
    plan_id: PlanId
    reservation: str
    at: Moment
    state: Literal["reserved", "answered", "closed"]


class LedgerPeriod(_Reply):
    lineage: str
    period: Period
    budget: Nano
    policy_hash: Sha256
    charges: list[Charge]


class Ledger(_Reply):
    periods: list[LedgerPeriod]
    head: Head


class LostMeasure(_Reply):
    rho: Nano
    sensitivity_squared: int
    scale: str
    margin: int


class LostMechanism(_Reply):
    name: Literal["discrete-gaussian"]
    measures: dict[str, LostMeasure]


class LostStatement(_Reply):
    """How much of one period the row bound leaves out: four noisy numbers, each with its interval."""

    kind: Literal["civic-lost-share"]
    dataset: str
    dataset_title: Labels
    lineage: str
    period: Period
    row_bound: int
    unit: Protected
    synthetic: bool
    data_version: int
    policy_hash: Sha256
    policy_version: int
    delta: str
    plan_id: PlanId
    spend: Spent
    reservation: str
    mechanism: LostMechanism
    numbers: dict[str, list[int]]
    share: dict[str, str]
    issued_at: Moment


class LostShare(_Reply):
    id: LostId
    signature: Signed
    statement: LostStatement


class EventBody(_Reply):
    seq: int
    at: Moment
    kind: str
    facts: dict[str, Any]
    previous: Sha256


class Event(_Reply):
    event: EventBody
    hash: Sha256
    ed25519: str


class Events(_Reply):
    events: list[Event]


class WitnessLine(_Reply):
    statement: WitnessStatement
    key_id: str
    ed25519: str
    party: str
    side: Side
    stored_at: Moment


class WitnessSide(_Reply):
    side: Side
    since: str | None
    last: str | None
    missed: list[str]


class Witnesses(_Reply):
    witnesses: list[WitnessLine]
    sides: list[WitnessSide]


class Witnessed(_Reply):
    seq: int
    hash: Sha256
    key_id: str


class PolicyLine(_Reply):
    policy: Policy
    hash: Sha256
    signatures: list[Signed]
    activated_at: Moment
    in_force: bool


class AcceptedRegister(_Reply):
    register_: Register = Field(alias="register")
    hash: Sha256
    signatures: list[Signed]
    accepted_at: Moment


class Parties(AcceptedRegister):
    earlier: list[AcceptedRegister]


class Approval(_Reply):
    side: Side
    party: str
    key_id: str
    ed25519: str
    approved_at: Moment


class Release(_Reply):
    release_id: ReleaseId
    state: Literal["waiting", "approved"]
    record: ReleaseRecord
    approvals: list[Approval]


#: (method, path, status) -> what that success has as its body. What is missing here fails the build of the document.
REPLIES: dict[tuple[str, str, str], Any] = {
    ("get", "/v1/me", "200"): Me,
    ("get", "/v1/catalog", "200"): Catalog,
    ("get", "/v1/datasets/{dataset}", "200"): DatasetDocument,
    ("get", "/v1/datasets/{dataset}/twin", "200"): Twin,
    ("post", "/v1/price", "200"): Price,
    ("post", "/v1/answers", "200"): Answer,
    ("post", "/v1/answers", "202"): Waiting,
    ("get", "/v1/approvals", "200"): list[Waiting],
    ("get", "/v1/approvals/{approval}", "200"): Waiting,
    ("post", "/v1/approvals/{approval}", "200"): Waiting,
    ("get", "/v1/allowances", "200"): list[AllowanceLine],
    ("post", "/v1/allowances", "200"): AllowanceSet,
    ("get", "/v1/answers", "200"): list[AnswerLine],
    ("get", "/v1/answers/{answer_id}", "200"): Answer,
    ("post", "/v1/releases", "200"): Release,
    ("post", "/v1/releases/{release}/approvals", "200"): Release,
    ("get", "/v1/releases", "200"): list[Release],
    ("get", "/v1/releases/{release}", "200"): Release,
    ("get", "/v1/ledger", "200"): Ledger,
    ("get", "/v1/lost-shares", "200"): list[LostShare],
    ("get", "/v1/audit/head", "200"): SignedHead,
    ("get", "/v1/audit/events", "200"): Events,
    ("get", "/v1/audit/witnesses", "200"): Witnesses,
    ("post", "/v1/audit/witnesses", "200"): Witnessed,
    ("get", "/v1/policies", "200"): list[PolicyLine],
    ("get", "/v1/parties", "200"): Parties,
}


def reply_schemas() -> tuple[dict[tuple[str, str, str], Any], dict[str, Any]]:
    """The schema of each reply, and the schemas that these refer to under `#/components/schemas/`."""
    # `validation`: what a signed document may be, not what pydantic would write for it.
    found, shared = TypeAdapter.json_schemas(
        [(route, "validation", TypeAdapter(reply)) for route, reply in REPLIES.items()],
        ref_template="#/components/schemas/{model}",
    )
    return {route: schema for (route, _), schema in found.items()}, shared.get("$defs", {})
