"""A code is a promise: the same on both sides of the wire, and written down."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType

import pytest

from civic_kernel import errors as kernel
from data_access import errors as vault
from hub_config import errors as hub

ROOT = Path(__file__).resolve().parents[2]
HERE_ONLY = sorted(kernel.REGISTRY.keys() - vault.REGISTRY.keys())


def sections() -> dict[str, dict[str, tuple[str, ...]]]:
    """docs/errors.md: heading -> code -> the row's other cells."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    heading = ""
    for line in (ROOT / "docs/errors.md").read_text("utf-8").splitlines():
        if line.startswith("## "):
            heading = line[3:].strip()
        elif row := re.match(r"\| `([a-z_]+)` \|(.+)\|$", line):
            section = found.setdefault(heading, {})
            assert row[1] not in section, f"{row[1]} stands there twice"
            section[row[1]] = tuple(cell.strip() for cell in row[2].split("|"))
    return found


def hub_classes() -> dict[str, type[hub.WorkspaceError]]:
    classes = [c for c in vars(hub).values() if isinstance(c, type) and issubclass(c, hub.WorkspaceError)]
    return {c.code: c for c in classes if c is not hub.WorkspaceError}


@pytest.mark.parametrize("code", sorted(vault.REGISTRY))
def test_each_code_of_the_gateway_has_one_class_of_the_same_name_for_analysts(code: str) -> None:
    theirs, ours = vault.REGISTRY[code], kernel.REGISTRY.get(code)
    assert ours is not None, f"civic_kernel.errors has no class for {code}"
    assert ours.__name__ == theirs.__name__
    assert ours.exit_code == theirs.exit_code
    named = [c for c in vars(kernel).values() if isinstance(c, type) and vars(c).get("code") == code]
    assert named == [ours]


@pytest.mark.parametrize("code", sorted(vault.REGISTRY))
def test_both_sides_put_a_code_under_the_same_kind_of_failure(code: str) -> None:
    kinds = [[c.__name__ for c in side.REGISTRY[code].__mro__] for side in (vault, kernel)]
    shared = [[name for name in names if hasattr(vault, name)] for names in kinds]
    assert shared[0] == shared[1]


@pytest.mark.parametrize("module", [vault, kernel, hub], ids=lambda module: module.__name__)
def test_the_tree_at_the_top_draws_every_class_and_no_other(module: ModuleType) -> None:
    base = getattr(module, "CivicError", None) or module.WorkspaceError
    tree = (module.__doc__ or "").split("\n\n")[1]
    classes = {n for n, c in vars(module).items() if isinstance(c, type) and issubclass(c, base)}
    assert (
        set(
            re.findall(r"\b[A-Z][a-z]+(?:[A-Z][a-z]+)+\b|\b(?:Forbidden|Absent|Conflict|Unavailable)\b", tree)
        )
        == classes
    )


def test_the_page_lists_every_code_and_no_other() -> None:
    listed = {heading: sorted(rows) for heading, rows in sections().items()}
    assert listed == {
        "From the gateway and the vault's commands": sorted(vault.REGISTRY),
        "Only on the analyst's side": HERE_ONLY,
        "From starting and running the workspace": sorted(hub_classes()),
    }


def test_the_page_gives_the_right_status_and_exit_code() -> None:
    gateway, analyst, workspace = sections().values()
    assert {c: row[:2] for c, row in gateway.items()} == {
        code: (str(cls.status), str(cls.exit_code)) for code, cls in vault.REGISTRY.items()
    }
    assert {c: row[0] for c, row in analyst.items()} == {
        c: str(kernel.REGISTRY[c].exit_code) for c in HERE_ONLY
    }
    assert {c: row[0] for c, row in workspace.items()} == {
        c: str(cls.exit_code) for c, cls in hub_classes().items()
    }
