"""What can be set, held, typed or met is written down, and nothing is written down that is not there."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hub_config.roles import ROLES, SCOPES, scopes_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
READS_ENVIRONMENT = [
    "civic_kernel/settings.py",
    "data_access/settings.py",
    "hub_config/settings.py",
    "setup_env.py",
]
#: Python that may be longer than 500 lines, and why.
MAY_BE_LONG = {
    "setup_env.py": "runs before anything is installed or importable, so it is one file that anybody can read whole",
}
LONGEST = 500


def page(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def rows(name: str) -> list[str]:
    """First cells of a page's tables that are code."""
    return re.findall(r"^\| `([^`]+)` \|", page(name), re.M)


def strings(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def settings() -> set[str]:
    """Every name CIVIC_… that a settings module has as a string of its own."""
    found = {text for name in READS_ENVIRONMENT for text in strings(ROOT / name)}
    return {text for text in found if re.fullmatch(r"CIVIC_[A-Z_]+", text)}


def commands() -> Iterator[str]:
    """`civic data load` and so on: the entry points, and the verbs below them."""
    project = tomllib.loads(page("pyproject.toml"))["project"]
    for name, place in project["entry-points"]["civic.commands"].items():
        module, _, attribute = place.partition(":")
        # `data.twin` is the verb `twin` of the group `data`.
        words = name.replace(".", " ")
        yield from _verbs(getattr(importlib.import_module(module), attribute), f"civic {words}")


def _verbs(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for below, each in command.commands.items():
            yield from _verbs(each, f"{name} {below}")
    else:
        yield name


def test_every_setting_is_documented_and_every_documented_setting_is_read() -> None:
    listed = rows("docs/settings.md")
    assert sorted(listed) == sorted(set(listed)), "a setting stands there twice"
    assert set(listed) == settings()


def test_no_setting_is_read_under_a_name_that_no_settings_module_knows() -> None:
    used = {
        text
        for room in ("civic_kernel", "data_access", "hub_config")
        for path in (ROOT / room).rglob("*.py")
        for text in strings(path)
        if re.fullmatch(r"CIVIC_[A-Z_]+", text)
    }
    assert used - settings() == set()


def test_every_scope_and_role_is_documented_and_no_other() -> None:
    assert set(re.findall(r"`(custom:civic:[a-z:]+)`", page("docs/roles.md"))) == set(SCOPES)
    assert set(rows("docs/roles.md")) == set(SCOPES) | set(ROLES)


@pytest.mark.parametrize("role", sorted(ROLES))
def test_the_page_gives_each_role_its_scopes(role: str) -> None:
    [line] = [line for line in page("docs/roles.md").splitlines() if line.startswith(f"| `{role}` |")]
    assert set(re.findall(r"`(custom:civic:[a-z:]+)`", line)) == set(ROLES[role].scopes)


def test_the_gateway_demands_only_scopes_that_somebody_can_hold() -> None:
    named = {
        text
        for path in (ROOT / "data_access").rglob("*.py")
        for text in strings(path)
        if re.fullmatch(r"custom:civic:[a-z:]+", text)
    }
    assert named
    assert named <= scopes_of(ROLES)


def test_every_command_is_documented_and_every_documented_command_exists() -> None:
    listed = [row for row in rows("docs/commands.md") if row.startswith("civic ")]
    assert sorted(listed) == sorted(set(listed))
    assert set(listed) == set(commands())


def test_every_make_target_is_documented() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", page("Makefile"), re.M)) - {"help"}
    listed = {row.removeprefix("make ") for row in rows("docs/commands.md") if row.startswith("make ")}
    assert listed <= targets
    assert targets - listed <= {"bench", "attacks"}, "offered only where the benchmarks are in the tree"


def test_make_calls_only_commands_that_exist() -> None:
    called = {
        f"civic {words}" for words in re.findall(r"\$\(RUN\)/civic ([a-z-]+(?: [a-z-]+)?)", page("Makefile"))
    }
    assert called
    assert called <= set(commands())


# The design describes also what is to come.
@pytest.mark.parametrize(
    "name", [path.relative_to(ROOT).as_posix() for path in PAGES if path.name != "design.md"]
)
def test_pages_name_only_commands_that_exist(name: str) -> None:
    known = set(commands())
    beginnings = {" ".join(verb.split()[:2]) for verb in known}
    for words in re.findall(r"`civic ([a-z-]+(?: [a-z]+)?)", page(name)):
        assert f"civic {words}" in known | beginnings, words


@pytest.mark.parametrize("name", ["README.md", "README.ko.md"])
def test_the_readmes_name_the_commands_and_every_folder(name: str) -> None:
    text = page(name)
    assert {"make demo", "make report", "make test"} <= set(re.findall(r"make [a-z]+", text))
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and (path / ".").exists()}
    hidden = {
        folder
        for folder in folders
        if folder.startswith((".", "__")) or folder in ("node_modules", "build", "dist")
    }
    assert set(re.findall(r"^\| `([a-z_]+)/` \|", text, re.M)) == folders - hidden


def test_both_readmes_link_to_the_same_pages() -> None:
    links = [set(re.findall(r"\]\(([^)]+)\)", page(name))) for name in ("README.md", "README.ko.md")]
    assert links[0] - {"README.ko.md"} == links[1] - {"README.md"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_inside_the_tree_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", path.read_text("utf-8")):
        assert "://" in target or (path.parent / target).exists(), target


def test_the_changelog_keeps_what_is_not_released_yet() -> None:
    assert "## [Unreleased]" in page("CHANGELOG.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_no_page_names_a_place_on_somebodys_machine(path: Path) -> None:
    assert not re.search(r"(?<![\w.])/(?:root|home|work|tmp|Users)/\w", path.read_text("utf-8"))


def test_modules_stay_short() -> None:
    folders = [
        path
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name != "tests"
    ]
    files = [*ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]
    long = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if "node_modules" not in path.parts and len(path.read_text("utf-8").splitlines()) > LONGEST
    }
    assert long == set(MAY_BE_LONG), "split it by use case, or write down why not"
