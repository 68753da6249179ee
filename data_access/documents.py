"""What every signed document is made of: catalog entries, registers, policies and release records alike.

In the leftmost layer, since catalog and parties both need it and do not import each other.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class Closed(BaseModel):
    """Frozen, strict, and without room for words that nobody defined."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Labels(Closed):
    ko: str
    en: str
