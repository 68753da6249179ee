"""A workshop's notebook, run beforehand as one of the persons of the workspace (`civic_kernel.opening_cli`).

It runs under her uid, in her home, with a token of hers that lives some minutes: a notebook is a program, and neither
root nor the Hub runs one.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hub_config.home import make_home, workshop_notebook
from hub_config.members.people import Account
from hub_config.roles import ASK, USE_GATEWAY
from hub_config.settings import PYTHON, Settings
from hub_config.spawners import make_seat_environment
from hub_config.workshop.workshops import Workshop

#: What its token may do, and for how many seconds; how long a notebook may take.
SCOPES = [USE_GATEWAY, ASK]
TOKEN_S, PATIENCE_S = 900, 600.0


@dataclass(frozen=True)
class Part:
    """What the tables of one dataset cost the team. Parts of 1: of its cap, and of what is left in that month."""

    dataset: str
    month: str
    of_cap: Decimal
    of_left: Decimal


@dataclass(frozen=True)
class Rehearsed:
    """`stopped`: where the notebook stopped (`cell` and `kind`), or the refusal's sentence; empty if it ran through.
    `parts` are still to be paid; `waits` if something would wait for a decision."""

    stopped: str
    tables: int
    parts: tuple[Part, ...]
    waits: bool
    bought: int


def rehearse(
    settings: Settings, account: Account, workshop: Workshop, token: str, *, buy: bool = False
) -> Rehearsed:
    """Runs the notebook; with `buy`, pays for what it asks. Needs a running workspace, and takes seconds to minutes."""
    notebook = workshop_notebook(settings, workshop.slug, workshop.notebook)
    if notebook is None:
        return Rehearsed(f"{workshop.notebook}?", 0, (), False, 0)
    home = make_home(settings, account.name, account.uid, is_room=False)
    environment = {
        **make_seat_environment(settings, account, home),
        "CIVIC_TEAM": workshop.team,
        "JUPYTERHUB_API_TOKEN": token,
    }
    identity: dict[str, Any] = (
        {"user": account.uid, "group": account.uid, "extra_groups": []} if settings.is_root else {}
    )
    try:
        with notebook.open("rb") as content:  # opened here: its folder need not be hers
            done = subprocess.run(
                [
                    PYTHON,
                    "-P",
                    "-m",
                    "civic_kernel.opening_cli",
                    "-",
                    "--json",
                    *(["--buy"] if buy else []),
                ],
                cwd=home,
                env=environment,
                stdin=content,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                check=False,
                timeout=PATIENCE_S,
                **identity,
            )
        return _read(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return Rehearsed(f"{PATIENCE_S:.0f} s", 0, (), False, 0)
    except (ValueError, KeyError, TypeError):
        return Rehearsed("?", 0, (), False, 0)


def _read(said: dict[str, Any]) -> Rehearsed:
    if "tables" not in said:
        return Rehearsed(" ".join((said["message"], said.get("remedy", ""))).strip(), 0, (), False, 0)
    stopped = said["stopped"]
    where = f"[{stopped['cell']}] {stopped['kind']} {stopped['says']}".strip() if stopped else ""
    parts = tuple(
        Part(one["dataset"], one["month"], Decimal(one["of_cap"]), Decimal(one["of_left"]))
        for one in said["sums"]
    )
    waits = any(table["waits"] for table in said["tables"])
    return Rehearsed(where, len(said["tables"]), parts, waits, len(said["bought"]))
