"""The synthetic city's files and its policy, as the benchmarks use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import yaml

import data_access.demo as demo
from data_access.demo.city import CityFiles, Form, build_city

HERE = Path(demo.__file__).parent
RIDES = "bike_rides"
SEED = 2017


@contextmanager
def city(rides: int, form: Form = "csv") -> Iterator[CityFiles]:
    with TemporaryDirectory(prefix="civic-bench-city-") as folder:
        yield build_city(Path(folder) / "files", rides=rides, seed=SEED, form=form)


def catalog() -> dict[str, str]:
    return {RIDES: (HERE / "catalog" / f"{RIDES}.yaml").read_text("utf-8")}


def policy_document() -> dict[str, Any]:
    """The demonstration's policy with a budget that a benchmark cannot use up: its price is not measured."""
    document: dict[str, Any] = yaml.safe_load((HERE / "policies" / f"{RIDES}.yaml").read_text("utf-8"))
    caps = [{"name": "all", "teams": "others", "rho": "900"}]
    return document | {"budget": "1000", "caps": caps}


def utf8_copies(files: CityFiles, folder: Path) -> list[Path]:
    """The ride files as UTF-8: DuckDB reads no cp949."""
    copies: list[Path] = []
    for path in files.rides:
        content = path.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp949")
        copy = folder / path.name
        copy.write_bytes(text.encode("utf-8"))
        copies.append(copy)
    return copies


def read_plainly(files: list[Path], into: Path) -> duckdb.DuckDBPyConnection:
    """DuckDB's own way: every column of the same files, types guessed by it, into an ordinary file."""
    connection = duckdb.connect(str(into), config={"threads": "2"})
    connection.execute(
        "CREATE TABLE rides AS FROM read_csv($files, header = true, nullstr = '\\N')",
        {"files": [str(path) for path in files]},
    )
    connection.execute("CHECKPOINT")
    return connection
