"""What every signed document is made of: catalog entries, registers, policies and release records alike.

In the leftmost layer, since catalog and parties both need it and do not import each other.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


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


class Labels(Closed):
    ko: str
    en: str
