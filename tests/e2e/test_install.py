"""docs/install.md is walked: blocks marked `tried` run in order against the demonstration; of the others every verb,
option, setting and file must exist. Places and ports of the page are exchanged for the test's own."""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest

from hub_config.settings import PORTS, PYTHON, checkout_path, read_settings
from tests.e2e.conftest import Demonstration
from tests.hub.conftest import free_ports, temporary_folder

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/install.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh( tried)?\n(.*?)^```", PAGE, re.M | re.S)
VERBS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["entry-points"][
    "civic.commands"
]
#: `civic` as set-up installs it, from this tree where other users may read it.
CIVIC = f"""#!{PYTHON} -P
import sys
sys.path[:0] = {[str(folder) for folder in [checkout_path()] if folder]!r}
import importlib
places = {VERBS!r}
word = ".".join(sys.argv[1:3])
word = word if word in places else sys.argv[1]
module, _, name = places[word].partition(":")
getattr(importlib.import_module(module), name)(sys.argv[1 + len(word.split(".")):], prog_name="civic")
"""


def commands() -> list[list[str]]:
    """Every `civic …` of the page's blocks, as words."""
    lines = [line for _, block in BLOCKS for line in block.splitlines() if line.startswith("civic ")]
    return [shlex.split(line)[1:] for line in lines]


def find(words: list[str]) -> tuple[click.Command, list[str]]:
    """The verb that `words` call, and what they give it."""
    name = ".".join(words[:2]) if ".".join(words[:2]) in VERBS else words[0]
    module, _, attribute = VERBS[name].partition(":")
    verb, rest = getattr(importlib.import_module(module), attribute), words[len(name.split(".")) :]
    while isinstance(verb, click.Group):
        verb, rest = verb.commands[rest[0]], rest[1:]
    return verb, rest


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_page_is_taken_as_it_stands_there(words: list[str]) -> None:
    verb, rest = find(words)
    options = {name for parameter in verb.params for name in parameter.opts} | {"--help"}
    assert {word for word in rest if word.startswith("--")} <= options


def test_the_page_has_commands_of_each_step_and_no_block_is_broken() -> None:
    assert len(BLOCKS) > 10 and sum(bool(tried) for tried, _ in BLOCKS) >= 4
    for _, block in BLOCKS:
        done = subprocess.run(["bash", "-n"], input=block, text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr


def test_settings_and_files_that_the_page_names_exist() -> None:
    listed = set(re.findall(r"^\| `(CIVIC_\w+)` \|", (ROOT / "docs/settings.md").read_text("utf-8"), re.M))
    assert set(re.findall(r"CIVIC_\w+", PAGE)) <= listed
    for name in re.findall(r"hub_config/[\w./-]+", PAGE):
        assert (ROOT / name.rstrip(".")).exists(), name


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for path in sorted((ROOT / "hub_config/systemd").glob("civic*")):
        # The program stands where the page puts it, which a test must not.
        text = path.read_text("utf-8").replace("/opt/civic/current/bin/civic", "/usr/bin/true")
        (tmp_path / path.name).write_text(text)
    units = [str(path) for path in sorted(tmp_path.glob("civic*"))]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "civic" in line]) == (0, [])


def test_the_server_in_front_sets_what_a_browser_could_invent_and_hides_the_figures() -> None:
    written = (ROOT / "hub_config/systemd/nginx.conf").read_text("utf-8")
    served = written[written.index("proxy_pass http://127.0.0.1:8000") :]
    for header in (
        "X-Forwarded-Proto $scheme",
        "X-Forwarded-For $remote_addr",
        "Host $http_host",
        'Forwarded ""',
    ):
        assert f"proxy_set_header {header};" in served
    assert "proxy_add_x_forwarded_for" not in written and '$request_uri"' not in written
    assert re.search(r"location = /hub/metrics +\{ return 404; \}", written)
    log = written[written.index("log_format") :].partition(";")[0]
    assert "$args" not in log and "$request " not in log and "$http_referer" not in log
    if nginx := shutil.which("nginx"):
        assert subprocess.run([nginx, "-v"], check=False, capture_output=True).returncode == 0


@pytest.mark.root
@pytest.mark.hub
@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="the page is for root")
def test_the_page_leads_to_a_backup_that_starts_elsewhere_with_the_same_ledger(
    demonstration: Demonstration,
) -> None:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    with temporary_folder() as folder:
        places = {
            "/etc/civic": folder / "etc",
            "/var/backups/civic": folder / "backups",
            "/var/lib/civic": folder / "lib",
        }
        (folder / "lib").mkdir(mode=0o711)
        (folder / "bin").mkdir(mode=0o755)
        (folder / "bin" / "civic").write_text(CIVIC)
        (folder / "bin" / "civic").chmod(0o755)
        running = demonstration.settings
        for step, block in enumerate(block for tried, block in BLOCKS if tried):
            for place, here in places.items():
                block = block.replace(place, str(here))
            for setting, port in ports.items():
                block = re.sub(rf"{setting}=\d+", f"{setting}={port}", block)
            block = block.replace("127.0.0.1:9002", f"localhost:{ports['CIVIC_SITE_PORT']}")
            block = block.replace("127.0.0.1:8000", f"127.0.0.1:{running.port}")
            block = block.replace("127.0.0.1:8002", f"localhost:{running.site_port}")
            block = block.replace("CIVIC_UID_BASE=200000", f"CIVIC_UID_BASE={running.uid_base + 400_000}")
            done = subprocess.run(
                ["bash", "-e", "-u", "-o", "pipefail"],
                input=block,
                text=True,
                capture_output=True,
                cwd=folder,
                env={"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "LANG": "C.UTF-8"},
                timeout=240,
                check=False,
            )
            assert done.returncode == 0, f"block {step}: {done.stdout}{done.stderr}"
            settings = folder / "etc" / "civic.env"
            if step == 0:
                lines = dict(line.split("=", 1) for line in settings.read_text().splitlines())
                assert read_settings(lines).address == "https://civic.example.org"
                assert settings.stat().st_mode & 0o077 == 0
                # From here on the page's workspace is the one that runs.
                given = "".join(f"{name}={value}\n" for name, value in running.environment().items())
                settings.write_text(given)
        # Nothing was written into the workspace that runs, and the rehearsal is gone.
        assert not list(running.home.glob("replaced-*")) and not (folder / "lib" / "rehearsal").exists()
        assert json.loads((folder / "backups" / "head.json").read_text())["seq"] > 0
