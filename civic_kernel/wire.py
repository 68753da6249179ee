"""The gateway's answers as types: parsed strictly, so that a wrong shape stops here and not in a figure.

A field that a newer gateway adds is passed over; a field that is missing or of another type is a BadAnswer.
All money is integer nano-ρ. `Statement` is read from the very object whose canonical bytes were hashed; the
raw body is kept beside it, since only that can be stored, published and checked again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from civic_kernel.errors import BadAnswer
from civic_kernel.texts import Language


class Wire(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


#: The lane of datasets with no person in them: rows pass, and figures are exact.
OPEN = "open"


class Labels(Wire):
    ko: str
    en: str

    def get(self, language: Language) -> str:
        return self.ko if language == "ko" else self.en


class CatalogRow(Wire):
    id: str
    title: Labels
    description: Labels
    #: None where no policy is in force: then nobody has said yet what it is.
    lane: str | None
    synthetic: bool | None
    open: bool
    closed_code: str | None = None


class Catalog(Wire):
    datasets: list[CatalogRow]


class Clip(Wire):
    low: int
    high: int
    unit: str


class ColumnDetail(Wire):
    """`clip`, `bins` (edges) and `bands` (the bins as values of a key) are a measure column's."""

    name: str
    type: Literal["key", "time", "measure", "period"]
    label: Labels
    values: list[str] | None = None
    other: bool = False
    geography: str | None = None
    clip: Clip | None = None
    bins: list[int] | None = None
    bands: list[str] | None = None
    #: Of an open dataset: what a value is (text, integer, decimal with `places`, day, moment).
    holds: str | None = None
    places: int | None = None


class RowsOffered(Wire):
    """Of an open dataset: the columns whose values may be had row by row, and the most rows of one page."""

    columns: list[str]
    most: int


class Unit(Wire):
    kind: Literal["person", "row"]
    period: str | None = None


class TeamLeft(Wire):
    team: str
    left: dict[str, int]
    cap: int


class Signer(Wire):
    """One signature of the policy; all but the key's id is None where the register no longer lists the key."""

    key_id: str
    side: str | None
    party: str | None
    title: Labels | None
    demo: bool | None


class DatasetDetail(Wire):
    id: str
    title: Labels
    description: Labels
    lane: str
    synthetic: bool
    policy_hash: str
    policy_version: int
    data_version: int | None
    #: None in the open lane, where nobody is protected; so are the next two.
    unit: Unit | None
    row_bound: int | None
    minimum: int | None
    purposes: list[str]
    periods: list[str]
    #: None where the rows are about places and not about moments.
    time_column: str | None
    columns: list[ColumnDetail]
    functions: list[str]
    measures: list[str]
    precisions: dict[str, int]
    default_spend: int
    max_spend: int
    signers: list[Signer] = Field(default_factory=list)
    teams: list[TeamLeft] = Field(default_factory=list)
    rows: RowsOffered | None = None

    @property
    def is_open(self) -> bool:
        return self.lane == OPEN


class Expected(Wire):
    """The half-width of a measure whose error depends on the cell, at the size `cell` of the price."""

    margin: str
    cell: int


class MeasurePrice(Wire):
    """`margin` is the half-width of the 95 % interval of one cell, in the measure's own unit; None where it differs
    from cell to cell (`mean`, `share`, `quantiles`). `scale` is None where a measure has two mechanisms (`mean`).
    """

    fn: str
    rho: int
    sensitivity_squared: int | None
    scale: str | None
    margin: int | None
    expected: Expected | None = None


class TruncatedShare(Wire):
    """How much of these periods the row bound leaves out, as parts of 1 with the ends of a 95 % interval."""

    share: str
    low: str
    high: str
    #: The signed documents that it is made from, as `/v1/lost-shares` has them.
    lost_shares: list[str] = []


class Offer(Wire):
    """What finer answers give for nothing, of these months: the half-width of each measure."""

    periods: list[str]
    answers: list[str]
    margins: dict[str, int]


class PriceBody(Wire):
    plan: dict[str, Any]
    plan_id: str
    rho: int
    periods: list[str]
    #: None in the open lane, where only the data say how many cells there are.
    cells: int | None
    measures: dict[str, MeasurePrice]
    team: str
    left: dict[str, int]
    share_of_left: str | None
    more_such: int | None
    stored: str | None
    free: bool
    #: Why it would wait for a person: `allowance` or `room`.
    waits: str | None = None
    truncated_share: TruncatedShare | None = None
    #: A twin's: no record of anybody is counted or left out.
    made_up: bool = False
    #: Months that are still to be paid for; None from a gateway that does not say.
    to_pay: list[str] | None = None
    #: Month → the answer that is there already.
    joins: dict[str, str] = {}
    offers: list[Offer] = []
    #: How large cells are taken to be, and who says so: `asker`, `catalog`, `answer:ans-…`.
    cell: int | None = None
    cell_from: str | None = None


class TableColumn(Wire):
    name: str
    role: Literal["key", "measure", "low", "high", "flag", "value"]
    measure: str | None = None
    #: Of an open answer: what the values are, whatever JSON writes them as.
    type: str | None = None
    #: First and last integer of a histogram's bin; the place of a quantile.
    bin: list[int] | None = None
    per_cent: int | None = None


class Table(Wire):
    columns: list[TableColumn]
    rows: list[list[str | int | bool | None]]

    @model_validator(mode="after")
    def _rectangular(self) -> Table:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("a row has another length than the head")
        return self


class Mechanism(Wire):
    name: str
    measures: dict[str, MeasurePrice]


class Source(Wire):
    """An answer that a joined or added-up answer took its numbers from."""

    answer_id: str


class Statement(Wire):
    """What the gateway signed; or, as `civic-twin`, the same of made-up rows, which nobody ever signs."""

    kind: Literal["civic-answer", "civic-twin"]
    dataset: str
    dataset_title: Labels
    data_version: int
    policy_hash: str
    policy_version: int
    synthetic: bool
    lane: str
    unit: Unit | None
    row_bound: int | None
    minimum: int | None
    plan: dict[str, Any]
    team: str
    purpose: str
    periods: list[str]
    mechanism: Mechanism
    #: None reads "not published".
    truncated_share: TruncatedShare | None
    issued_at: str
    table: Table
    joined: list[Source] = []
    rolled_up: list[Source] = []
    #: Of rows: how many there are in all, and what `after` says for the page that follows (None: there is none).
    matching: int | None = None
    next: str | None = None


class Signature(Wire):
    key_id: str
    ed25519: str


class AnswerBody(Wire):
    answer_id: str
    signature: Signature
    newer_data: bool
    newer_policy: bool
    charged: int
    statement: Statement


class AnswerLine(Wire):
    answer_id: str
    plan: dict[str, Any]
    rho: int
    team: str
    purpose: str
    issued_at: str


class AnswerList(Wire):
    answers: list[AnswerLine]


class HeldPrice(Wire):
    """nano-ρ of each of `periods`; None where the price is no longer one that could be paid."""

    rho: int
    periods: list[str]
    share_of_left: str | None
    more_such: int | None


class Held(Wire):
    """A question that waits for a person, or waited."""

    approval_id: str
    state: Literal["waiting", "approved", "refused", "expired", "used", "void"]
    cause: Literal["allowance", "room"]
    team: str
    asker: str
    dataset: str
    question: Labels
    price: HeldPrice
    asked_at: str
    expires_at: str
    decided_by: str | None
    answer_id: str | None
    mine: bool
    can_decide: bool


class HeldList(Wire):
    approvals: list[Held]


class Share(Wire):
    """What the asker has of an allowance: whether a seat's share is hers, and what she spent of it by month."""

    has_share: bool
    spent: dict[str, int]


class AllowanceLine(Wire):
    allowance_id: str
    team: str
    dataset: str
    seats: int
    rho: int
    from_: str | None = Field(alias="from")
    until: str | None
    set_by: str
    in_force: bool
    taken: int
    mine: Share


class AllowanceList(Wire):
    allowances: list[AllowanceLine]


class AllowanceMeaning(Wire):
    """What an allowance would mean, or means: nano-ρ of all seats, questions of each precision for one seat and
    month, months in which the team has less than that left.
    """

    dry_run: bool
    allowance: AllowanceLine | None
    seats: int
    rho: int
    all_seats: int
    share_of_left: str
    questions: dict[str, int]
    short: list[str]


Model = TypeVar("Model", bound=Wire)


def parse(model: type[Model], body: Any, language: Language) -> Model:
    """`body` as `model`. Raises BadAnswer; pydantic's own words would quote the body, so they are dropped."""
    try:
        return model.model_validate(body)
    except ValidationError:
        raise BadAnswer.say(language) from None


class RegisterKey(Wire):
    id: str
    public: str
    use: str


class Register(Wire):
    keys: list[RegisterKey]


class Parties(Wire):
    register_: Register = Field(alias="register")


def parse_answer(body: Any, gateway_keys: Mapping[str, str], language: Language) -> AnswerBody:
    """An answer whose id is the hash of its statement, and which one of `gateway_keys` signed. Or BadAnswer.

    `gateway_keys` maps key ids to base64 Ed25519 keys. They come from the register that the same gateway
    shows, so this finds bytes that changed on the way or in a file. Whether the register itself is the one
    that both sides signed is for those to check who do not trust the gateway: `civic_kernel.verify`.
    """
    import rfc8785
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    answer = parse(AnswerBody, body, language)
    if answer.statement.kind != "civic-answer":
        raise BadAnswer.say(language)
    try:
        signed = rfc8785.dumps(body["statement"])
        # The id's rule (prefix, base32, 26 characters) is part of the contract; see DESIGN.md section 4.
        digest = base64.b32encode(hashlib.sha256(signed).digest()).decode("ascii").lower()
        if answer.answer_id != f"ans-{digest[:26]}":
            raise ValueError("the id is not the statement's hash")
        public = base64.b64decode(gateway_keys[answer.signature.key_id], validate=True)
        signature = base64.b64decode(answer.signature.ed25519, validate=True)
        Ed25519PublicKey.from_public_bytes(public).verify(signature, signed)
    except (rfc8785.CanonicalizationError, KeyError, ValueError, InvalidSignature):
        raise BadAnswer.say(language) from None
    return answer


#: The media type of an answer whose table comes as an Arrow stream.
ARROW = "application/vnd.apache.arrow.stream"


def document_from_arrow(content: bytes) -> Any:
    """The JSON body that an Arrow stream stands for: its head with the rows put back. Raises ValueError.

    Nothing is believed: what comes out is judged by `parse_answer`, signature and all.
    """
    import pyarrow as pa

    try:
        with pa.ipc.open_stream(content) as reader:
            table = reader.read_all()
        body = json.loads((table.schema.metadata or {})[b"civic"])
        columns = []
        for field, column in zip(table.schema, table.columns, strict=True):
            values = column.to_pylist()
            if field.metadata and b"json" in field.metadata:
                values = [None if value is None else json.loads(value) for value in values]
            columns.append(values)
        body["statement"]["table"]["rows"] = [list(row) for row in zip(*columns, strict=True)]
    except (pa.ArrowException, KeyError, TypeError) as fault:
        raise ValueError("no answer as an Arrow stream") from fault
    return body
