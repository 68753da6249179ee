"""A park opens: do the shops near it sell more than those further away, and did they already before?

Sales areas within `near` metres of a park that opened are compared with those between `near` and `far` metres of it
that no other opening touches, each with itself before, and all with the same quarter (difference-in-differences):

    log sales(a, q) = α(event, a) + δ(event, q) + Σ_k β_k · near(a) · 1[q − opening = k] + ε,   k ≠ −1.

Each opening is an event with its own comparison areas, stacked (Cengiz, Dube, Lindner & Zipperer, Quarterly Journal of
Economics 134:1405, 2019): one regression over openings at different times would use areas that already have their park
as comparison for others (Goodman-Bacon, Journal of Econometrics 225:254, 2021). The β_k before the opening are shown,
and tested together: where they differ from 0, the areas were drifting apart anyhow and the comparison says little. That
a test finds nothing does not prove that there was nothing (Roth, American Economic Review: Insights 4:305, 2022).

Errors are clustered by area (Bertrand, Duflo & Mullainathan, Quarterly Journal of Economics 119:249, 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from civic_kernel.frames import KEY, check_columns, origin_of
from civic_kernel.methods.combine import derived_origin
from civic_kernel.methods.panel import Fit, Floats, fixed_effects

#: Metres: a walk of five minutes, and of ten to fifteen.
NEAR, FAR = 400.0, 1200.0
#: Quarters before and after an opening that are compared.
WINDOW = 4


@dataclass(frozen=True)
class PreTrend:
    """Wald's test that all effects before the opening are 0: `statistic` (F), its degrees of freedom, `p`."""

    statistic: float
    df: tuple[int, float]
    p: float


def quarter_number(code: int | str) -> int:
    """`20241` (the first quarter of 2024) as a number that goes up by one a quarter. Raises ValueError."""
    year, quarter = divmod(int(code), 10)
    if not (1900 < year < 2200 and 1 <= quarter <= 4):
        raise ValueError("a quarter is written as its year and 1 to 4")
    return 4 * year + quarter - 1


def stack(
    sales: pd.DataFrame, areas: pd.DataFrame, openings: pd.DataFrame, *, near: float = NEAR, far: float = FAR
) -> pd.DataFrame:
    """One row for each event, area and quarter in its window: `event`, `area`, `quarter`, `since` (quarters since the
    opening), `near` (0 or 1), `metres`, `level` (log sales).

    `sales` has `area`, `quarter` (`20241`), `sales` (won; rows of one area and quarter are added up); `areas` has
    `area`, `x`, `y`; `openings` has `park`, `x`, `y`, `opened` (quarter), metres on the same grid. An area is kept in
    an event where it has sales in every quarter of the window; a comparison area that lies near another opening of the
    same years is left out of it. Raises FrameUnsuitable.
    """
    check_columns(sales, "area", "quarter", "sales")
    check_columns(areas, "area", "x", "y")
    check_columns(openings, "park", "x", "y", "opened")
    origin = derived_origin(origin_of(sales), ["area"], origin_of(areas), origin_of(openings))
    sold = sales.groupby(["area", "quarter"], as_index=False)["sales"].sum()
    sold = sold[sold["sales"].astype(float) > 0]
    sold["number"] = [quarter_number(code) for code in sold["quarter"]]
    place = areas.drop_duplicates("area").set_index("area")[["x", "y"]].astype(float)
    opened = np.array([quarter_number(code) for code in openings["opened"]])
    metres = np.hypot(
        place["x"].to_numpy()[:, None] - openings["x"].to_numpy(dtype=float),
        place["y"].to_numpy()[:, None] - openings["y"].to_numpy(dtype=float),
    )
    parts = []
    for event, park in enumerate(openings["park"]):
        others = np.delete(metres < far, event, axis=1)
        meanwhile = np.abs(np.delete(opened, event) - opened[event]) <= 2 * WINDOW
        touched = (others & meanwhile).any(axis=1)
        own = pd.DataFrame({"area": place.index, "metres": metres[:, event]})
        own = own[(own["metres"] < far) & ~touched]
        rows = sold.merge(own, on="area")
        rows["since"] = rows["number"] - opened[event]
        rows = rows[(rows["since"] >= -WINDOW) & (rows["since"] < WINDOW)]
        whole = rows.groupby("area")["since"].transform("nunique") == 2 * WINDOW
        parts.append(rows[whole].assign(event=str(park)))
    out = pd.concat(parts, ignore_index=True)
    out["near"] = (out["metres"] < near).astype(float)
    out["level"] = np.log(out["sales"].astype(float))
    out = pd.DataFrame(out[["event", "area", "quarter", "since", "near", "metres", "level"]])
    out.attrs[KEY] = origin
    return out


def opening_effect(rows: pd.DataFrame) -> pd.DataFrame:
    """One row: by how many per cent sales near a park changed after its opening, beyond those further away (`value`,
    `value_low`, `value_high`), with `areas` near one.
    """
    fit = _fit(rows, [(rows["since"] >= 0).to_numpy()])
    out = _table(rows, ["opening"], "what", fit)
    out["areas"] = rows.loc[rows["near"] == 1, "area"].nunique()
    return out


def event_study(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each quarter since the opening but −1, which all others are compared with: `since`, per cent `value`,
    `value_low`, `value_high`.
    """
    since = _others(rows)
    return _table(rows, since, "since", _event_fit(rows))


def by_distance(rows: pd.DataFrame, edges: Sequence[float]) -> pd.DataFrame:
    """`opening_effect` for bands of distance: `band` (`0–200`), each against the areas beyond the last edge."""
    beyond = rows["metres"] >= edges[-1]
    bands: list[str] = []
    fits: list[Fit] = []
    for low, high in pairwise(edges):
        inside = (rows["metres"] >= low) & (rows["metres"] < high)
        part = rows[inside | beyond].assign(near=inside[inside | beyond].astype(float))
        part.attrs = rows.attrs
        bands.append(f"{low:.0f}–{high:.0f}")
        fits.append(_fit(part, [(part["since"] >= 0).to_numpy()]))
    parts = [_table(rows, [band], "band", fit) for band, fit in zip(bands, fits, strict=True)]
    out = pd.concat([part.reset_index(drop=True) for part in parts], ignore_index=True)
    out.attrs[KEY] = origin_of(rows)
    return out


def pre_trend(rows: pd.DataFrame) -> PreTrend:
    """Whether areas near a park differed already before it opened: all quarters before −1 tested together."""
    from scipy.special import fdtrc  # only where something is estimated

    fit, since = _event_fit(rows), _others(rows)
    before = [place for place, quarter in enumerate(since) if quarter < -1]
    value, covariance = fit.value[before], fit.covariance[np.ix_(before, before)]
    statistic = float(value @ np.linalg.solve(covariance, value)) / len(before)
    groups = rows["area"].nunique()
    df = (len(before), float(groups - 1))
    return PreTrend(statistic, df, float(fdtrc(*df, statistic)))


def _others(rows: pd.DataFrame) -> list[int]:
    return [int(quarter) for quarter in sorted(rows["since"].unique()) if quarter != -1]


def _event_fit(rows: pd.DataFrame) -> Fit:
    return _fit(rows, [(rows["since"] == quarter).to_numpy() for quarter in _others(rows)])


def _fit(rows: pd.DataFrame, moments: Sequence[npt.NDArray[np.bool_]]) -> Fit:
    check_columns(rows, "event", "area", "since", "near", "level")
    near, event = rows["near"].to_numpy(), rows["event"].astype(str)
    x = np.stack([near * moment for moment in moments], axis=1)
    place = (event + "|" + rows["area"].astype(str)).to_numpy()
    time = (event + "|" + rows["since"].astype(str)).to_numpy()
    return fixed_effects(
        rows["level"].to_numpy(), x, effects=[place, time], clusters=[rows["area"].astype(str).to_numpy()]
    )


def _table(rows: pd.DataFrame, keys: Sequence[object], name: str, fit: Fit) -> pd.DataFrame:
    def per_cent(part: Floats) -> Floats:
        return np.asarray(100 * np.expm1(part))

    out = pd.DataFrame({name: list(keys), "value": per_cent(fit.value)})
    out["value_low"], out["value_high"] = per_cent(fit.low), per_cent(fit.high)
    out.attrs[KEY] = origin_of(rows)
    return out
