"""A quick case of each attack: what is deployed holds, and the weak build beside it falls.

The same attacks at length: `make attacks`.
"""

from __future__ import annotations

import pytest

from benchmarks.attacks.__main__ import ATTACKS

pytestmark = pytest.mark.attack


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_fails_and_its_control_succeeds(name: str) -> None:
    attack, _, draws = ATTACKS[name]
    verdict = attack(draws)
    assert verdict.held, verdict
    assert verdict.control_reached, verdict
