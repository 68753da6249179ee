"""The policy document: YAML in a closed schema, canonical JSON under the signatures.

Amounts of ρ and δ are decimal strings, since a signature over a float is a signature over a guess.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from data_access.canonical import document_hash
from data_access.documents import Closed, Day, Hashed, Labels, Name
from data_access.errors import PolicyMalformed
from data_access.privacy.budget import Rho
from data_access.privacy.conversion import epsilon

#: Who pays for what a load publishes out of `load_rho`. No group's name can hold a bracket, so no team is it.
LOADS = "(load)"
_MONTH = re.compile(r"(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])")


def _decimal(text: str) -> str:
    Rho.parse(text)
    return text


def _month(text: str) -> str:
    if not _MONTH.fullmatch(text):
        raise ValueError("a period is a month, as 2026-09")
    return text


Amount = Annotated[str, AfterValidator(_decimal)]
Month = Annotated[str, AfterValidator(_month)]


class Lane(StrEnum):
    OPEN = "open"
    PRIVATE = "private"


class UnitKind(StrEnum):
    #: One person in one period.
    PERSON = "person"
    #: One row: the source names no person. Every figure then says *per recorded …*, never *per person*.
    ROW = "row"


class Unit(Closed):
    """What one protected thing is. Never guessed; fixed for a lineage by its first policy."""

    kind: UnitKind
    column: Name | None = None
    period: Literal["month"]

    @model_validator(mode="after")
    def _column_only_for_persons(self) -> Unit:
        if (self.column is not None) != (self.kind is UnitKind.PERSON):
            raise ValueError("a person unit names its column, a row unit none")
        return self


class KeyDomain(Closed):
    """The public list of values by which one column may be grouped and filtered."""

    values: tuple[str, ...] = Field(min_length=1)
    #: Rows outside the list form the key `other`. Written out so that stewards see it, and never false: one such
    #: row would then be dropped in silence, or break every question and so tell that it is there.
    other: Literal[True] = True
    geography: Literal["gu", "dong"] | None = None

    @model_validator(mode="after")
    def _distinct(self) -> KeyDomain:
        if len(set(self.values)) != len(self.values) or "other" in self.values:
            raise ValueError("key values are distinct, and `other` is reserved")
        return self


class Clip(Closed):
    """Bounds in `unit`; values outside count as the bound. `bins` are the edges, from `low` to `high`, over which
    histograms, quantiles and bands are asked.
    """

    low: int
    high: int
    unit: str
    bins: tuple[int, ...] = Field((), max_length=101)

    @model_validator(mode="after")
    def _ordered(self) -> Clip:
        if self.low >= self.high:
            raise ValueError("a clip's low lies under its high")
        if self.bins:
            if (self.bins[0], self.bins[-1]) != (self.low, self.high):
                raise ValueError("bins begin at the clip's low and end at its high")
            if any(low >= high for low, high in pairwise(self.bins)):
                raise ValueError("edges of bins go up")
        return self

    @model_serializer(mode="wrap")
    def _without_empty_bins(self, default: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Bins that are not declared are not written: policies signed before there were any keep their hash."""
        document: dict[str, Any] = default(self)
        if not self.bins:
            del document["bins"]
        return document


class Cap(Closed):
    """What the named teams together may spend of one period. `others` covers every team not named."""

    name: Name
    teams: tuple[str, ...] | Literal["others"]
    rho: Amount


class Signer(Closed):
    side: Literal["city", "cso"]
    party: str


#: Words that say who may ask, how much and until when. All others say what a number means.
_ADMINISTRATION = {
    *("version", "title", "purposes", "signers", "first_period", "last_period", "retention", "expires"),
    *("budget", "load_rho", "caps", "held_back", "default_spend", "max_spend", "precisions", "size_class"),
}


class SignedPolicy(Hashed):
    """What both lanes' policies say: of which dataset, for what, by whom, until when."""

    kind: Literal["civic-policy"]
    dataset: Name
    lineage: str = Field(pattern=r"^[a-z0-9-]{3,60}$")
    version: int = Field(ge=1)
    synthetic: bool
    catalog: str = Field(pattern=r"^[0-9a-f]{64}$")
    title: Labels
    purposes: tuple[Name, ...] = Field(min_length=1)
    signers: tuple[Signer, ...] = Field(min_length=2)
    retention: Day
    expires: Day

    @model_validator(mode="after")
    def _both_sides_sign(self) -> Self:
        if {s.side for s in self.signers} != {"city", "cso"}:
            raise ValueError("a policy asks for at least one city and one CSO signature")
        return self

    def is_expired(self, now: datetime) -> bool:
        """Expiry is the end of the named day, UTC, so that both sides read one moment."""
        return now.astimezone(UTC).strftime("%Y-%m-%d") > self.expires


class OpenPolicy(SignedPolicy):
    """Nobody stands in the dataset: its rows pass. There is nothing to protect, and so no unit and no budget.

    Every column of the signed catalog entry is open; `geography` says which of them name places.
    """

    lane: Literal[Lane.OPEN]
    geography: dict[Name, Literal["gu", "dong"]] = {}

    def promise(self) -> None:
        """None: there is nobody to make it to."""


class Policy(SignedPolicy):
    """The private lane's: what a protected unit is, and what may be spent on it."""

    lane: Literal[Lane.PRIVATE]
    unit: Unit
    row_bound: int = Field(ge=1, le=10_000)
    first_period: Month
    last_period: Month
    keys: dict[Name, KeyDomain]
    clips: dict[Name, Clip] = {}
    minimum: int = Field(ge=0)
    delta: str = Field(pattern=r"^1e-[1-9][0-9]?$")
    budget: Amount
    load_rho: Amount
    caps: tuple[Cap, ...] = Field(min_length=1)
    held_back: Amount = "0"
    default_spend: Amount
    max_spend: Amount
    precisions: dict[Literal["rough", "normal", "fine"], Amount]
    size_class: Literal["small", "medium", "large"]

    @model_validator(mode="after")
    def _consistent(self) -> Policy:
        if self.unit.kind is UnitKind.ROW and self.row_bound != 1:
            raise ValueError("a row unit has the row bound 1")
        # What one unit can move, squared, and the sum of nine hundred million rows stay below 2^53, which is where
        # canonical JSON ends: a figure that cannot be signed would show itself only after it was charged.
        if any(
            self.row_bound * max(abs(clip.low), abs(clip.high), clip.high - clip.low) > 10**7
            for clip in self.clips.values()
        ):
            raise ValueError("row_bound times a clip's ends or width is at most ten million")
        if self.first_period > self.last_period:
            raise ValueError("first_period comes after last_period")
        named = [team for cap in self.caps if cap.teams != "others" for team in cap.teams]
        if len(named) != len(set(named)) or sum(cap.teams == "others" for cap in self.caps) > 1:
            raise ValueError("a team stands under one cap")
        spent = sum(Rho.parse(cap.rho).nano for cap in self.caps)
        if (
            spent + Rho.parse(self.load_rho).nano + Rho.parse(self.held_back).nano
            > Rho.parse(self.budget).nano
        ):
            raise ValueError("caps, load_rho and held_back exceed the budget")
        if Rho.parse(self.default_spend) > Rho.parse(self.max_spend):
            raise ValueError("default_spend exceeds max_spend")
        return self

    def meaning(self) -> str:
        """The same for policies under which equal questions have equal answers: their answers may be joined.

        A word that is added to policies later belongs to the meaning until it is listed above.
        """
        return document_hash({k: v for k, v in self.document().items() if k not in _ADMINISTRATION})

    def periods(self) -> tuple[str, ...]:
        """Every month from first to last."""
        year, month = map(int, self.first_period.split("-"))
        found: list[str] = []
        while (period := f"{year:04d}-{month:02d}") <= self.last_period:
            found.append(period)
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        return tuple(found)

    def promise(self) -> dict[str, str]:
        """What the budget protects by, as other systems say it: ε at `delta` of a month, and of twelve together."""
        month = Rho.parse(self.budget)
        year = Rho(12 * month.nano)
        return {
            "rho": str(month),
            "delta": self.delta,
            "epsilon_month": str(epsilon(month, self.delta)),
            "epsilon_year": str(epsilon(year, self.delta)),
        }

    def cap_of(self, team: str) -> Cap | None:
        """The cap that `team` draws on, or None if the policy gives it nothing."""
        if team == LOADS:
            return None
        for cap in self.caps:
            if cap.teams != "others" and team in cap.teams:
                return cap
        return next((cap for cap in self.caps if cap.teams == "others"), None)


AnyPolicy = Policy | OpenPolicy


def read_document(document: Any) -> AnyPolicy:
    """The policy of its own lane. Raises ValueError (pydantic's) for what is neither."""
    lane = OpenPolicy if isinstance(document, dict) and document.get("lane") == Lane.OPEN.value else Policy
    return lane.model_validate(document, strict=False)


class _OneOfEach(yaml.SafeLoader):
    """YAML takes the last of two equal keys in silence; a steward may have read the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        words = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(words)) != len(words):
            raise yaml.constructor.ConstructorError(None, None, "a word stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def parse_policy(source: str, name: str) -> AnyPolicy:
    """Raises PolicyMalformed with the place of the first fault, never with a value."""
    try:
        return read_document(yaml.load(source, Loader=_OneOfEach))
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(map(str, first["loc"])) or str(first["msg"])
        raise PolicyMalformed(dataset=name, where=where) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        # ValueError: YAML reads 2026-13-45 as a day and fails on it.
        raise PolicyMalformed(dataset=name, where="YAML") from None
