"""Giving: how common it is, how it follows the year, what a campaign changed where it was, and who stays after it.

What a campaign changed is a comparison of changes: first gifts in the gu that it went through, in its months beside the
months before, against the same of the gu where it was not, which take the season out (difference-in-differences). Gifts
are counts that go up and down by factors, so changes are compared as ratios,

    effect = [ Σ_C during / Σ_C before ] / [ Σ_O during / Σ_O before ],

the Poisson regression with effects of gu and month for one campaign at one time (Wooldridge, Econometrics Journal
26:C31, 2023; Santos Silva & Tenreyro, Review of Economics and Statistics 88:641, 2006). Logarithms of single gu were
rejected: a gu with 40 first gifts and noise of 9 has none that is not skewed.

Each bracket is a ratio of two sums over gu. Its variance is that of the ratio estimator (Cochran, Sampling Techniques,
3rd ed. 1977, ch. 6), from how far each gu lies from its group's ratio: privacy noise, chance and what makes one gu
unlike another all stand in it, and nothing must be known of any of them. Quantiles are Student's with Welch &
Satterthwaite's degrees of freedom. For single months only the two groups' sums are asked, which are large; their
variance is the known noise and Poisson's, times the dispersion that the gu show (McCullagh & Nelder, Generalized Linear
Models, 2nd ed. 1989, ch. 6), never under 1.

It is no experiment: whatever else happened in those gu in those months counts as the campaign. The months before are
shown, month by month, since gu that were drifting apart already would go on doing so.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from civic_kernel.frames import KEY, check_columns, noise_scale, origin_of
from civic_kernel.methods.combine import Z95, complete, derived_origin, ratio, shares, total
from civic_kernel.methods.panel import quantile_975

Floats = npt.NDArray[np.float64]
#: Donors are told for each so many residents.
PER = 10_000
#: Below this many gu of a kind their differences say too little about chance.
LEAST_GU = 4


def per_residents(
    donors: pd.DataFrame,
    facts: pd.DataFrame,
    *,
    by: str = "home_gu",
    measure: str = "donors",
    per: int = PER,
) -> pd.DataFrame:
    """Donors for each `per` residents of a gu: `gu`, `rate`, `rate_low`, `rate_high`, `above` (the whole range is above
    the city's), `withheld`.

    `donors` is an answer by `by`, in which somebody counts once however many months it is about; `facts` are open rows
    with `gu`, `residents`. Raises FrameUnsuitable.
    """
    check_columns(facts, "gu", "residents")
    check_columns(donors, by, measure, "withheld")
    people = facts.set_index("gu")["residents"].astype(float)
    seen = donors[donors[by].isin(people.index)]
    each = per / people.reindex(seen[by]).to_numpy(dtype=float)
    count = seen[measure].to_numpy(dtype=float, na_value=np.nan)
    reach = Z95 * noise_scale(donors, measure)
    out = pd.DataFrame({"gu": seen[by].to_numpy(), "rate": count * each})
    out["rate_low"], out["rate_high"] = np.maximum(count - reach, 0) * each, (count + reach) * each
    out["withheld"] = ~np.isfinite(count)
    shown = np.isfinite(count)
    overall = per * count[shown].sum() / people.reindex(seen[by][shown]).sum() if shown.any() else np.nan
    out["above"] = (out["rate_low"] > overall).fillna(False).astype(bool)
    out.attrs[KEY] = derived_origin(origin_of(donors), ["gu"], origin_of(facts))
    return out


def part_of(
    answer: pd.DataFrame, part: str, by: str, of: str = "turn", measure: str = "gifts"
) -> pd.DataFrame:
    """Per cent of `measure` whose `of` is `part`, for each value of `by`: `share`, `share_low`, `share_high`,
    `withheld`. `answer` has both keys. What is unknown counts on neither side.
    """
    check_columns(answer, by, of, measure)
    # The unknown are a cell of almost nothing, which is withheld, and the whole would go with it.
    whole = answer[answer[of].astype(str) != "other"]
    out = complete(ratio(whole[whole[of] == part], whole, measure, by=by), "ratio")
    out = out.rename(columns={"ratio": "share", "ratio_low": "share_low", "ratio_high": "share_high"})
    for name in ("share", "share_low", "share_high"):
        out[name] = (100 * out[name]).clip(0, 100)
    return out


def parts(answer: pd.DataFrame, by: str, measure: str) -> pd.DataFrame:
    """Per cent of all that each value of `by` is: `share`, `share_low`, `share_high`, without the unknown. Of donors in
    one answer, `by` must be something of which a donor has one.
    """
    known = answer[answer[by].astype(str) != "other"].reset_index(drop=True)
    value = known[measure].to_numpy(dtype=float, na_value=np.nan)
    sums = pd.DataFrame({by: known[by], measure: value, f"{measure}_sd": noise_scale(answer, measure)})
    sums.loc[~np.isfinite(value), f"{measure}_sd"] = np.nan
    out = shares(sums, measure).drop(columns=[measure, f"{measure}_sd"])
    for name in ("share", "share_low", "share_high"):
        out[name] *= 100
    out["withheld"] = ~np.isfinite(out["share"])
    out.attrs[KEY] = derived_origin(origin_of(answer), [by])
    return out


def year(answer: pd.DataFrame, part: str, of: str = "turn", measure: str = "gifts") -> pd.DataFrame:
    """`total` by month of the cells whose `of` is `part`: how giving follows the year."""
    check_columns(answer, "month", of, measure)
    return complete(total(answer[answer[of] == part], measure, "month"), measure)


def campaign_effect(
    before: pd.DataFrame,
    later: pd.DataFrame,
    there: Collection[str],
    what: str,
    *,
    by: str = "home_gu",
    measure: str = "donors",
) -> pd.DataFrame:
    """One row: by how many per cent `measure` in the gu `there` changed from `before` to `later`, beyond how it changed
    in the others (`what`, `value`, `value_low`, `value_high`, `gu`: how many are compared, `withheld`: too few).

    Both are answers by gu, each over its own months, however many. A gu that is withheld in either is left out of both.
    """
    pair = _Pair.of(before, later, by, measure)
    inside = np.isin(pair.gu, list(there))
    groups = [pair.ratio(inside), pair.ratio(~inside)]
    origin = derived_origin(origin_of(later), ["what"], origin_of(before))
    row: dict[str, object] = {"what": what, "gu": int(inside.sum())}
    if any(group is None for group in groups):
        low = value = high = np.nan
    else:
        (log_in, var_in, df_in), (log_out, var_out, df_out) = (group for group in groups if group is not None)
        variance = var_in + var_out
        df = variance**2 / max(var_in**2 / df_in + var_out**2 / df_out, 1e-300)
        reach = quantile_975(max(df, 1.0)) * np.sqrt(variance)
        low, value, high = _change(log_in - log_out + np.array([-reach, 0.0, reach])).tolist()
    out = pd.DataFrame([row | {"value": value, "value_low": low, "value_high": high}])
    out["withheld"] = ~np.isfinite(out["value"])
    out.attrs[KEY] = origin
    return out


def dispersion(
    before: pd.DataFrame,
    later: pd.DataFrame,
    there: Collection[str],
    *,
    by: str = "home_gu",
    measure: str = "donors",
) -> float:
    """How many times as far gu lie from their group's ratio as chance (Poisson's) and privacy noise alone would put
    them, as a variance; at least 1, and 1 where there are too few gu to say.
    """
    pair = _Pair.of(before, later, by, measure)
    inside = np.isin(pair.gu, list(there))
    seen, chance = 0.0, 0.0
    for group in (inside, ~inside):
        if group.sum() < LEAST_GU or pair.x[group].sum() <= 0:
            continue
        x, y, n = pair.x[group], pair.y[group], int(group.sum())
        r = y.sum() / x.sum()
        seen += n / (n - 1) * ((y - r * x) ** 2).sum() - n * (pair.sd_y**2 + r**2 * pair.sd_x**2)
        chance += max((y + r**2 * x).sum(), 0.0)
    return max(1.0, seen / chance) if chance > 0 else 1.0


def month_by_month(
    monthly: pd.DataFrame,
    base: Sequence[str],
    spread: float = 1.0,
    *,
    by: str = "street",
    there: str = "있음",
    elsewhere: str = "없음",
    measure: str = "donors",
) -> pd.DataFrame:
    """For each month, by how many per cent `measure` where the campaign was lies above what the others did, both beside
    their mean of the months `base`: `month`, `value`, `value_low`, `value_high`, `withheld`.

    `monthly` is an answer by month and `by`; `spread` is a `dispersion`. A month of `base` is a part of what it is
    compared with, and the noise and chance that they have in common are counted once.
    """
    check_columns(monthly, "month", by, measure)
    wide = monthly.pivot_table(index="month", columns=by, values=measure, dropna=False)
    wide = wide.reindex(columns=[there, elsewhere]).astype(float)
    noise = noise_scale(monthly, measure) ** 2
    in_base = wide.index.isin(list(base))
    log, variance = np.zeros(len(wide)), np.zeros(len(wide))
    with np.errstate(divide="ignore", invalid="ignore"):
        for sign, group in ((1, there), (-1, elsewhere)):
            x = wide[group].to_numpy()
            v = noise + spread * np.maximum(x, 0.0)
            sum_x, sum_v = x[in_base].sum(), v[in_base].sum()
            clear = np.isfinite(x) & (x > 3 * np.sqrt(noise)) & bool(np.isfinite(sum_x) and sum_x > 0)
            log += sign * np.where(clear, np.log(x * max(in_base.sum(), 1) / sum_x), np.nan)
            variance += v / x**2 + sum_v / sum_x**2 - 2 * in_base * v / (x * sum_x)
    reach = Z95 * np.sqrt(np.maximum(variance, 0.0))
    out = pd.DataFrame({"month": wide.index.to_numpy(), "value": _change(log)})
    out["value_low"], out["value_high"] = _change(log - reach), _change(log + reach)
    out["withheld"] = ~np.isfinite(out["value"])
    out.attrs[KEY] = derived_origin(origin_of(monthly), ["month"])
    return out


def staying(
    came: pd.DataFrame, gave: pd.DataFrame, *, by: str = "way", measure: str = "donors"
) -> pd.DataFrame:
    """Of 100 whom each value of `by` brought, how many gave again: `share`, `share_low`, `share_high`, `withheld`.

    `came` counts the new donors, `gave` those who gave in the months afterwards, each person once.
    """
    out = complete(ratio(gave, came, measure, by=by), "ratio")
    out = out.rename(columns={"ratio": "share", "ratio_low": "share_low", "ratio_high": "share_high"})
    for name in ("share", "share_low", "share_high"):
        out[name] = (100 * out[name]).clip(0, 100)
    return out


@dataclass(frozen=True)
class _Pair:
    """Gu that are shown in both answers: `x` before and `y` later, with the noise of a cell in each."""

    gu: npt.NDArray[np.object_]
    x: Floats
    y: Floats
    sd_x: float
    sd_y: float

    @staticmethod
    def of(before: pd.DataFrame, later: pd.DataFrame, by: str, measure: str) -> _Pair:
        for frame in (before, later):
            check_columns(frame, by, measure, "withheld")
        x, y = (frame.set_index(by)[measure].astype(float) for frame in (before, later))
        both = pd.DataFrame({"x": x, "y": y}).dropna()
        both = both[both.index.astype(str) != "other"]
        return _Pair(
            both.index.to_numpy(dtype=object),
            both["x"].to_numpy(),
            both["y"].to_numpy(),
            noise_scale(before, measure),
            noise_scale(later, measure),
        )

    def ratio(self, group: npt.NDArray[np.bool_]) -> tuple[float, float, float] | None:
        """Logarithm of Σy/Σx over a group of gu, its variance, and the degrees of freedom; None of too few."""
        n, x, y = int(group.sum()), self.x[group], self.y[group]
        if n < LEAST_GU or x.sum() <= 0 or y.sum() <= 0:
            return None
        r = y.sum() / x.sum()
        variance = n / (n - 1) * ((y - r * x) ** 2).sum() / y.sum() ** 2
        return float(np.log(r)), float(variance), float(n - 1)


def _change(log: Floats) -> Floats:
    return np.asarray(100 * np.expm1(log))
