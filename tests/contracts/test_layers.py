"""Who may import whom. The boundary between the rooms is a habit until something fails when it is broken.

Read from the syntax trees, so that an import inside a function or under TYPE_CHECKING counts like any other.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("civic_kernel", "data_access", "hub_config")

#: room -> what it never imports. hub_config's one exception stands in `crossings`.
FORBIDDEN = {
    "civic_kernel": {"data_access", "hub_config", "duckdb", "opendp", "ibis", "pyspark"},
    "data_access": {"civic_kernel", "hub_config", "IPython", "papermill"},
    "hub_config": {"data_access", "civic_kernel", "duckdb", "opendp", "ibis", "pyspark"},
}
HUB_MAY = "civic_kernel.warm"
MECHANISMS = "data_access.privacy.mechanisms"
#: (module, function) that touch the environment outside the settings modules, and why they may.
MAY_TOUCH_ENVIRONMENT = {
    # The language of the person at this terminal, not a setting of the workspace; asked on the way to `--help`,
    # where reading Settings through `compose` would first import DuckDB.
    ("data_access.cli", "language"),
    # Writes only: after the drop to civic-vault, libraries must not look into root's home.
    ("data_access.cli", "become_vault"),
    # A process that becomes another one: started without the environment of whoever started it, with one thread
    # for each library that it imports, and in each child with what was asked for and nothing else.
    ("civic_kernel.warm.__main__", "main"),
    ("civic_kernel.warm.preload", "prepare_environment"),
    ("civic_kernel.warm.child", "_start_anew"),
}
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


@dataclass(frozen=True)
class Import:
    """`module` (dotted, of ours) imports `target`; for `from a import b` both `a` and `a.b` are yielded."""

    module: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def modules(root: Path, room: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((root / room).rglob("*.py")):
        parts = list(path.relative_to(root).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        yield ".".join(parts), ast.parse(path.read_text("utf-8"), str(path))


def imports(root: Path, room: str) -> Iterator[Import]:
    for path in sorted((root / room).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        package, module = parts[:-1], ".".join(parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
            for target in _targets(node, package):
                yield Import(module, target, getattr(node, "lineno", 0))


def _targets(node: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (alias.name for alias in names)
        case ast.ImportFrom(module=module, names=names, level=level):
            above = package[: len(package) - level + 1] if level else ()
            base = ".".join([*above, *([module] if module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in names)
        case ast.Call(
            func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"),
            args=[first, *_],
        ):
            yield _written_out(first)


def _written_out(name: ast.expr) -> str:
    """The module that a dynamic import names, or its written beginning; `?` where it could be any."""
    if isinstance(name, ast.Constant) and isinstance(name.value, str):
        return name.value
    if isinstance(name, ast.JoinedStr) and isinstance(name.values[0], ast.Constant):
        beginning = str(name.values[0].value)
        return beginning.rstrip(".") if "." in beginning else "?"
    return "?"


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def crossings(root: Path) -> list[str]:
    """Every import that leaves a room by a door that is not there."""
    found = []
    for room in ROOMS:
        for one in imports(root, room):
            wrong = one.target.split(".")[0] in FORBIDDEN[room] or one.target == "?"
            if room == "hub_config" and (inside(one.target, HUB_MAY) or one.target == "civic_kernel"):
                # `from civic_kernel import warm` shows as civic_kernel and civic_kernel.warm.
                wrong = one.target == "civic_kernel" and not _only_warm(root, one)
            if inside(one.target, "opendp") and one.module != MECHANISMS:
                wrong = True
            if wrong:
                found.append(str(one))
    return found


def _only_warm(root: Path, one: Import) -> bool:
    same_line = [
        i.target for i in imports(root, "hub_config") if (i.module, i.line) == (one.module, one.line)
    ]
    others = [target for target in same_line if target != "civic_kernel"]
    return bool(others) and all(inside(target, HUB_MAY) for target in others)


def layers(docstring: str) -> list[list[str]]:
    """`errors, clock <- catalog, parties <- …`, from left to right, as written in data_access/__init__.py."""
    [chain] = re.findall(r"^ +\w[\w, ]*?<-[\w, <\n-]+", docstring, re.M)
    return [[name.strip() for name in layer.split(",")] for layer in chain.split("<-")]


def package_layers(root: Path) -> list[list[str]]:
    return layers(
        ast.get_docstring(ast.parse((root / "data_access/__init__.py").read_text("utf-8")), clean=False) or ""
    )


def layer_crossings(root: Path) -> list[str]:
    """Imports inside data_access that go right or sideways; only `compose` reaches `settings`."""
    place = {name: depth for depth, layer in enumerate(package_layers(root)) for name in layer}
    found = []
    for one in imports(root, "data_access"):
        target = one.target.split(".")
        if target[0] != "data_access" or len(target) < 2 or one.module == "data_access":
            continue
        here, there = one.module.split(".")[1], target[1]
        if here == there:
            continue
        if "settings" in (here, there):
            if (here, there) != ("compose", "settings"):
                found.append(str(one))
        elif here not in place or there not in place:
            found.append(f"{one}: not in any layer")
        elif place[there] >= place[here]:
            found.append(str(one))
    return sorted(set(found))


def environment_readers(root: Path) -> list[tuple[str, str, int]]:
    """(module, innermost function, line) of everything that touches the process's environment."""
    found = []
    for room in ROOMS:
        for module, tree in modules(root, room):
            if module == f"{room}.settings":
                continue
            for function, node in _walk_with_function(tree, ""):
                if isinstance(node, ast.Attribute):
                    touches = node.attr in ENVIRONMENT and _is_os(node.value)
                elif isinstance(node, ast.ImportFrom):
                    touches = node.module == "os" and any(alias.name in ENVIRONMENT for alias in node.names)
                else:
                    continue
                if touches:
                    found.append((module, function, node.lineno))
    return [each for each in found if each[:2] not in MAY_TOUCH_ENVIRONMENT]


def _is_os(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("os", "posix")


def _walk_with_function(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        inner = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield inner, child
        yield from _walk_with_function(child, inner)


def test_no_room_imports_what_it_must_not() -> None:
    assert crossings(ROOT) == []


def test_layers_of_the_vault_side_are_kept() -> None:
    assert layer_crossings(ROOT) == []


def test_every_module_of_the_vault_side_has_a_layer() -> None:
    placed = {name for layer in package_layers(ROOT) for name in layer} | {
        "settings",
        "__init__",
        "__pycache__",
    }
    there = {path.stem for path in (ROOT / "data_access").iterdir() if path.suffix in ("", ".py")}
    assert there - placed == set()


def test_the_design_page_draws_the_same_layers() -> None:
    page = (ROOT / "docs/design.md").read_text("utf-8")
    [drawn] = re.findall(r"^```layers\n(.*?)```", page, re.M | re.S)
    assert [[n.strip() for n in layer.split(",")] for layer in drawn.split("<-")] == package_layers(ROOT)


def test_only_the_settings_modules_touch_the_environment() -> None:
    assert environment_readers(ROOT) == []


@pytest.mark.parametrize("notebook", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_ask_and_never_reach_behind_the_gateway(notebook: Path) -> None:
    never = FORBIDDEN["civic_kernel"]
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            lines = [
                line
                for line in "".join(cell["source"]).splitlines()
                if not line.lstrip().startswith(("%", "!"))
            ]
            targets = [t for node in ast.walk(ast.parse("\n".join(lines))) for t in _targets(node, ())]
            assert not never & {target.split(".")[0] for target in targets}


# --- the positive control: a crossing that is planted must be found ---

PLANTED = [
    ("civic_kernel/a.py", "def late():\n    import duckdb\n"),
    ("civic_kernel/a.py", "from data_access.canonical import sha256_hex\n"),
    ("civic_kernel/a.py", "import importlib\nimportlib.import_module('opendp.prelude')\n"),
    ("civic_kernel/a.py", "def f(name):\n    return __import__(name)\n"),
    (
        "data_access/cli.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import civic_kernel.wire\n",
    ),
    ("data_access/pricing.py", "import opendp.prelude as dp\n"),
    ("data_access/gateway/a.py", "async def f():\n    from IPython import display\n"),
    ("hub_config/a.py", "from civic_kernel import warm, client\n"),
    ("hub_config/a.py", "import civic_kernel\n"),
    ("hub_config/a.py", "from data_access import texts\n"),
]
PLANTED_IN_LAYERS = [
    ("data_access/errors.py", "from data_access.clock import Clock\n"),
    ("data_access/catalog/a.py", "def late():\n    from data_access import parties\n"),
    ("data_access/catalog/a.py", "from ..parties import keys\n"),
    ("data_access/pricing.py", "import data_access.db\n"),
    ("data_access/gateway/a.py", "from data_access.settings import read_settings\n"),
    ("data_access/surprise.py", "import data_access.errors\n"),
]
PLANTED_ENVIRONMENT = [
    ("civic_kernel/a.py", "import os\ndef f():\n    return os.environ['X']\n"),
    ("data_access/cli.py", "import os\ndef another():\n    return os.getenv('X')\n"),
    ("hub_config/a.py", "from os import environ\n"),
]


@pytest.fixture
def clean_tree(tmp_path: Path) -> Path:
    for room in ROOMS:
        (tmp_path / room).mkdir()
    drawn = (ROOT / "data_access/__init__.py").read_text("utf-8")
    (tmp_path / "data_access/__init__.py").write_text(drawn, "utf-8")
    return tmp_path


def plant(tree: Path, path: str, source: str) -> None:
    (tree / path).parent.mkdir(exist_ok=True)
    (tree / path).write_text(source, "utf-8")


@pytest.mark.parametrize(("path", "source"), PLANTED)
def test_a_planted_crossing_between_rooms_is_found(clean_tree: Path, path: str, source: str) -> None:
    assert crossings(clean_tree) == []
    plant(clean_tree, path, source)
    assert crossings(clean_tree)


@pytest.mark.parametrize(("path", "source"), PLANTED_IN_LAYERS)
def test_a_planted_crossing_between_layers_is_found(clean_tree: Path, path: str, source: str) -> None:
    assert layer_crossings(clean_tree) == []
    plant(clean_tree, path, source)
    assert layer_crossings(clean_tree)


@pytest.mark.parametrize(("path", "source"), PLANTED_ENVIRONMENT)
def test_a_planted_reader_of_the_environment_is_found(clean_tree: Path, path: str, source: str) -> None:
    assert environment_readers(clean_tree) == []
    plant(clean_tree, path, source)
    assert environment_readers(clean_tree)


def test_the_warm_template_is_the_hubs_one_door(clean_tree: Path) -> None:
    plant(
        clean_tree, "hub_config/a.py", "from civic_kernel import warm\nfrom civic_kernel.warm import fork\n"
    )
    assert crossings(clean_tree) == []
