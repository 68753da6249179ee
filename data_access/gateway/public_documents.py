"""What goes out to anybody, as types: ledger, chain, policies, register, releases. As documents.py, and as closed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from data_access.documents import Labels
from data_access.flows.releasing import ReleaseRecord
from data_access.flows.witnessing import WitnessStatement
from data_access.gateway.documents import (
    LostId,
    Moment,
    Nano,
    Period,
    PlanId,
    Protected,
    ReleaseId,
    Reply,
    Sha256,
    Signed,
    Spent,
)
from data_access.parties import Register
from data_access.parties.register import Side
from data_access.policy import AnyPolicy


class Head(Reply):
    """The last event's place and hash; (0, zeros) before the first."""

    seq: Nano
    hash: Sha256


class SignedHead(Head):
    gateway_key: str


class Charge(Reply):
    seq: int
    team: str
    cap: str
    nano: Nano
    plan_id: PlanId
    reservation: str
    at: Moment
    state: Literal["reserved", "answered", "closed"]


class LedgerPeriod(Reply):
    lineage: str
    period: Period
    budget: Nano
    policy_hash: Sha256
    charges: list[Charge]


class Ledger(Reply):
    periods: list[LedgerPeriod]
    head: Head


class LostMeasure(Reply):
    rho: Nano
    sensitivity_squared: int
    scale: str
    margin: int


class LostMechanism(Reply):
    name: Literal["discrete-gaussian"]
    measures: dict[str, LostMeasure]


class LostStatement(Reply):
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


class LostShare(Reply):
    id: LostId
    signature: Signed
    statement: LostStatement


class EventBody(Reply):
    seq: int
    at: Moment
    kind: str
    facts: dict[str, Any]
    previous: Sha256


class Event(Reply):
    event: EventBody
    hash: Sha256
    ed25519: str


class Events(Reply):
    events: list[Event]


class WitnessLine(Reply):
    statement: WitnessStatement
    key_id: str
    ed25519: str
    party: str
    side: Side
    stored_at: Moment


class WitnessSide(Reply):
    side: Side
    since: str | None
    last: str | None
    missed: list[str]


class Witnesses(Reply):
    witnesses: list[WitnessLine]
    sides: list[WitnessSide]


class Witnessed(Reply):
    seq: int
    hash: Sha256
    key_id: str


class PolicyLine(Reply):
    policy: AnyPolicy
    hash: Sha256
    signatures: list[Signed]
    activated_at: Moment
    in_force: bool


class AcceptedRegister(Reply):
    register_: Register = Field(alias="register")
    hash: Sha256
    signatures: list[Signed]
    accepted_at: Moment


class Parties(AcceptedRegister):
    earlier: list[AcceptedRegister]


class Approval(Reply):
    side: Side
    party: str
    key_id: str
    ed25519: str
    approved_at: Moment


class Release(Reply):
    release_id: ReleaseId
    state: Literal["waiting", "approved"]
    record: ReleaseRecord
    approvals: list[Approval]
