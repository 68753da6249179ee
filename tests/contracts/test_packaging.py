"""What a fresh machine installs is fixed by hash, and no file says from where."""

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKED = sorted((ROOT / "requirements").glob("*.txt"))
WRITTEN = sorted((ROOT / "requirements").glob("*.in"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def normal(requirement: str) -> str:
    """The project name in a requirement, spelled as indexes compare it."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def entries(file: Path) -> list[str]:
    """The requirements of a compiled file, continuation lines joined, comments dropped."""
    text = file.read_text("utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def pins(file: Path) -> dict[tuple[str, str], str]:
    """(name, environment marker) → everything pinned for it."""
    return {
        (normal(line), line.partition(";")[2].partition("--hash")[0].strip()): line for line in entries(file)
    }


def names(file: str) -> set[str]:
    return {name for name, _ in pins(ROOT / "requirements" / file)}


@pytest.mark.parametrize("file", LOCKED, ids=lambda file: file.name)
def test_every_requirement_is_pinned_with_hashes(file: Path) -> None:
    assert entries(file), "an empty lock file locks nothing"
    for line in entries(file):
        assert re.match(r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,_-]+\])?==[^\s;]+ ", line), line
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", line), line


@pytest.mark.parametrize("file", [*LOCKED, *WRITTEN], ids=lambda file: file.name)
def test_no_requirement_file_records_an_address_or_a_place(file: Path) -> None:
    text = file.read_text("utf-8")
    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host|^-[if] ", text, re.M)
    assert not re.search(r"(^|\s)(/|~/|[A-Z]:\\)\w", text, re.M), "a path of somebody's machine"


def test_each_written_file_has_its_lock() -> None:
    assert [file.stem for file in WRITTEN] == [file.stem for file in LOCKED]


def test_npm_lock_records_hashes_and_no_addresses() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))
    assert "resolved" not in (ROOT / "package-lock.json").read_text("utf-8")
    for path, package in lock["packages"].items():
        assert not path or package["integrity"].startswith("sha512-"), path
    wanted = json.loads((ROOT / "package.json").read_text("utf-8"))["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
    assert wanted == lock["packages"][""]["dependencies"]


def test_the_test_environment_is_the_running_one_and_more() -> None:
    run, dev = pins(ROOT / "requirements/run.txt"), pins(ROOT / "requirements/dev.txt")
    assert {key: dev.get(key) for key in run} == run


@pytest.mark.parametrize(
    ("extra", "file"),
    [
        ("analyst", "run.txt"),
        ("vault", "run.txt"),
        ("hub", "run.txt"),
        ("spark", "spark.txt"),
        ("dev", "dev.txt"),
    ],
)
def test_every_extra_is_covered_by_a_lock(extra: str, file: str) -> None:
    needed = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"][extra]]
    locked = names(file) | (names("run.txt") if extra == "spark" else set())
    assert {normal(requirement) for requirement in needed} <= locked


def test_the_lock_can_build_the_project_without_a_download() -> None:
    assert {normal(requirement) for requirement in PROJECT["build-system"]["requires"]} <= names("run.txt")


def test_duckdb_and_its_crypto_are_one_version() -> None:
    run = pins(ROOT / "requirements/run.txt")
    versions = {name: line.split()[0].partition("==")[2] for (name, _), line in run.items()}
    assert versions["duckdb"] == versions["duckdb-extension-httpfs"]


def test_make_help_lists_every_target() -> None:
    make = shutil.which("make")
    assert make, "the Makefile is how everything here is started"
    told = subprocess.run([make, "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    offered = dict(line.split(maxsplit=2)[1:] for line in told.splitlines())
    text = (ROOT / "Makefile").read_text("utf-8")
    documented = dict(re.findall(r"^([a-z-]+):.*## (.+)$", text, re.M))
    assert set(documented) == set(re.findall(r"^([a-z-]+):", text, re.M)), "a target without a ## line"
    assert offered.items() <= documented.items()
    assert set(documented) - set(offered) <= {"bench", "attacks"}, "only what may be absent from the tree"
