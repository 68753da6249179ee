"""SmartNoise SQL, asked as its documentation does. Runs in an environment of its own.

Reads the question (JSON) from standard input and prints timings (JSON).

The rows go to it as a pandas frame (`from_df`), its first documented way, which it copies into SQLite in memory
before the clock starts. `max_ids` with `sample_max_ids` (its default) has it keep 20 rows of each person-month, drawn
in the question. It has no public keys. So it is measured as it is by default, where a noisy count of persons decides
which cells may be shown (with these few rows most fall to it), and with that threshold off (`censor_dims`), which is
private only because all 600 cells are known to occur.

In favour of the peer: four columns, the gu joined to the rows and the hour computed before the clock starts; the first
question is not counted. Its noise is of pure ε for each column; on its time the size of ε has no influence.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import pandas as pd
import snsql

# HOUR and MINUTE are words of its language.
QUESTION = "SELECT gu, clock, COUNT(*) AS rides, SUM(took) AS total FROM city.rides GROUP BY gu, clock"


def main() -> None:
    asked = json.load(sys.stdin)
    rows = pd.read_parquet(asked["rows"]).rename(columns={"hour": "clock", "minutes": "took"})
    found = {
        "versions": {name: version(name) for name in ("smartnoise-sql", "opendp", "pandas")},
        "threshold": measure(rows, True, asked),
        "no threshold": measure(rows, False, asked),
    }
    print(json.dumps(found))


def measure(rows: Any, threshold: bool, asked: dict[str, Any]) -> dict[str, Any]:
    table = {
        "rows": len(rows),
        "max_ids": asked["bound"],
        "sample_max_ids": True,
        "censor_dims": threshold,
        "clamp_counts": False,
        "unit": {"type": "int", "private_id": True},
        "gu": {"type": "string"},
        "clock": {"type": "int", "lower": 0, "upper": 23},
        "took": {"type": "int", "lower": 0, "upper": asked["highest"]},
    }
    # Its ε is that of each column, of which there are two.
    privacy = snsql.Privacy(epsilon=asked["epsilon"] / 2, delta=asked["delta"])
    reader = snsql.from_df(rows, privacy=privacy, metadata={"": {"city": {"rides": table}}})
    seconds, busy = [], []
    for _ in range(asked["rounds"] + 1):
        began, worked = time.perf_counter(), time.process_time()
        answer = reader.execute(QUESTION)
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - worked)
    return {"seconds": seconds[1:], "busy": busy[1:], "cells": len(answer) - 1}


main()
