"""Sums, ratios, differences and shares of noisy cells, with 95 % intervals and the cells that are missing.

The cells of one measure carry independent discrete Gaussian noise of the same σ, so a sum of n cells has noise of
variance n·σ² and, for n ≥ 1 and σ ≥ 1, is Gaussian to well within the printed digits (Canonne, Kamath & Steinke,
The Discrete Gaussian for Differential Privacy, 2020, Prop. 21 and Cor. 27). Two sums are independent but for the
cells that both contain, which `ratio` and `diff` find by their keys: a part and its whole share their noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from civic_kernel.errors import FrameUnsuitable, NoiseShared
from civic_kernel.frames import KEY, AnswerFrame, Origin, check_columns, is_exact, noise_scale, origin_of
from civic_kernel.lost import lost_together
from civic_kernel.wire import OPEN

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = npt.NDArray[np.float64]
#: The normal distribution's 97.5 % point: all intervals here are 95 %.
Z95 = 1.959963984540054
#: Measures of which two cells add up. A person with rows in two cells would be counted twice.
ADDITIVE = frozenset({"count", "sum"})


def total(frame: pd.DataFrame, measure: str | None = None, by: str | Sequence[str] = ()) -> AnswerFrame:
    """Sums of `measure` over all keys but `by`, with the noise of every summed cell.

    Gives the columns of `by`, then `measure`, `measure_low`, `measure_high` (float, the measure's unit),
    `measure_sd` (σ of the noise of the sum), `cells` (how many were summed) and `missing` (how many withheld
    cells the sum lacks, so that it falls short by what they hold; the table's first line names them), `withheld`
    (nothing was left to sum). Without `by`, one row; without `measure`, the answer's only one. A measure `persons`
    is not summed: a person would be counted once in each cell.

    Raises FrameUnsuitable for a frame without that measure or without provenance.
    """
    sums = _sums(frame, measure, by)
    name = sums.measure
    result = sums.table[sums.by].copy()
    sd = np.where(sums.nothing, np.nan, sums.sigma * np.sqrt(sums.cells))
    result[name] = sums.value
    result[f"{name}_low"] = sums.value - half_width(sd)
    result[f"{name}_high"] = sums.value + half_width(sd)
    result[f"{name}_sd"] = sd
    result["cells"] = sums.cells
    result["missing"] = sums.missing
    result["withheld"] = sums.nothing
    return _derived(result, sums.by, sums.gone, sums.origin)


def ratio(
    a: pd.DataFrame,
    b: pd.DataFrame,
    measure: str | None = None,
    of: str | None = None,
    by: str | Sequence[str] = (),
) -> AnswerFrame:
    """`measure` of `a` for each `of` of `b`, both summed over all keys but `by`: rides in September for each in
    August, women's rides as a part of all, rides for each rider.

    Gives the columns of `by`, `ratio`, `ratio_low`, `ratio_high`, `missing` (withheld cells that either sum lacks),
    `withheld` (a sum is empty, or the divisor is not clearly above its own noise, so that no interval is finite).
    The interval is Fieller's (Journal of the Royal Statistical Society B 16:175, 1954), exact for normal errors;
    the delta method was rejected, since it is too narrow just where the divisor is small.

    Raises FrameUnsuitable as `total`; `a` and `b` are answers or selections of their rows, not their totals.
    """
    pair = _paired(a, b, measure, of, by)
    x, y, vx, vy, c = pair.x, pair.y, pair.vx, pair.vy, pair.covariance
    with np.errstate(divide="ignore", invalid="ignore"):
        # (x − θy)² ≤ z²(vx − 2θc + θ²vy), solved for θ; `lead` ≤ 0 leaves no finite interval.
        lead = y**2 - Z95**2 * vy
        middle = x * y - Z95**2 * c
        reach = np.sqrt(np.maximum(middle**2 - lead * (x**2 - Z95**2 * vx), 0.0))
        clear = np.isfinite(x) & np.isfinite(y) & (lead > 0)
        values = [
            np.where(clear, v, np.nan) for v in (x / y, (middle - reach) / lead, (middle + reach) / lead)
        ]
    return _result(pair, "ratio", values)


def diff(
    a: pd.DataFrame,
    b: pd.DataFrame,
    measure: str | None = None,
    minus: str | None = None,
    by: str | Sequence[str] = (),
) -> AnswerFrame:
    """`measure` of `a` minus `minus` of `b`, both summed over all keys but `by`.

    Gives the columns of `by`, `diff`, `diff_low`, `diff_high`, `missing`, `withheld`, as `ratio` does. Cells that
    both sums contain cancel, noise and all. Raises FrameUnsuitable as `ratio`.
    """
    pair = _paired(a, b, measure, minus, by)
    # Rounding may leave a hair under 0 where everything cancels.
    sd = np.sqrt(np.maximum(pair.vx + pair.vy - 2 * pair.covariance, 0.0))
    value = pair.x - pair.y
    return _result(pair, "diff", [value, value - half_width(sd), value + half_width(sd)])


def half_width(sd: Floats | float) -> Floats:
    """Half-width for a whole number with noise of σ `sd`: half a step more, since at σ 3 the steps between what can
    be seen cost up to two points of coverage. Nothing, where there is no noise.
    """
    return np.where(np.asarray(sd) > 0, Z95 * sd + 0.5, sd)


@dataclass(frozen=True)
class _Sums:
    """Sums of one measure by `by`, a row of `table` for each; arrays run along its rows."""

    table: pd.DataFrame
    by: list[str]
    measure: str
    sigma: float
    origin: dict[str, Any]
    value: Floats
    cells: npt.NDArray[np.int64]
    missing: npt.NDArray[np.int64]
    #: The keys of each summed cell, by the row's keys.
    members: dict[tuple[Any, ...], set[tuple[Any, ...]]]
    #: What each withheld cell is called: `중구 2026-01`.
    gone: list[str]

    @property
    def nothing(self) -> npt.NDArray[np.bool_]:
        return np.equal(self.cells, 0)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return list(self.members)


def _sums(frame: pd.DataFrame, measure: str | None, by: str | Sequence[str]) -> _Sums:
    keys = [by] if isinstance(by, str) else list(by)
    origin = origin_of(frame)
    if measure is None:
        found = list(origin["measures"])
        if len(found) != 1:
            raise FrameUnsuitable.say(origin["language"], column="measure=…", known=", ".join(found))
        measure = str(found[0])
    # In the open lane nothing is withheld, and σ is 0: an exact number beside a noisy one, as residents beside rides.
    exact = is_exact(frame, measure)
    check_columns(frame, measure, *([] if exact else ["withheld"]), *keys)
    sigma = noise_scale(frame, measure)
    own = [name for name in origin["keys"] if name in frame.columns]
    withheld = np.zeros(len(frame), dtype=bool) if exact else frame["withheld"].to_numpy(dtype=bool)
    plain = frame[keys].reset_index(drop=True) if keys else pd.DataFrame(index=range(len(frame)))
    plain["_value"] = frame[measure].to_numpy(dtype=float, na_value=np.nan)
    plain["_missing"] = withheld.astype(int)
    plain["_cells"] = 1 - plain["_missing"]
    cells = list(zip(*(frame[name].tolist() for name in own), strict=True)) if own else [()] * len(frame)
    if own == list(origin["keys"]) and len(set(cells)) < len(cells):
        # A cell that stands there twice would be summed as two independent ones.
        raise FrameUnsuitable.say(origin["language"], column=f"1 × ({', '.join(own)})", known=", ".join(own))
    rows = list(zip(*(frame[name].tolist() for name in keys), strict=True)) if keys else [()] * len(frame)
    members: dict[tuple[Any, ...], set[tuple[Any, ...]]] = {} if keys else {(): set()}
    for row, cell, gone in zip(rows, cells, withheld, strict=True):
        members.setdefault(row, set())
        if not gone:
            members[row].add(cell)
    added = ["_value", "_cells", "_missing"]
    if keys:
        # sort=False keeps the policy's order of values, which people know (the official order of gu).
        table = plain.groupby(keys, sort=False, observed=True)[added].sum().reset_index()
    else:
        table = plain[added].sum().to_frame().T
    if origin["measures"][measure]["fn"] not in ADDITIVE and (table["_cells"] + table["_missing"] > 1).any():
        check_columns(frame, f"count({measure})")
    counted = table["_cells"].to_numpy(dtype=np.int64)
    return _Sums(
        table=table,
        by=keys,
        measure=measure,
        sigma=sigma,
        origin=origin,
        value=np.where(counted == 0, np.nan, table["_value"].to_numpy(dtype=float)),
        cells=counted,
        missing=table["_missing"].to_numpy(dtype=np.int64),
        members=members,
        gone=[" ".join(map(str, cell)) for cell, gone in zip(cells, withheld, strict=True) if gone],
    )


@dataclass(frozen=True)
class _Pair:
    """Two sums side by side; arrays run along `keys`, the rows that either of them has."""

    a: _Sums
    b: _Sums
    keys: list[tuple[Any, ...]]
    x: Floats
    y: Floats
    vx: Floats
    vy: Floats
    covariance: Floats
    missing: npt.NDArray[np.int64]


def _paired(
    a: pd.DataFrame, b: pd.DataFrame, measure: str | None, other: str | None, by: str | Sequence[str]
) -> _Pair:
    left, right = _sums(a, measure, by), _sums(b, other if other is not None else measure, by)
    keys = list(dict.fromkeys([*left.rows, *right.rows]))
    x, nx, mx = _along(left, keys)
    y, ny, my = _along(right, keys)
    # Noise is drawn for each answer and measure: only the same one's cells can be the same noise.
    same = left.measure == right.measure and left.origin["answer_id"] == right.origin["answer_id"]
    if not same and _noise_of(left) & _noise_of(right) and left.measure == right.measure:
        # One was made from the other: how much of their noise is one and the same cannot be seen from here, and
        # to take it for independent would give an interval that is too wide for a ratio or too narrow.
        raise NoiseShared.say(left.origin.get("language", "ko"))
    if same:
        # Without its keys a cell cannot be recognised in the other table.
        for frame in (a, b):
            check_columns(frame, *left.origin["keys"])
    none: set[tuple[Any, ...]] = set()
    shared = [len(left.members.get(key, none) & right.members.get(key, none)) if same else 0 for key in keys]
    return _Pair(
        left, right, keys, x, y,
        nx * left.sigma**2, ny * right.sigma**2, np.array(shared, dtype=float) * left.sigma**2,
        (mx + my).astype(np.int64),
    )  # fmt: skip


def _noise_of(sums: _Sums) -> set[str]:
    """The answers in which the noise of these sums was drawn, and the answer itself."""
    origin = sums.origin
    return {*origin.get("noise_of", ()), origin["answer_id"]}


def _along(sums: _Sums, keys: list[tuple[Any, ...]]) -> tuple[Floats, Floats, Floats]:
    """Value, number of cells and number of missing cells along `keys`; a row that is not there has no value."""
    places = {row: place for place, row in enumerate(sums.rows)}
    found = np.array([places.get(key, -1) for key in keys])
    there = found >= 0
    return (
        np.where(there, sums.value[found], np.nan),
        np.where(there, sums.cells[found], 0).astype(float),
        np.where(there, sums.missing[found], 0).astype(float),
    )


def _result(pair: _Pair, name: str, values: list[Floats]) -> AnswerFrame:
    out = pd.DataFrame(pair.keys, columns=pair.a.by) if pair.a.by else pd.DataFrame(index=range(1))
    out[name], out[f"{name}_low"], out[f"{name}_high"] = values
    out["missing"] = pair.missing
    out["withheld"] = ~np.isfinite(values[0])
    gone = list(dict.fromkeys([*pair.a.gone, *pair.b.gone]))
    return _derived(out, pair.a.by, gone, pair.a.origin, pair.b.origin)


def _derived(
    table: pd.DataFrame, keys: list[str], gone: list[str], origin: dict[str, Any], *others: dict[str, Any]
) -> AnswerFrame:
    out = AnswerFrame(table)
    out.attrs[KEY] = Origin(derived_origin(origin, keys, *others), missing=gone)
    return out


def complete(totalled: pd.DataFrame, measure: str) -> pd.DataFrame:
    """`total` (or `ratio`, `diff`) with every row that lacks a withheld cell withheld itself.

    For tables that are published: a reader takes a sum for the whole, and one that lacks eleven of twelve
    months would be believed all the same.
    """
    check_columns(totalled, measure, "missing")
    out = totalled.copy()
    short = out["missing"].to_numpy() > 0
    parts = [measure, f"{measure}_low", f"{measure}_high", f"{measure}_sd"]
    out.loc[short, [name for name in parts if name in out.columns]] = np.nan
    out["withheld"] = out["withheld"].to_numpy(dtype=bool) | short
    return out


def shares(totalled: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Each row's part of the whole, from `total`; adds `share`, `share_low`, `share_high` (0–1).

    Delta method: with x of variance v and total T of variance V = Σv, x a part of T, Var(x/T) is
    ((1−p)²·v + p²·(V−v)) / T² where p = x/T. The noise of T is far below T wherever a share means anything;
    a total that is not clearly above its own noise (4 σ) gives missing shares.
    """
    check_columns(totalled, measure, f"{measure}_sd")
    x = totalled[measure].to_numpy(dtype=float)
    v = totalled[f"{measure}_sd"].to_numpy(dtype=float) ** 2
    total, variance = np.nansum(x), np.nansum(v)
    out = totalled.copy()
    known = total > max(4 * np.sqrt(variance), 0.0)
    p = x / total if known else np.full(len(x), np.nan)
    sd = np.sqrt((1 - p) ** 2 * v + p**2 * (variance - v)) / total if known else p
    out["share"] = p
    out["share_low"] = np.clip(p - Z95 * sd, 0, 1)
    out["share_high"] = np.clip(p + Z95 * sd, 0, 1)
    return out


def derived_origin(origin: dict[str, Any], keys: Sequence[str], *others: dict[str, Any]) -> Origin:
    """Provenance of a computed table: the answers that it stands on, without the per-cell margins."""
    # What is made from both lanes is no exact figure of an open dataset.
    noisy = next((o for o in (origin, *others) if o.get("lane") != OPEN), origin)
    kept = Origin((k, v) for k, v in noisy.items() if k != "measures")
    ids = [o["answer_id"] for o in (origin, *others)]
    kept["answer_id"] = ", ".join(dict.fromkeys(ids))
    kept["measures"] = {}
    # Each answer has a share of its own; of the table made from them only the range is true.
    kept.pop("truncated_share", None)
    kept["lost"] = lost_together([origin, *others])
    kept["keys"] = list(keys)
    for flag in ("synthetic", "made_up", "newer_data", "newer_policy"):
        kept[flag] = any(bool(o.get(flag)) for o in (origin, *others))
    return kept
