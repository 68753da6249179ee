"""What a person waits for, and what the analyst side may never load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import jupyterhub
import pytest

import civic_kernel
from civic_kernel import errors
from civic_kernel.errors import SettingInvalid
from civic_kernel.settings import Token, read_settings
from civic_kernel.texts import keys

PACKAGE = Path(civic_kernel.__file__).parent
HEAVY = {"pandas", "numpy", "geopandas", "folium", "shapely", "scipy", "httpx", "pydantic", "IPython"}


def modules_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(*{{m.split('.')[0] for m in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())


def test_import_loads_nothing_heavy() -> None:
    assert not modules_after("import civic_kernel") & HEAVY


def test_the_command_line_s_help_loads_nothing_heavy() -> None:
    assert not modules_after("import civic_kernel.cli") & HEAVY


def test_no_command_waits_for_a_grammar_that_nothing_here_reads() -> None:
    """jsonschema's check of the format `iri` costs a second of every start; formats that schemas have stay checked."""
    verb = (
        "import civic_kernel.cli\ntry: civic_kernel.cli.main(['--help'])\nexcept SystemExit: import nbformat"
    )
    assert "lark" in modules_after("import nbformat"), "what took so long has gone: so can what keeps it away"
    for ours in (verb, "import hub_config.hub", "import civic_kernel.reports.service.app"):
        loaded = modules_after(ours)
        assert "jsonschema" in loaded and "lark" not in loaded
    schemas = [*Path("notebooks").glob("*.schema.json"), *(Path(jupyterhub.__file__).parent).rglob("*.yaml")]
    assert len(schemas) > 3
    assert not [path for path in schemas if re.search(r"format\W+iri", path.read_text("utf-8"))]


def test_import_takes_less_than_150_ms() -> None:
    code = "import time; t = time.perf_counter(); import civic_kernel; print(time.perf_counter() - t)"
    runs = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    assert min(runs) < 0.150


def test_all_public_names_exist() -> None:
    for name in civic_kernel.__all__:
        assert getattr(civic_kernel, name) is not None


def test_both_languages_have_the_same_keys() -> None:
    for domain in ("kernel", "places"):
        assert keys("ko", domain) == keys("en", domain) and keys("ko", domain)


def test_every_failure_said_here_has_its_words() -> None:
    """A `.say(` on a class without sentences would fail just when a person needs them."""
    said = {
        node.func.value.id
        for file in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "say"
        and isinstance(node.func.value, ast.Name)
    }
    for name in said:
        code = getattr(errors, name).code
        assert {f"error.{code}", f"error.{code}.remedy"} <= keys("ko", "kernel"), name


def test_each_code_of_the_gateway_has_one_class_of_the_same_name() -> None:
    vault = pytest.importorskip("data_access.errors")
    for code, cls in vault.REGISTRY.items():
        ours = errors.REGISTRY[code]
        assert (ours.__name__, ours.exit_code) == (cls.__name__, cls.exit_code)


def test_settings_fail_closed_and_never_show_a_value(tmp_path: Path) -> None:
    with pytest.raises(SettingInvalid) as caught:
        read_settings({"CIVIC_TOKEN_FILE": str(tmp_path / "secret-place"), "CIVIC_LANGUAGE": "en"})
    assert "CIVIC_TOKEN_FILE" in str(caught.value) and "secret-place" not in str(caught.value)
    with pytest.raises(SettingInvalid):
        read_settings({"CIVIC_LANGUAGE": "fr"})
    (tmp_path / "t").write_text("from-file\n")
    both = read_settings({"CIVIC_TOKEN_FILE": str(tmp_path / "t"), "JUPYTERHUB_API_TOKEN": "from-env"})
    assert both.token.reveal() == "from-file" and "from-file" not in repr(both)
    with pytest.raises(TypeError):
        Token("x").__reduce__()
