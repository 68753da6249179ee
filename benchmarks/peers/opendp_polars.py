"""OpenDP's polars context, asked as its documentation does. Runs in an environment of its own.

Reads the question (JSON) from standard input and prints timings (JSON). Asked in the two ways in which somebody
would have it:

- *bounded in the question*: the person-month is the identifier, and `truncate_per_group` keeps 20 of its rows. So
  OpenDP itself sees to it that nobody has more: what it promises rests on nobody's word.
- *bounded beforehand*: rows past the 20th are gone before OpenDP sees them, and it is told so (`contributions=20`).
  It then believes what somebody else did.

In favour of the peer: the rows lie in memory, in four columns, the gu joined to them (OpenDP has no private join)
and the hour computed before the clock starts; its keys are public and given to it, so that it spends nothing on
finding them; the first question is not counted. `signed=True` because counts clipped at 0 would be biased. Every
question is a new one of a budget that holds them all.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import opendp.prelude as dp
import polars as pl

KEYS = ("gu", "hour")
#: Public facts: no cell has more rows, so that OpenDP can prove that the sum does not overflow.
MOST = 1_000_000_000


def main() -> None:
    asked = json.load(sys.stdin)
    dp.enable_features("contrib")
    gu = pl.Enum(asked["gu"])
    rows = pl.read_parquet(asked["rows"]).with_columns(
        pl.col("gu").cast(pl.String).cast(gu), pl.col("hour").cast(pl.Int32), pl.col("minutes").cast(pl.Int64)
    )
    bound = asked["bound"]
    cut = rows.filter(pl.int_range(pl.len()).over("unit") < bound).drop("unit")
    found = {
        "versions": {name: version(name) for name in ("opendp", "polars")},
        "in the question": measure(rows, dp.unit_of(contributions=1, identifier="unit"), bound, asked),
        "beforehand": measure(cut, dp.unit_of(contributions=bound), None, asked),
    }
    print(json.dumps(found))


def measure(rows: Any, unit: Any, bound: int | None, asked: dict[str, Any]) -> dict[str, Any]:
    questions = asked["rounds"] + 1
    context = dp.Context.compositor(
        data=rows.lazy(),
        privacy_unit=unit,
        privacy_loss=dp.loss_of(rho=asked["rho"] * questions),
        split_evenly_over=questions,
        margins=[dp.polars.Margin(by=KEYS, max_length=MOST, max_groups=24 * len(asked["gu"]))],
    )
    keys = pl.LazyFrame({"gu": pl.Series(asked["gu"], dtype=pl.Enum(asked["gu"]))}).join(
        pl.LazyFrame({"hour": pl.Series(range(24), dtype=pl.Int32)}), how="cross"
    )
    total = pl.col("minutes").fill_null(0).dp.sum((0, asked["highest"]))
    seconds, busy = [], []
    for _ in range(questions):
        began, worked = time.perf_counter(), time.process_time()
        query = context.query()
        if bound is not None:
            query = query.truncate_per_group(bound)
        query = query.group_by(*KEYS).agg(dp.len(signed=True).alias("rides"), total.alias("total"))
        query = query.with_keys(keys)
        answer = query.release().collect()
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - worked)
    return {
        "seconds": seconds[1:],
        "busy": busy[1:],
        "cells": answer.height,
        "scales": query.summarize()["scale"].to_list(),
    }


main()
