"""What every signed document is made of: catalog entries, registers, policies and release records alike.

Left of catalog and parties, which both need it and do not import each other.
"""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from data_access.canonical import document_hash


def _day(text: str) -> str:
    # strptime alone takes 2027-1-5, which as text comes after 2027-02-01: an expiry would be read too late.
    if datetime.strptime(text, "%Y-%m-%d").strftime("%Y-%m-%d") != text:
        raise ValueError("a day is written as 2026-09-01")
    return text


Day = Annotated[str, AfterValidator(_day)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Closed(BaseModel):
    """Frozen, strict, and without room for words that nobody defined."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Hashed(Closed):
    """What others name by the hash of its canonical JSON. An answer asks for it a dozen times."""

    def document(self) -> dict[str, Any]:
        """The JSON document that the hash, and a signature, is over."""
        return self.model_dump(mode="json")

    def hash(self) -> str:
        """Hex SHA-256 of the canonical JSON: what signatures, policies, answers and events name."""
        return self._hash

    @cached_property
    def _hash(self) -> str:
        return document_hash(self.document())

    def __copy__(self) -> Self:
        """`model_copy(update=…)` comes by here: what becomes another document must not keep this one's hash."""
        copied = super().__copy__()
        copied.__dict__.pop("_hash", None)
        return copied

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        copied = super().__deepcopy__(memo)
        copied.__dict__.pop("_hash", None)
        return copied


class Labels(Closed):
    ko: str
    en: str
