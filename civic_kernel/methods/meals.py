"""Children's meal cards: the part of convenience stores, the distance to a proper meal, where a merchant would help.

Shares are of two noisy counts, with Fieller's ranges (`combine.ratio`). A distance is the straight line from a point in
the child's dong to one in the nearest dong with a proper meal; inside a dong with n such merchants it is the mean
distance to the nearest of n points strewn over its area A, ½·√(A/n) (Clark & Evans, Ecology 35:445, 1954). That is
coarse by a few hundred metres, and the same for everyone in a dong.

Where a new merchant would help most is the p-median question (Hakimi, Operations Research 12:450, 1964) for one more
place: opened in dong j it spares the children of each dong i what it brings them nearer,

    gain(j) = Σ_i children(i) · max(0, d(i) − d(i, j)).

Distances are public and exact, children carry privacy noise of one σ in each dong, so gain(j) has the standard error
σ·√Σ_i max(0, d(i) − d(i, j))². Of places whose ranges overlap none can be called the better.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from civic_kernel.frames import KEY, check_columns, noise_scale, origin_of
from civic_kernel.methods.combine import Z95, complete, derived_origin, ratio
from civic_kernel.places import dong_table

Floats = npt.NDArray[np.float64]
CONVENIENCE = "편의점"
#: Trades where a meal is cooked. A bakery and a convenience store sell food, and no meal.
PROPER = ("한식", "분식", "일반대중음식")
#: The dong stands in brackets at the end of a Korean road address.
_DONG = re.compile(r"\(([^()]*?[동가로])(?:,[^()]*)?\)\s*$")


def part_share(part: pd.DataFrame, whole: pd.DataFrame, by: str, measure: str) -> pd.DataFrame:
    """Per cent of `whole` that `part` is, for each value of `by` but `other`: `share`, `share_low`, `share_high`,
    `withheld`, `above` (the whole range is above the share of all together).

    Two answers, of which `part` counts what meets one condition more: uses at convenience stores and all uses. One
    answer by trade too was rejected: its smallest trades are withheld, and with them every share. Raises
    FrameUnsuitable.
    """
    known, every = (frame[frame[by].astype(str) != "other"] for frame in (part, whole))
    out = _per_cent(complete(ratio(known, every, measure, by=by), "ratio"))
    shown = ~out["withheld"].to_numpy(dtype=bool)
    parts = (
        known[measure].to_numpy(dtype=float, na_value=np.nan),
        every[measure].to_numpy(dtype=float, na_value=np.nan),
    )
    overall = 100 * parts[0][shown].sum() / parts[1][shown].sum() if shown.any() else np.nan
    out["above"] = (out["share_low"] > overall).fillna(False).astype(bool)
    return out


def merchants_by_dong(merchants: pd.DataFrame) -> pd.DataFrame:
    """`code`, `gu`, `dong`, `x`, `y` (km), `km2`, `meals` (merchants with a proper meal) of all 467 legal dong.

    `merchants` are rows with `trade`, `gu`, `address`. One whose address names no dong of its gu counts nowhere: it is
    in `attrs["unplaced"]`.
    """
    check_columns(merchants, "trade", "gu", "address")
    out = pd.DataFrame(dong_table(), columns=["code", "gu", "dong", "x", "y", "km2"])
    place = {(gu, dong): n for n, (gu, dong) in enumerate(zip(out["gu"], out["dong"], strict=True))}
    counts, unplaced = np.zeros(len(out), dtype=int), 0
    cooked = merchants[merchants["trade"].isin(PROPER)]
    for gu, address in zip(cooked["gu"], cooked["address"], strict=True):
        named = _DONG.search(address) if isinstance(address, str) else None
        found = place.get((gu, named[1])) if named else None
        if found is None:
            unplaced += 1
        else:
            counts[found] += 1
    out["meals"] = counts
    out.attrs[KEY] = derived_origin(origin_of(merchants), ["code"])
    out.attrs["unplaced"] = unplaced
    return out


def distances(places: pd.DataFrame) -> Floats:
    """Kilometres between all dong of `merchants_by_dong`, (n, n); inside one, to its nearest proper meal, or to one
    that would be opened there.
    """
    x, y, km2, meals = (places[name].to_numpy(dtype=float) for name in ("x", "y", "km2", "meals"))
    between = np.hypot(x[:, None] - x[None, :], y[:, None] - y[None, :])
    np.fill_diagonal(between, 0.5 * np.sqrt(km2 / np.maximum(meals, 1)))
    return np.asarray(between)


def new_places(
    children: pd.DataFrame, places: pd.DataFrame, *, by: str = "home_dong", measure: str = "children"
) -> pd.DataFrame:
    """What one more merchant would spare, dong by dong, highest first: `code`, `gu`, `dong`, `nearest` (km now),
    `gain`, `gain_low`, `gain_high` (child-kilometres, one way), `clear` (the whole range is above 0).

    `children` is an answer by dong code; a dong that is withheld in it counts as if nobody lived there, so that gains
    are of those who may be shown. Dong that no child would come nearer to are left out.
    """
    check_columns(children, by, measure, "withheld")
    known = children.set_index(by)[measure].astype(float).reindex(places["code"])
    shown = known.notna().to_numpy()
    counted = np.asarray(known.fillna(0).to_numpy(), dtype=np.float64)
    gain, sd = _gains(counted, shown, places, noise_scale(children, measure))
    out = places[["code", "gu", "dong"]].assign(
        nearest=nearest(places), gain=gain, gain_low=gain - Z95 * sd, gain_high=gain + Z95 * sd
    )
    out["clear"] = out["gain_low"] > 0
    out = out[sd > 0].sort_values(["gain", "code"], ascending=[False, True]).reset_index(drop=True)
    out.attrs[KEY] = derived_origin(origin_of(children), ["code"], origin_of(places))
    return out


def nearest(places: pd.DataFrame) -> Floats:
    """Kilometres from each dong to a proper meal."""
    return np.asarray(distances(places)[:, places["meals"].to_numpy() > 0].min(axis=1))


def _gains(
    children: Floats, shown: npt.NDArray[np.bool_], places: pd.DataFrame, sigma: float
) -> tuple[Floats, Floats]:
    """Gain of each dong and its standard error, over the dong that are `shown`."""
    spared = np.maximum(nearest(places)[:, None] - distances(places), 0.0) * shown[:, None]
    return np.asarray(children @ spared), np.asarray(sigma * np.sqrt((spared**2).sum(axis=0)))


def _per_cent(found: pd.DataFrame) -> pd.DataFrame:
    names: Sequence[tuple[str, str]] = [
        ("ratio", "share"),
        ("ratio_low", "share_low"),
        ("ratio_high", "share_high"),
    ]
    out = found.rename(columns=dict(names))
    for _, name in names:
        # Noise may carry a part beyond its whole; no part is.
        out[name] = (100 * out[name]).clip(0, 100)
    out.attrs = found.attrs
    return out
