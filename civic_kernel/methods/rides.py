"""Sums and shares of noisy counts.

The cells of one answer carry independent discrete Gaussian noise of the same σ, so a sum of n cells has
noise of variance n·σ² and, for n ≥ 1 and σ ≥ 1, is Gaussian to well within the printed digits (Canonne,
Kamath & Steinke, The Discrete Gaussian for Differential Privacy, 2020, Prop. 21 and Cor. 27).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from civic_kernel.frames import KEY, check_columns, noise_scale, origin_of

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The normal distribution's 97.5 % point: all intervals here are 95 %.
Z95 = 1.959963984540054


def totals(frame: pd.DataFrame, measure: str, by: str | Sequence[str] = ()) -> pd.DataFrame:
    """Sums of `measure` over all keys but `by`, with the noise of every summed cell.

    Gives the columns of `by`, then `measure`, `measure_low`, `measure_high` (float, the measure's unit),
    `measure_sd` (σ of the noise of the sum), `cells` (how many were summed) and `missing` (how many withheld
    cells the sum lacks, so that it falls short by what they hold), `withheld` (nothing was left to sum).
    Without `by`, one row. For a measure `persons` a sum counts a person once in each cell, which is not a
    number of people: it is refused.

    Raises FrameUnsuitable for a frame without that measure or without provenance.
    """
    keys = [by] if isinstance(by, str) else list(by)
    check_columns(frame, measure, "withheld", *keys)
    origin = origin_of(frame)
    sigma = noise_scale(frame, measure)
    if origin["measures"][measure]["fn"] != "count":
        check_columns(frame, f"count({measure})")
    plain = pd.DataFrame(
        {
            **{key: frame[key].to_numpy() for key in keys},
            measure: frame[measure].to_numpy(dtype=float, na_value=np.nan),
            "missing": frame["withheld"].to_numpy(dtype=bool).astype(int),
        }
    )
    plain["cells"] = 1 - plain["missing"]
    columns = [measure, "cells", "missing"]
    if keys:
        # sort=False keeps the policy's order of values, which people know (the official order of gu).
        out = plain.groupby(keys, sort=False, observed=True)[columns].sum().reset_index()
    else:
        out = plain[columns].sum().to_frame().T
    sd = sigma * np.sqrt(out["cells"].to_numpy(dtype=float))
    nothing = out["cells"].to_numpy() == 0
    value = np.where(nothing, np.nan, out[measure].to_numpy(dtype=float))
    result = pd.DataFrame({key: out[key] for key in keys})
    result[measure] = value
    result[f"{measure}_low"] = value - Z95 * sd
    result[f"{measure}_high"] = value + Z95 * sd
    result[f"{measure}_sd"] = np.where(nothing, np.nan, sd)
    result["cells"] = out["cells"].to_numpy(dtype=int)
    result["missing"] = out["missing"].to_numpy(dtype=int)
    result["withheld"] = nothing
    result.attrs[KEY] = derived_origin(origin, keys)
    return result


def complete(totalled: pd.DataFrame, measure: str) -> pd.DataFrame:
    """`totals` with every sum that lacks a withheld cell withheld itself.

    For tables that are published: a reader takes a sum for the whole, and one that lacks eleven of twelve
    months would be believed all the same.
    """
    check_columns(totalled, measure, "missing")
    out = totalled.copy()
    short = out["missing"].to_numpy() > 0
    out.loc[short, [measure, f"{measure}_low", f"{measure}_high", f"{measure}_sd"]] = np.nan
    out["withheld"] = out["withheld"].to_numpy(dtype=bool) | short
    return out


def shares(totalled: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Each row's part of the whole, from `totals`; adds `share`, `share_low`, `share_high` (0–1).

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


def derived_origin(origin: dict[str, Any], keys: Sequence[str], *others: dict[str, Any]) -> dict[str, Any]:
    """Provenance of a computed table: the answers that it stands on, without the per-cell margins."""
    kept = {k: v for k, v in origin.items() if k != "measures"}
    ids = [o["answer_id"] for o in (origin, *others)]
    kept["answer_id"] = ", ".join(dict.fromkeys(ids))
    kept["measures"] = {}
    kept["keys"] = list(keys)
    for flag in ("synthetic", "made_up", "newer_data", "newer_policy"):
        kept[flag] = any(bool(o.get(flag)) for o in (origin, *others))
    return kept
