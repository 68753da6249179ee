"""The σ that OpenDP's polars engine sells for ρ. Runs in an environment of its own, as opendp_polars.py does.

Reads a list of {"low", "high", "bound", "rho", "measure"} (JSON) from standard input; prints the versions and, for
each, σ of a count or a clipped sum of which one unit has `bound` rows, and the ρ that the engine says it costs.
"""

import json
import sys

import opendp.prelude as dp
import polars as pl


def main() -> None:
    dp.enable_features("contrib")
    asked = json.load(sys.stdin)
    versions = {"polars": pl.__version__}
    print(json.dumps({"versions": versions, "prices": [price(**question) for question in asked]}))


def price(low: int, high: int, bound: int, rho: str, measure: str) -> dict[str, float]:
    rows = pl.LazyFrame({"gu": ["a", "b"], "x": [1, 2]}, schema={"gu": pl.String, "x": pl.Int64})
    context = dp.Context.compositor(
        data=rows,
        privacy_unit=dp.unit_of(contributions=bound),
        privacy_loss=dp.loss_of(rho=float(rho)),
        split_evenly_over=1,
        margins=[dp.polars.Margin(by=["gu"], max_length=10**6, max_groups=2, invariant="keys")],
    )
    figure = dp.len(signed=True) if measure == "count" else pl.col("x").fill_null(0).dp.sum((low, high))
    query = context.query().group_by("gu").agg(figure)
    return {"scale": query.summarize()["scale"].item(), "rho": query.resolve().map(bound)}


if __name__ == "__main__":
    main()
