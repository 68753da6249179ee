"""What a report's price says of each question: two that ask other things do not read alike."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from civic_kernel.reports.prices import words_of
from civic_kernel.texts import Language

DATASET = SimpleNamespace(
    title=SimpleNamespace(get=lambda language: {"ko": "기부", "en": "Gifts"}[language]),
    columns=[
        SimpleNamespace(name=name, label=SimpleNamespace(get=label.get))
        for name, label in {
            "month": {"ko": "월", "en": "Month"},
            "turn": {"ko": "몇 번째", "en": "Turn"},
            "home_gu": {"ko": "사는 구", "en": "Gu"},
        }.items()
    ],
)
MONTHS = {"column": "month", "op": "in", "values": ["2026-01", "2026-02"]}
TURN = {"column": "turn", "op": "eq", "value": "첫기부"}
GU = {"column": "home_gu", "op": "in", "values": ["마포구", "중구", "종로구", "노원구", "강남구"]}


@pytest.mark.parametrize(
    ("where", "language", "expected"),
    [
        (None, "en", "Gifts: donors by Gu"),
        (MONTHS, "en", "Gifts: donors by Gu · Month: 2026-01, 2026-02"),
        ({"and": [MONTHS, TURN]}, "ko", "기부: 사는 구별 donors · 월: 2026-01, 2026-02; 몇 번째: 첫 기부"),
        (GU, "en", "Gifts: donors by Gu · Gu: Mapo-gu, Jung-gu, Jongno-gu +2"),
        ({"and": [TURN, {"not": GU}]}, "en", "Gifts: donors by Gu · Turn: First gift; further conditions"),
    ],
)
def test_a_question_says_of_which_rows_it_asks(where: Any, language: Language, expected: str) -> None:
    plan = {"by": ["home_gu"], "measures": {"donors": {"fn": "persons"}}, "where": where}
    assert words_of(plan, DATASET, language) == expected
