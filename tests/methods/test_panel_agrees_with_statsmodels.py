"""The standard errors of `methods.panel` are those of statsmodels 0.15.0 on the same numbers, and keep their promise.

The expected values were computed once with `OLS(...).fit(cov_type=…)` on the table of `_stations`, with a column for
every station and day where effects are taken out; statsmodels itself is no dependency.
"""

from __future__ import annotations

import numpy as np
import pytest

from civic_kernel.methods.panel import Floats, fixed_effects, in_time, quantile_975


def _stations() -> dict[str, Floats]:
    """131 days at six stations, three of them at roads; 13 are missing, so that no station has all days."""
    s, d = (a.ravel() for a in np.meshgrid(np.arange(6), np.arange(24), indexing="ij"))
    keep = (7 * s + 3 * d) % 11 != 0
    s, d = s[keep], d[keep]
    road, more = (s >= 3).astype(float), np.sin(d * 1.3) + 0.1 * (d % 5)
    level = 20 + 3 * np.cos(s * 2.1) + 4 * np.sin(d * 0.7) + road * (2 + 0.8 * more)
    level += np.sin(s * 5.0 + d * d * 0.37) + 0.5 * np.cos(s + d // 7 * 2.0)
    x = np.column_stack([road * more, road * np.cos(d * 0.9)])
    return {"s": s, "d": d, "week": d // 7, "road": road, "x": x, "y": level}


@pytest.mark.parametrize(
    ("clusters", "errors"),
    [
        ((), [0.246680896908, 0.224409880911]),
        (("s",), [0.302826084922, 0.170460758749]),
        (("s", "week"), [0.206240262094, 0.433125015779]),
    ],
    ids=["white", "station", "station and week"],
)
def test_effects_of_station_and_day_are_taken_out_and_errors_are_clustered(
    clusters: tuple[str, ...], errors: list[float]
) -> None:
    t = _stations()
    fit = fixed_effects(t["y"], t["x"], effects=[t["s"], t["d"]], clusters=[t[c] for c in clusters])
    np.testing.assert_allclose(fit.value, [1.011425626004, -0.131988854326], rtol=1e-8)
    np.testing.assert_allclose(fit.sd, errors, rtol=1e-8)
    other = fixed_effects(t["y"], t["x"], effects=[t["d"], t["s"]], clusters=[t[c] for c in clusters])
    np.testing.assert_allclose(other.sd, fit.sd, rtol=1e-10)


def test_errors_of_a_series_in_time_are_newey_and_wests() -> None:
    t = np.arange(60)
    y = 5 + np.sin(t * 0.5) + 0.3 * np.cos(t * t * 0.1)
    x = np.column_stack([np.ones(60), np.cos(t * 0.21), (t % 7) / 7])
    fit = in_time(y, x, t, 5)
    np.testing.assert_allclose(fit.value, [5.029552245711, 0.054781741619, -0.028858735801], rtol=1e-8)
    np.testing.assert_allclose(fit.sd, [0.223011318292, 0.226193066077, 0.361956547986], rtol=1e-8)


def test_days_that_are_far_apart_are_not_taken_for_neighbours() -> None:
    """With a gap longer than the lags before each observation, only White's errors are left."""
    t = np.arange(40)
    y, x = np.sin(t * 0.3), np.column_stack([np.ones(40), t / 40])
    spread = in_time(y, x, t * 10, 5)
    np.testing.assert_allclose(spread.sd, fixed_effects(y, x).sd, rtol=1e-10)
    assert in_time(y, x, t, 5).sd[0] > 1.5 * spread.sd[0]


def test_a_covariance_that_comes_out_negative_is_mended_and_never_missing() -> None:
    rng = np.random.default_rng(5)
    for _ in range(50):
        s, d = np.repeat(np.arange(4), 6), np.tile(np.arange(6), 4)
        x = rng.normal(size=(24, 3))
        fit = fixed_effects(rng.normal(size=24), x, effects=[s], clusters=[s, d // 2])
        assert np.isfinite(fit.sd).all() and np.linalg.eigvalsh(fit.covariance).min() > -1e-12


def test_what_cannot_be_told_apart_is_refused() -> None:
    t = _stations()
    with pytest.raises(ValueError, match="effects"):
        fixed_effects(t["y"], t["road"][:, None], effects=[t["s"], t["d"]], clusters=[t["s"]])
    with pytest.raises(ValueError, match="others"):
        fixed_effects(t["y"], np.hstack([t["x"], t["x"][:, :1]]), effects=[t["d"]], clusters=[t["s"]])
    with pytest.raises(ValueError, match="group"):
        fixed_effects(t["y"], t["x"], effects=[t["d"]], clusters=[np.zeros(131)])


def test_the_t_quantile_is_the_tables() -> None:
    assert quantile_975(4) == pytest.approx(2.776445, abs=1e-6)
    assert quantile_975(39) == pytest.approx(2.022691, abs=1e-6)
