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

Beside it, for parks of any age: how sales of a year differ from the year before, area by area on the log scale, near a
park and further away, in each gu and at each distance. Ranges of means and of their differences are Welch's (Biometrika
34:28, 1947): some gu have four areas near a park, and near and far need not vary alike.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from civic_kernel.frames import KEY, check_columns, origin_of
from civic_kernel.methods.combine import derived_origin
from civic_kernel.methods.panel import Fit, Floats, fixed_effects, quantile_975

#: Metres: a walk of five minutes, and of ten to fifteen.
NEAR, FAR = 400.0, 1200.0
#: Quarters before and after an opening that are compared.
WINDOW = 4
#: Areas on one side of a comparison under which nothing is said.
LEAST = 3
#: Metres east and north on the grid (EPSG:5181) between which all of its belt lies; degrees, or metres of another grid
#: in the same column, are no place on it.
_EAST, _NORTH = (0.0, 400_000.0), (300_000.0, 800_000.0)
#: `2005.6.18`, `1940. 03. 12`, `1971.8 6`, `2002.3`: how people type a date.
_DATE = re.compile(r"\s*(\d{4})[.\s]+(\d{1,2})(?:[.\s]+\d{1,2})?[.\s]*")


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


def month_of(date: object) -> str | None:
    """The month (`2025-04`) of a park's date of opening as it was typed; None where it names none, or nothing."""
    found = _DATE.fullmatch(date) if isinstance(date, str) else None
    if found is None or not 1 <= int(found[2]) <= 12:
        return None
    return f"{found[1]}-{int(found[2]):02d}"


def quarter_of(date: object) -> int | None:
    """The quarter (`20252`) of the same date, or None."""
    month = month_of(date)
    return None if month is None else 10 * int(month[:4]) + (int(month[5:]) + 2) // 3


def months_of(first: int, last: int) -> list[str]:
    """The months from the first of one quarter to the last of another: `2025-01` … `2025-03` for 20251 and 20251."""
    start, end = 3 * quarter_number(first), 3 * quarter_number(last) + 3
    return [f"{month // 12}-{month % 12 + 1:02d}" for month in range(start, end)]


def openings(parks: pd.DataFrame, quarters: Sequence[int]) -> pd.DataFrame:
    """The parks that opened with WINDOW quarters of sales before and after, for `stack`: `park`, `gu`, `x`, `y`,
    `opened` (quarter), `month` (of the date), by month and name. A park without a date, or a place, cannot be one.

    `parks` has `park`, `gu`, and as typed `opened`, `x`, `y` (metres); `quarters` are those of the sales.
    """
    check_columns(parks, "park", "gu", "opened", "x", "y")
    out = parks[["park", "gu"]].copy()
    out["x"], out["y"] = _place(parks)
    out["month"] = [month_of(date) for date in parks["opened"]]
    out["opened"] = [quarter_of(date) for date in parks["opened"]]
    out = out.dropna()
    numbers = [quarter_number(quarter) for quarter in quarters]
    first, last = min(numbers) + WINDOW, max(numbers) - WINDOW + 1
    within = [first <= quarter_number(int(quarter)) <= last for quarter in out["opened"]]
    # An empty list would be read as a choice of columns.
    out = out[np.array(within, dtype=bool)].astype({"opened": int})
    out = out.sort_values(["month", "park"], ignore_index=True)
    out.attrs[KEY] = derived_origin(origin_of(parks), ["park"])
    return out


def stack(
    sales: pd.DataFrame, areas: pd.DataFrame, openings: pd.DataFrame, *, near: float = NEAR, far: float = FAR
) -> pd.DataFrame:
    """One row for each event, area and quarter in its window: `event` (the place in `openings`), `area`, `quarter`,
    `since` (quarters since the opening), `near` (0 or 1), `metres`, `level` (log sales).

    `sales` has `area`, `quarter` (`20241`), `sales` (won; rows of one area and quarter are added up); `areas` has
    `area`, `x`, `y`; `openings` has `x`, `y`, `opened` (quarter), metres on the same grid. An area is kept in an event
    where it has sales in every quarter of the window; a comparison area that lies near another opening of the same
    years is left out of it. Raises FrameUnsuitable.
    """
    check_columns(sales, "area", "quarter", "sales")
    check_columns(areas, "area", "x", "y")
    check_columns(openings, "x", "y", "opened")
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
    parts = [sold.iloc[:0].assign(event=0, metres=0.0, since=0)]
    for event in range(len(openings)):
        others = np.delete(metres < far, event, axis=1)
        meanwhile = np.abs(np.delete(opened, event) - opened[event]) <= 2 * WINDOW
        touched = (others & meanwhile).any(axis=1)
        own = pd.DataFrame({"area": place.index, "metres": metres[:, event]})
        own = own[(own["metres"] < far) & ~touched]
        rows = sold.merge(own, on="area")
        rows["since"] = rows["number"] - opened[event]
        rows = rows[(rows["since"] >= -WINDOW) & (rows["since"] < WINDOW)]
        whole = rows.groupby("area")["since"].transform("nunique") == 2 * WINDOW
        parts.append(rows[whole].assign(event=event))
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
    """One row for each quarter since the opening: `since`, its name `when` (`quarter-4` … `quarter+3`), per cent
    `value`, `value_low`, `value_high`. Quarter −1, with which all others are compared, is 0 by that.
    """
    found = _table(rows, _others(rows), "since", _event_fit(rows))
    zero = pd.DataFrame({"since": [-1], "value": [0.0], "value_low": [0.0], "value_high": [0.0]})
    out = pd.concat([pd.DataFrame(found), zero]).sort_values("since", ignore_index=True)
    out["when"] = [f"quarter{since:+d}" for since in out["since"]]
    out.attrs[KEY] = origin_of(rows)
    return out


def by_distance(rows: pd.DataFrame, edges: Sequence[float]) -> pd.DataFrame:
    """`opening_effect` for bands of distance, keyed `band` (`0–200`), each against the areas beyond the last edge; with
    fewer than LEAST areas on either side a band has no value.
    """
    beyond = rows["metres"] >= edges[-1]
    parts = []
    for low, high in pairwise(edges):
        inside = (rows["metres"] >= low) & (rows["metres"] < high)
        part = rows[inside | beyond].assign(near=inside[inside | beyond].astype(float))
        part.attrs = rows.attrs
        found = opening_effect(part) if can_compare(part) else pd.DataFrame({"value": [np.nan], "areas": [0]})
        parts.append(pd.DataFrame(found).assign(band=f"{low:.0f}–{high:.0f}"))
    out = pd.concat(parts, ignore_index=True).reindex(
        columns=["band", "value", "value_low", "value_high", "areas"]
    )
    out.attrs[KEY] = origin_of(rows)
    return out


def by_trade(sales: pd.DataFrame, areas: pd.DataFrame, openings: pd.DataFrame) -> pd.DataFrame:
    """`opening_effect` for each `trade` of `sales` alone, in the areas that have it, keyed `trade`. One with fewer than
    LEAST areas near an opening, or further away, has no value.
    """
    check_columns(sales, "trade")
    lines = []
    for trade, part in sales.groupby("trade", sort=True):
        alone = pd.DataFrame(part)
        alone.attrs[KEY] = origin_of(sales)
        rows = stack(alone, areas, openings)
        if can_compare(rows):
            lines.append(opening_effect(rows).assign(trade=trade))
        else:
            lines.append(pd.DataFrame({"trade": [trade], "value": np.nan, "areas": 0}))
    out = pd.concat([pd.DataFrame(line) for line in lines], ignore_index=True)
    out = out.reindex(columns=["trade", "value", "value_low", "value_high", "areas"])
    out.attrs[KEY] = derived_origin(origin_of(sales), ["trade"], origin_of(areas), origin_of(openings))
    return out


def can_compare(rows: pd.DataFrame) -> bool:
    """Whether `stack` found LEAST areas near an opening and as many further away, in one event at least."""
    sides = rows.groupby(["event", "near"])["area"].nunique().unstack(fill_value=0)
    return len(sides.columns) == 2 and bool((sides >= LEAST).all(axis=1).any())


def yearly(sales: pd.DataFrame, areas: pd.DataFrame, parks: pd.DataFrame) -> pd.DataFrame:
    """One row for each area that sold something in each of the last eight quarters: `area`, `gu`, `metres` to the
    nearest park, `change` (log of the last four quarters' sales over those of the four before), `sales` (won, the last
    four quarters).

    `sales` and `areas` as `stack` takes them, `areas` with `gu`; `parks` has `x`, `y`, `opened`, as typed. A park that
    opened after those quarters is left out; one whose date is not written down is taken to stand already.
    """
    check_columns(sales, "area", "quarter", "sales")
    check_columns(areas, "area", "gu", "x", "y")
    check_columns(parks, "x", "y", "opened")
    number = np.array([quarter_number(code) for code in sales["quarter"]])
    last = int(number.max())
    stands = [(code := quarter_of(date)) is None or quarter_number(code) <= last for date in parks["opened"]]
    at = np.stack(_place(parks), axis=1)[stands]
    at = at[np.isfinite(at).all(axis=1)]
    sold = sales.assign(number=number)[number > last - 2 * WINDOW]
    sold = sold.groupby(["area", "number"])["sales"].sum().astype(float).unstack()
    sold = sold[(sold > 0).all(axis=1)]
    before, after = sold.iloc[:, :WINDOW].sum(axis=1), sold.iloc[:, WINDOW:].sum(axis=1)
    out = areas.drop_duplicates("area").set_index("area").loc[lambda a: a.index.isin(sold.index)]
    xy = out[["x", "y"]].to_numpy(dtype=float)
    metres = np.hypot(*(xy[:, None] - at[None]).transpose(2, 0, 1)).min(axis=1, initial=np.inf)
    out = pd.DataFrame({"gu": out["gu"], "metres": metres})
    out["change"], out["sales"] = np.log(after / before), after
    out = out.reset_index()
    out.attrs[KEY] = derived_origin(origin_of(sales), ["area"], origin_of(areas), origin_of(parks))
    return out


def change_by_gu(rows: pd.DataFrame, gu: Sequence[str], *, near: float = NEAR) -> pd.DataFrame:
    """One row for each of `gu`: per cent by which sales changed within `near` metres of a park (`near`) and further
    away (`far`), and by which the first changed more than the second (`value`), each with its range; `areas` near a
    park; `above` (all of the range of `value` is above 0).

    `rows` are those of `yearly`. A side with fewer than LEAST areas has no figure, and the gu then no `value`.
    """
    close = rows["metres"] < near
    lines = []
    for name in gu:
        here = rows["gu"] == name
        sides = [rows.loc[here & side, "change"].to_numpy(dtype=float) for side in (close, ~close)]
        line: dict[str, object] = {"gu": name, "areas": len(sides[0])}
        for said, samples in (("near", sides[:1]), ("far", sides[1:]), ("value", sides)):
            line |= dict(zip((said, f"{said}_low", f"{said}_high"), _welch(samples), strict=True))
        lines.append(line)
    out = pd.DataFrame(lines)
    out["above"] = out["value_low"] > 0
    out.attrs[KEY] = derived_origin(origin_of(rows), ["gu"])
    return out


def change_by_band(rows: pd.DataFrame, edges: Sequence[float]) -> pd.DataFrame:
    """One row for each band of distance from the nearest park (`0–200`, …, `800–`), keyed `band`: per cent by which
    sales changed (`value` and its range), `areas`, and `sales`, the million won that the middle one of them sold in
    the last four quarters. `rows` are those of `yearly`.
    """
    lines = []
    for low, high in pairwise([*edges, np.inf]):
        part = rows[(rows["metres"] >= low) & (rows["metres"] < high)]
        value, below, above = _welch([part["change"].to_numpy(dtype=float)])
        middle = float(part["sales"].median()) / 1e6 if len(part) >= LEAST else np.nan
        band = f"{low:.0f}–" + (f"{high:.0f}" if np.isfinite(high) else "")
        lines.append(
            {"band": band, "areas": len(part), "sales": middle}
            | {"value": value, "value_low": below, "value_high": above}
        )
    out = pd.DataFrame(lines)
    out.attrs[KEY] = derived_origin(origin_of(rows), ["band"])
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


def _place(parks: pd.DataFrame) -> tuple[Floats, Floats]:
    """Metres east and north of each park, (n,); not a number where what was typed is no place on the grid."""
    x, y = (pd.to_numeric(parks[name], errors="coerce").to_numpy(dtype=float) for name in ("x", "y"))
    there = (x > _EAST[0]) & (x < _EAST[1]) & (y > _NORTH[0]) & (y < _NORTH[1])
    return np.where(there, x, np.nan), np.where(there, y, np.nan)


def _welch(samples: Sequence[Floats]) -> tuple[float, float, float]:
    """Per cent, low and high, of the mean of one sample of logs, or of the first's mean less the second's."""
    if any(len(sample) < LEAST for sample in samples):
        return np.nan, np.nan, np.nan
    parts = [float(sample.var(ddof=1)) / len(sample) for sample in samples]
    mean = float(samples[0].mean()) - sum(float(sample.mean()) for sample in samples[1:])
    total = sum(parts)
    below = sum(part**2 / (len(sample) - 1) for part, sample in zip(parts, samples, strict=True))
    reach = quantile_975(total**2 / below) * total**0.5 if below > 0 else 0.0
    value, low, high = (float(100 * np.expm1(log)) for log in (mean, mean - reach, mean + reach))
    return value, low, high


def _table(rows: pd.DataFrame, keys: Sequence[object], name: str, fit: Fit) -> pd.DataFrame:
    def per_cent(part: Floats) -> Floats:
        return np.asarray(100 * np.expm1(part))

    out = pd.DataFrame({name: list(keys), "value": per_cent(fit.value)})
    out["value_low"], out["value_high"] = per_cent(fit.low), per_cent(fit.high)
    out.attrs[KEY] = origin_of(rows)
    return out
