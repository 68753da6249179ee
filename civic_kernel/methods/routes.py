"""Where bikes go: flows between gu, along corridors, and how many rides stay in their gu.

All figures are sums of cells of one answer by start and end, each with noise of the same σ, so that a sum of n cells
has the standard error σ·√n. A corridor is a row of neighbouring gu along a stream, which is where Seoul's long bike
paths lie; its rides are those between gu that follow each other in the row, in both directions. Which street a ride
takes is in no file, so that this is riding *between the places along* the stream, an upper bound for the path itself.

Routing every pair of gu over its shortest way was rejected: most pairs that are not neighbours have so few rides that
their cells are withheld, and a sum of only those that chance lifted over the limit says too much.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from civic_kernel.frames import KEY, check_columns, noise_scale, origin_of
from civic_kernel.methods.combine import complete, derived_origin, half_width, ratio

Floats = npt.NDArray[np.float64]

#: Streams with bike paths on their banks, and the gu along them in order.
CORRIDORS: dict[str, tuple[str, ...]] = {
    "han-south": ("강서구", "영등포구", "동작구", "서초구", "강남구", "송파구", "강동구"),
    "han-north": ("마포구", "용산구", "성동구", "광진구"),
    "jungnang": ("도봉구", "노원구", "중랑구", "동대문구", "성동구"),
    "anyang": ("금천구", "구로구", "영등포구", "양천구", "강서구"),
    "cheonggye": ("종로구", "중구", "동대문구", "성동구"),
    "hongje": ("은평구", "서대문구", "마포구"),
    "dorim": ("관악구", "동작구", "구로구", "영등포구"),
    "tan": ("서초구", "강남구", "송파구"),
}


def links(
    flows: pd.DataFrame, *, start: str = "start_gu", end: str = "end_gu", measure: str = "rides"
) -> pd.DataFrame:
    """Rides between each two gu, both directions added, most first: `a`, `b`, `rides`, `rides_low`, `rides_high`,
    `withheld` (either direction is), which stand last. Rides within a gu and those of an unknown place are no links.

    `flows` is an answer by start and end with one row for each pair. Raises FrameUnsuitable.
    """
    cells, sigma = _cells(flows, start, end, measure)
    places = sorted({place for pair in cells for place in pair})
    pairs = [(a, b) for n, a in enumerate(places) for b in places[n + 1 :]]
    out = pd.DataFrame(pairs, columns=["a", "b"])
    _add_sums(out, [[(a, b), (b, a)] for a, b in pairs], cells, sigma)
    out = out.sort_values(["rides", "a", "b"], ascending=[False, True, True]).reset_index(drop=True)
    out.attrs[KEY] = derived_origin(origin_of(flows), ["a", "b"])
    return out


def corridors(
    flows: pd.DataFrame, *, start: str = "start_gu", end: str = "end_gu", measure: str = "rides"
) -> pd.DataFrame:
    """Rides along each corridor, most first: `corridor`, `rides`, `rides_low`, `rides_high`, `withheld` (one of
    its cells is). Raises FrameUnsuitable as `links`.
    """
    cells, sigma = _cells(flows, start, end, measure)
    out = pd.DataFrame({"corridor": list(CORRIDORS)})
    steps = [[pair for a, b in pairwise(row) for pair in ((a, b), (b, a))] for row in CORRIDORS.values()]
    _add_sums(out, steps, cells, sigma)
    out = out.sort_values(["rides", "corridor"], ascending=[False, True]).reset_index(drop=True)
    out.attrs[KEY] = derived_origin(origin_of(flows), ["corridor"])
    return out


def staying(
    flows: pd.DataFrame,
    rides: pd.DataFrame,
    *,
    start: str = "start_gu",
    end: str = "end_gu",
    measure: str = "rides",
) -> pd.DataFrame:
    """Per cent of each gu's rides that end in it: `start`'s name, `share`, `share_low`, `share_high`, `withheld`.

    `rides` is another answer, by `start` (and finer keys), of the same rides. The sum over all ends of `flows` was
    rejected as the whole: it lacks the withheld ends. Raises FrameUnsuitable.
    """
    check_columns(flows, start, end, measure)
    within = flows[flows[start].astype(str) == flows[end].astype(str)]
    out = complete(ratio(within, rides, measure, by=start), "ratio")
    out = out[out[start].astype(str) != "other"].reset_index(drop=True)
    for name, old in (("share", "ratio"), ("share_low", "ratio_low"), ("share_high", "ratio_high")):
        # Noise may carry a part beyond its whole; no part is.
        out[name] = (100 * out.pop(old)).clip(0, 100)
    out.attrs[KEY] = derived_origin(origin_of(flows), [start], origin_of(rides))
    return out


def _cells(
    flows: pd.DataFrame, start: str, end: str, measure: str
) -> tuple[dict[tuple[str, str], float], float]:
    """Value of each cell by start and end (NaN: withheld), without unknown places; σ of their noise."""
    check_columns(flows, start, end, measure, "withheld")
    known = flows[(flows[start].astype(str) != "other") & (flows[end].astype(str) != "other")]
    if known.duplicated([start, end]).any():
        # By month too, a cell would stand for whichever month came last.
        check_columns(flows, f"1 × ({start}, {end})")
    value = known[measure].to_numpy(dtype=float, na_value=np.nan)
    value = np.where(known["withheld"].to_numpy(dtype=bool), np.nan, value)
    keys = zip(known[start].astype(str), known[end].astype(str), strict=True)
    return dict(zip(keys, value.tolist(), strict=True)), noise_scale(flows, measure)


def _add_sums(
    out: pd.DataFrame,
    members: list[list[tuple[str, str]]],
    cells: dict[tuple[str, str], float],
    sigma: float,
) -> None:
    """Columns of the sum over each row's cells. A sum that lacks one is withheld as a whole: it would fall short."""
    nan = float("nan")
    values = np.array([sum(cells.get(cell, nan) for cell in row) for row in members])
    wide = half_width(np.array([sigma * len(row) ** 0.5 for row in members]))
    out["rides"], out["rides_low"], out["rides_high"] = values, values - wide, values + wide
    out["withheld"] = ~np.isfinite(values)
