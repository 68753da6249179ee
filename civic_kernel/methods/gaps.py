"""Where bike lanes and stations are missing for the riding that there is.

**Lanes.** Kilometres of lanes K are public and exact, rides R carry the noise of their answer. A gu with the city's own
ratio would have R_i · ΣK/ΣR kilometres; what it lacks of them is

    missing_i = R_i · ΣK/ΣR − K_i,

with the delta method's variance: of R_i·c with c = ΣK/ΣR, Var = c²·((1 − 2p_i)·v_i + p_i²·Σv), p_i = R_i/ΣR. Roads
where bikes have priority among cars are no lanes here. The city's own ratio is a comparison and no norm: it spreads
lanes fairly, and says nothing of how many there should be.

**Stations.** What one more station spares is the p-median question (Hakimi, Operations Research 12:450, 1964), placed
greedily one after another (Cornuéjols, Fisher & Nemhauser, Management Science 23:789, 1977: at least 1 − 1/e of the
best choice), since neighbours compete for the same people. Demand is a gu's rides, spread over its dong by residents
and jobs, and over a dong evenly: people who have no station may not ride today, and would as their gu does. With d the
way to the nearest station and q running over the ground, a station at p spares

    spared(p) = Σ_q demand(q) · max(0, d(q) − |p − q|)   kilometres of walking, one way.

It is linear in the 25 counts of rides, so that their noise gives its range; the ground, people and stations are public.
A dong that is half mountain has its people in the other half, and there what is spared is told too high or too low.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from civic_kernel.frames import KEY, check_columns, origin_of
from civic_kernel.methods.combine import Z95, derived_origin
from civic_kernel.places import KM_PER_DEGREE, dong_ground, dong_table

Floats = npt.NDArray[np.float64]

#: Kinds of lanes where a bike is apart from cars.
LANES = ("separate_km", "footpath_km", "lane_km")
#: Rates are for this many rides.
PER = 100_000
#: "Clearly short": with the whole range a gu lacks more than this part of what its riding asks for.
CLEARLY = 0.4
#: Kilometres within which a new station can be anybody's nearest.
_WALK = 1.2
#: An exposure under this many σ of its own noise gives no figure (as in `rates`).
_SIGMAS = 4.0


def lanes_missing(
    lanes: pd.DataFrame,
    rides: pd.DataFrame,
    *,
    by: str = "gu",
    rides_by: str = "start_gu",
    measure: str = "rides",
) -> pd.DataFrame:
    """One row for each gu of `rides` but `other`: `gu`, `km`, `per` (km for 100,000 rides) and `missing` (km) with
    their `_low` and `_high`, `short` (clearly fewer lanes than its riding asks for), `withheld`.

    `rides` is a `combine.total` by gu (completed); `lanes` are rows of the open table. A gu whose rides are withheld,
    or that the lanes' table lacks, has no figure and counts in no sum. Raises FrameUnsuitable.
    """
    check_columns(lanes, by, *LANES)
    check_columns(rides, rides_by, measure, f"{measure}_sd", "withheld")
    seen = rides[rides[rides_by].astype(str) != "other"]
    laid = lanes.drop_duplicates(by).set_index(by)[list(LANES)].astype(float).sum(axis=1)
    km = laid.reindex(seen[rides_by].to_numpy()).to_numpy(dtype=float)
    r = seen[measure].to_numpy(dtype=float, na_value=np.nan)
    v = seen[f"{measure}_sd"].to_numpy(dtype=float, na_value=np.nan) ** 2
    usable = np.isfinite(r) & np.isfinite(km) & ~seen["withheld"].to_numpy(dtype=bool)
    usable &= r > _SIGMAS * np.sqrt(np.where(usable, v, np.inf))
    r, v, km = (np.where(usable, part, np.nan) for part in (r, v, km))
    whole, noise = np.nansum(r), np.nansum(v)
    c = np.nansum(km) / whole if usable.any() else np.nan
    p = r / whole if usable.any() else r
    sd = c * np.sqrt((1 - 2 * p) * v + p**2 * noise)
    missing = r * c - km
    reach = Z95 * np.sqrt(v)
    out = pd.DataFrame({"gu": seen[rides_by].to_numpy(), "km": km})
    out["per"], out["per_low"], out["per_high"] = (PER * km / n for n in (r, r + reach, r - reach))
    out["missing"], out["missing_low"], out["missing_high"] = missing, missing - Z95 * sd, missing + Z95 * sd
    out["short"] = np.where(usable, out["missing_low"] > CLEARLY * r * c, False).astype(bool)
    out["withheld"] = ~usable
    out.attrs[KEY] = derived_origin(origin_of(rides), ["gu"], origin_of(lanes))
    return out


def new_stations(
    stations: pd.DataFrame,
    dongs: pd.DataFrame,
    rides: pd.DataFrame,
    *,
    count: int = 10,
    rides_by: str = "start_gu",
    measure: str = "rides",
) -> pd.DataFrame:
    """Where `count` more stations would spare most walking, the first most: `rank` (1 …), `gu`, `dong`, `lat`, `lon`,
    `away` (km to a station before), `spared`, `spared_low`, `spared_high` (km walked to rides, one way).

    `stations` are rows with `lat`, `lon`, `gu`; `dongs` rows with `dong_code`, `residents`, `jobs`; `rides` a
    `combine.total` by gu (completed). Nobody counts of a gu that is withheld or not above its
    noise. Raises FrameUnsuitable.
    """
    check_columns(stations, "lat", "lon")
    check_columns(dongs, "dong_code", "residents", "jobs")
    check_columns(rides, rides_by, measure, f"{measure}_sd", "withheld")
    table = dong_table()
    codes, gu_of = [row[0] for row in table], np.array([row[1] for row in table])
    names, gu = np.unique(gu_of, return_inverse=True)
    known = rides.set_index(rides_by).reindex(names)
    shown = ~known["withheld"].astype("boolean").fillna(True).to_numpy(dtype=bool)
    shown &= (known[measure] > _SIGMAS * known[f"{measure}_sd"]).to_numpy(dtype=bool)
    r, sd = (
        np.where(shown, known[name].to_numpy(dtype=float, na_value=0.0), 0.0)
        for name in (measure, f"{measure}_sd")
    )
    there = stations[["lon", "lat"]].to_numpy(dtype=float) * np.array(KM_PER_DEGREE)
    ground, own = dong_ground()
    # Of a gu's rides: what starts at each point of the ground.
    share = _share_of_gu(dongs, codes, gu_of)[own] / np.bincount(own)[own]
    places, away, weights = _place(there[np.isfinite(there).all(axis=1)], share, gu[own], r, count)
    out = pd.DataFrame({"rank": np.arange(1, len(places) + 1)})
    out["gu"], out["dong"] = gu_of[own[places]], [table[dong][2] for dong in own[places]]
    out["lon"], out["lat"] = (ground[places, axis] / scale for axis, scale in enumerate(KM_PER_DEGREE))
    out["away"] = away
    out["spared"], reach = weights @ r, Z95 * np.sqrt(weights**2 @ sd**2)
    out["spared_low"], out["spared_high"] = out["spared"] - reach, out["spared"] + reach
    out.attrs[KEY] = derived_origin(origin_of(rides), ["rank"], origin_of(stations), origin_of(dongs))
    return out


def _place(
    there: Floats, share: Floats, gu: npt.NDArray[np.int64], rides: Floats, count: int
) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Chosen points of the ground in order, the way to a station from each before it has one (km), and `weights`
    (count, gu): what each spares for every ride of a gu.
    """
    from scipy.spatial import cKDTree  # half a second to import: only where a place is really looked for

    ground = dong_ground()[0]
    tree = cKDTree(ground)
    away = cKDTree(there).query(ground)[0]
    near = tree.sparse_distance_matrix(tree, _WALK, output_type="coo_matrix")
    # Ways only get shorter, so a pair that spares nothing now never will.
    kept = near.data < away[near.row]
    at, to, between = near.row[kept], near.col[kept], near.data[kept]
    places, ways, weights = [], [], []
    for _ in range(count):
        nearer = np.maximum(away[at] - between, 0.0) * share[at]
        gain = np.bincount(to, nearer * rides[gu[at]], minlength=len(ground))
        # Rounded, so that of two places alike the first is chosen whatever the last bit says.
        best = int(np.argmax(np.round(gain, 6)))
        mine = to == best
        places.append(best)
        ways.append(away[best])
        weights.append(np.bincount(gu[at[mine]], nearer[mine], minlength=len(rides)))
        away = np.minimum(away, np.hypot(*(ground - ground[best]).T))
    return np.array(places), np.array(ways), np.array(weights)


def _share_of_gu(dongs: pd.DataFrame, codes: list[str], gu_of: npt.NDArray[np.str_]) -> Floats:
    """The part of their gu's residents and jobs that live and work in each dong, along `codes`."""
    facts = dongs.drop_duplicates("dong_code").set_index("dong_code")[["residents", "jobs"]].astype(float)
    people = facts.sum(axis=1).reindex(codes).fillna(0.0)
    whole = people.groupby(gu_of).transform("sum").to_numpy(dtype=float)
    return np.asarray(people.to_numpy(dtype=float) / np.where(whole > 0, whole, 1.0))
