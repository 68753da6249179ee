"""Bins are part of what is signed, and a policy that declares none is signed in the words it always had."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from data_access.canonical import canonical_bytes
from data_access.catalog.entry import parse_entry
from data_access.policy import Policy
from tests.factories import CATALOG, make_policy

ENTRY = parse_entry(CATALOG["rides"], "rides.yaml")


def policy(**clip: Any) -> Policy:
    return make_policy(ENTRY, clips={"minutes": {"low": 0, "high": 60, "unit": "minute"} | clip})


def test_bins_are_signed_and_none_leave_no_word() -> None:
    plain, binned = policy(), policy(bins=[0, 10, 60])
    assert plain.document()["clips"] == {"minutes": {"low": 0, "high": 60, "unit": "minute"}}
    assert binned.document()["clips"]["minutes"]["bins"] == [0, 10, 60]
    assert plain.hash() != binned.hash()
    assert Policy.model_validate(binned.document(), strict=False) == binned


@pytest.mark.parametrize(
    "clip",
    [
        {"bins": [0, 10]},
        {"bins": [5, 60]},
        {"bins": [0, 10, 10, 60]},
        {"bins": [0, 20, 10, 60]},
        {"bins": [0, 0.5, 60]},
        {"bins": [0, *range(1, 101), 60]},
        {"low": 60},
        # The row bound is 2: what one unit can move has a limit.
        {"high": 5 * 10**6 + 1},
        {"low": -3 * 10**6, "high": 2 * 10**6 + 1},
    ],
    ids=str,
)
def test_bins_that_do_not_cover_the_clip_once_are_refused(clip: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy(**clip)


def test_the_widest_clip_can_still_be_signed_for() -> None:
    """Δ² and the sum of many rows are integers of canonical JSON, which ends at 2^53."""
    widest = policy(high=5 * 10**6).row_bound * 5 * 10**6
    canonical_bytes({"sensitivity_squared": widest**2, "sum": 900_000_000 * widest})
