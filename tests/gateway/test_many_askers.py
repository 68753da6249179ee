"""Benchmark `gateway`, small: askers at once over HTTP, all answered, nothing charged past the budget."""

from __future__ import annotations

import pytest

from benchmarks import gateway as benchmark


def test_askers_at_once_are_all_answered_or_refused_for_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "ASKERS", 12)
    monkeypatch.setattr(benchmark, "LEFT", 5)
    # It raises where an answer or a charge is missing, or one is too many.
    figures = {figure.figure: figure.value for figure in benchmark.gateway(2_000, 1)}
    assert figures["new answer (leaves on a beat of 0.25 s): p50"] >= 250
    assert figures["free re-ask: throughput"] > 0


def test_a_charge_too_many_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    race = {
        "requests": [{"status": 200, "code": None}] * 51 + [{"status": 409, "code": "budget_exhausted"}] * 149
    }
    with pytest.raises(RuntimeError, match="budget for 50"):
        benchmark._check_race(race)
    failed = {"requests": [{"status": 503, "code": "ledger_unavailable", "charged": None}]}
    with pytest.raises(RuntimeError, match="ledger_unavailable"):
        benchmark._check_all(failed, {(200, 0)})
