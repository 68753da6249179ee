"""The peers of the private lane: OpenDP's polars context and SmartNoise SQL, each in an environment of its own.

Asked of both and of us: count and sum of minutes by gu × hour (600 cells), at most 20 rows of a person-month, minutes
within [0, 60], ρ 0.01 for a person-month in equal parts, over the same rows. ρ is said to SmartNoise, which knows
only ε, as ρ + 2√(ρ ln 1/δ) (Bun & Steinke 2016, proposition 1.3) at the policy's δ of 1e-6.

A peer is a script that runs under its own interpreter, imports nothing of ours, reads the question as JSON from
standard input and prints its timings as JSON. How each is asked, and what is done in its favour, stands at its top.
What differs is what is timed of us as well: our answer is also priced, charged, stored and signed in two durable
transactions, and no peer does any of it; but we bound each person-month once, when the data are loaded, which both
peers do in every question. So OpenDP is also measured on rows that somebody has bounded beforehand.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import duckdb

from benchmarks.city import city
from benchmarks.figures import Figure, at_least, median
from data_access.demo.city import CityFiles
from setup_env import peer_environment

HERE = Path(__file__).parent
RHO = "0.01"
BOUND, HIGHEST, DELTA, CELLS = 20, 60, 1e-6, 600
#: More rows than these a peer is not asked about: OpenDP would need more memory than there is, SmartNoise minutes.
MOST_FOR_OPENDP, MOST_FOR_SMARTNOISE = 20_000_000, 2_000_000


def against_opendp(rides: int, ours: float, rounds: int) -> list[Figure]:
    """Ask OpenDP about a city of `rides` rides; `ours` is what the question takes us there, in seconds."""
    if rides > MOST_FOR_OPENDP:
        click.echo(f"OpenDP's polars is not asked about more than {MOST_FOR_OPENDP:,} rows")
        return []
    return _opendp(_ask("opendp", "opendp_polars.py", rides, rounds), ours)


def against_smartnoise(rides: int, ours: float, rounds: int) -> list[Figure]:
    """Ask SmartNoise SQL likewise."""
    if rides > MOST_FOR_SMARTNOISE:
        click.echo(f"SmartNoise SQL is not asked about more than {MOST_FOR_SMARTNOISE:,} rows")
        return []
    asked = _ask("smartnoise", "smartnoise_sql.py", rides, rounds, built="antlr4-python3-runtime")
    return _smartnoise(asked, ours)


def _opendp(asked: Mapping[str, Any], ours: float) -> list[Figure]:
    in_question, beforehand = asked["in the question"], asked["beforehand"]
    # The same ρ must buy the same noise, or they were asked something else: σ = B/√(2ρ) for each half of ρ.
    sigma = BOUND / math.sqrt(float(RHO))
    for way in (in_question, beforehand):
        for scale, wanted in zip(way["scales"], (sigma, sigma * HIGHEST), strict=True):
            if not math.isclose(scale, wanted, rel_tol=1e-6):
                raise RuntimeError(f"OpenDP's noise has scale {scale}, ours {wanted}: not the same question")
        if way["cells"] != CELLS:
            raise RuntimeError(f"OpenDP answered {way['cells']} cells of {CELLS}")
    name = "OpenDP polars, rows bounded"
    own, cut = median(in_question["seconds"]), median(beforehand["seconds"])
    return [
        Figure(f"{name} in the question", own, "s"),
        at_least(f"{name} in the question ÷ ours", own / ours, "×", 50, size="(at 10M rows)"),
        Figure(f"{name} beforehand", cut, "s"),
        Figure(f"{name} beforehand ÷ ours", cut / ours, "×"),
        Figure(f"{name} in the question: processor time", median(in_question["busy"]), "s"),
        Figure(f"{name} beforehand: processor time", median(beforehand["busy"]), "s"),
    ]


def _smartnoise(asked: Mapping[str, Any], ours: float) -> list[Figure]:
    default, known = asked["threshold"], asked["no threshold"]
    click.echo(
        f"SmartNoise SQL with its threshold answers {default['cells']} cells, without it {known['cells']}"
    )
    own, bare = median(default["seconds"]), median(known["seconds"])
    return [
        Figure("SmartNoise SQL", own, "s"),
        at_least("SmartNoise SQL ÷ ours", own / ours, "×", 300, size="(at 1M rows)"),
        Figure("SmartNoise SQL, keys said to be public", bare, "s"),
        Figure("SmartNoise SQL, keys said to be public ÷ ours", bare / ours, "×"),
        Figure("SmartNoise SQL: processor time", median(default["busy"]), "s"),
    ]


def _question(files: CityFiles, rows: Path, rounds: int) -> dict[str, Any]:
    """Write the peers' four columns: person-month, gu, hour and minutes of every ride, unbounded."""
    connection = duckdb.connect()
    connection.execute(
        """
        COPY (
            SELECT (12 * year("대여일시") + month("대여일시")) * 1000000000 + substr("회원번호", 2)::BIGINT AS unit,
                "대여소_구" AS gu, hour("대여일시")::UTINYINT AS hour, "이용시간(분)"::SMALLINT AS minutes
            FROM read_parquet($rides)
            JOIN read_csv($stations, all_varchar = true)
                ON "대여 대여소번호"::VARCHAR = lpad("대여소ID", 5, '0')
        ) TO $rows (FORMAT parquet)
        """,
        {"rides": [str(path) for path in files.rides], "stations": str(files.stations), "rows": str(rows)},
    )
    gu = connection.execute("SELECT DISTINCT gu FROM read_parquet($rows) ORDER BY gu", {"rows": str(rows)})
    return {
        "rows": str(rows),
        "gu": [name for (name,) in gu.fetchall()],
        "bound": BOUND,
        "highest": HIGHEST,
        "rho": float(RHO),
        "epsilon": float(RHO) + 2 * math.sqrt(float(RHO) * math.log(1 / DELTA)),
        "delta": DELTA,
        "rounds": min(rounds, 3),
    }


def _ask(peer: str, script: str, rides: int, rounds: int, built: str = "") -> dict[str, Any]:
    """What the peer says about a city of so many rides."""
    with city(rides, "parquet") as files, TemporaryDirectory(prefix="civic-bench-peers-") as folder:
        found = ask_peer(peer, script, _question(files, Path(folder) / "rows.parquet", rounds), built)
    click.echo(
        f"{rides:,} rows: " + ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    )
    return found


def ask_peer(peer: str, script: str, question: object, built: str = "") -> dict[str, Any]:
    """Run the script in the peer's environment, which is made on demand, with `question` as JSON; what it prints."""
    prefix = Path(os.environ.get("CIVIC_PREFIX") or sys.prefix)
    python = peer_environment(prefix, peer, built)
    ran = subprocess.run(
        [python, "-I", HERE / script], input=json.dumps(question), capture_output=True, text=True, check=False
    )
    if ran.returncode:
        raise RuntimeError(f"the peer {peer} failed:\n{ran.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(ran.stdout)
    return found
