"""OpenDP's polars engine and dp-accounting, asked for prices. Runs in an environment of its own.

Reads the questions (JSON) from standard input, prints what the two say (JSON).
"""

import json
import sys

import opendp.prelude as dp
import polars as pl
from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant


def scale(sold):
    """The σ that OpenDP gives a count or a sum of clipped numbers, of which one unit has `bound` rows, for ρ."""
    rows = pl.LazyFrame({"gu": ["a", "b"], "x": [1, 2]}, schema={"gu": pl.String, "x": pl.Int64})
    context = dp.Context.compositor(
        data=rows,
        privacy_unit=dp.unit_of(contributions=sold["bound"]),
        privacy_loss=dp.loss_of(rho=float(sold["rho"])),
        split_evenly_over=1,
        margins=[dp.polars.Margin(by=["gu"], max_length=10**6, max_groups=2, invariant="keys")],
    )
    measure = dp.len(signed=True) if sold["kind"] == "count" else pl.col("x").fill_null(0).dp.sum((sold["low"], sold["high"]))
    return context.query().group_by("gu").agg(measure).summarize()["scale"].item()


def composition(bought, delta):
    """ε of all of these together by dp-accounting, and the ε that OpenDP says their ρ stands for."""
    accountant = PLDAccountant()
    for ratio in bought["ratios"]:
        accountant.compose(dp_event.GaussianDpEvent(ratio))
    space = dp.atom_domain(T="i64"), dp.absolute_distance(T="i64")
    whole = dp.m.make_gaussian(*space, scale=(2 * bought["rho"]) ** -0.5)
    claimed = dp.c.make_zCDP_to_approxDP(whole).map(1).epsilon(delta)
    return {"epsilon": accountant.get_epsilon(delta), "claimed": claimed}


def main():
    dp.enable_features("contrib")
    asked = json.load(sys.stdin)
    print(json.dumps({
        "scales": [scale(sold) for sold in asked["sold"]],
        "compositions": [composition(bought, asked["delta"]) for bought in asked["bought"]],
    }))


main()
