"""Every place that refuses gives the facts that its sentences ask for, in both languages."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_access import errors
from data_access.errors import CivicError
from data_access.texts import LANGUAGES, _catalog

ROOT = Path(__file__).resolve().parents[2] / "data_access"


def _calls() -> Iterator[tuple[str, type[CivicError], frozenset[str]]]:
    """(where, class, names of the facts) of each `SomeError(...)` in the vault side's code."""
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            found = getattr(errors, node.func.id, None)
            if isinstance(found, type) and issubclass(found, CivicError):
                words = frozenset(keyword.arg for keyword in node.keywords if keyword.arg)
                yield f"{path.relative_to(ROOT)}:{node.lineno}", found, words


@pytest.mark.parametrize(
    # Named by place and class alone: a set is written in another order in each of two processes.
    ("where", "error", "given"),
    [pytest.param(*call, id=f"{call[0]}-{call[1].code}") for call in _calls()],
)
def test_a_refusal_has_the_facts_of_its_sentences(
    where: str, error: type[CivicError], given: frozenset[str]
) -> None:
    for language in LANGUAGES:
        for part in ("message", "remedy"):
            sentence = _catalog(language, "errors")[f"{error.code}.{part}"]
            asked = {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
            assert asked <= given, f"{where}: {language} {error.code}.{part}"
