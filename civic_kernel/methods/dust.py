"""Fine dust at roads and away from them, and what traffic adds: station and day fixed effects, lags, robust errors.

On one day all stations share the weather, the season and what the wind brings from afar, which move fine dust ten
times as much as any road does. So nothing here compares days with each other except `weather_effects`: stations are
compared with the stations of the same day, which takes all of that out (fixed effects of day), and a station with
itself (fixed effects of station). The network's two kinds are what Lenschow et al. (Atmospheric Environment 35
Suppl. 1:23, 2001) call the urban background and the traffic increment. What is left is

    level(s, d) = α(s) + δ(d) + road(s) · [ β₀·traffic(d) + β₁·traffic(d − 1) + γ·weather(d) ] + ε(s, d)

where `road` is 1 at the roadside: β is how much more the roadside rises than the background on a day with 10 % more
vehicles, and on the day after (a distributed lag; Schwartz, Epidemiology 11:320, 2000). Errors are clustered by station
and by week, see `panel`.

It shows a difference that goes with traffic, at places where a station stands. It is no experiment: what else happens
on busy days and at roads only counts as traffic here. Traffic is the expressways' mean for the month and weekday, since
the city publishes no days; what makes a single day unlike such days widens the range and does not shift it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from civic_kernel.errors import FrameUnsuitable
from civic_kernel.frames import KEY, check_columns, origin_of
from civic_kernel.methods.combine import derived_origin
from civic_kernel.methods.panel import Fit, fixed_effects, in_time
from civic_kernel.texts import Language

BACKGROUND, ROADSIDE = "background", "roadside"
WEEKDAYS = ("월요일", "화요일", "수요일", "목요일", "금요일", "토요일", "일요일")
#: Days over which one city-wide day's error may resemble another's: a spell of weather, twice over.
SPELL = 14
#: A day under this many stations of a kind compares too little with too little.
LEAST_STATIONS = 3


def station_kind(name: str) -> str | None:
    """What a station measures, as Seoul's network names them: the gu's own is the urban background, one named after a
    road stands at its side. None for the others (mountains, parks, the city's edge), which are neither.
    """
    return BACKGROUND if name.endswith("구") else ROADSIDE if name.endswith("로") else None


def whole_lines(traffic: pd.DataFrame) -> list[str]:
    """The roads with a value for every month and weekday that any road has; a sum over others would jump where one
    begins or ends.
    """
    check_columns(traffic, "year", "month_of_year", "line", "vehicles", "weekday_name")
    known = traffic.dropna(subset=["vehicles"])
    slots = known.groupby("line", sort=True)[["year", "month_of_year", "weekday_name"]].apply(
        lambda rows: len(rows.drop_duplicates())
    )
    every = len(known[["year", "month_of_year", "weekday_name"]].drop_duplicates())
    return [str(line) for line, found in slots.items() if found == every]


def daily_traffic(traffic: pd.DataFrame, days: pd.DatetimeIndex) -> pd.Series[float]:
    """Vehicles on all `whole_lines` for each of `days`: the mean of its month and weekday. Missing where the table has
    no such month. Raises FrameUnsuitable for a weekday by another name.
    """
    check_columns(traffic, "year", "month_of_year", "line", "vehicles", "weekday_name")
    strange = sorted(set(traffic["weekday_name"]) - set(WEEKDAYS))
    if strange:
        raise FrameUnsuitable.say(_language(traffic), column=strange[0], known=", ".join(WEEKDAYS))
    used = traffic[traffic["line"].isin(whole_lines(traffic))]
    place = used["weekday_name"].map({name: number for number, name in enumerate(WEEKDAYS)})
    slots = [used["year"].astype(int), used["month_of_year"].astype(int), place.astype(int)]
    total = used["vehicles"].astype(float).groupby(slots).sum()
    found = [float(total.get((day.year, day.month, day.weekday()), np.nan)) for day in days]
    return pd.Series(found, index=days)


def panel(
    air: pd.DataFrame, traffic: pd.DataFrame, weather: pd.DataFrame, pollutant: str, months: Sequence[str]
) -> pd.DataFrame:
    """One row for each station and day of `months` with all it takes: `day`, `station`, `road` (0 or 1), `level`
    (µg/m³), `more` and `more_before` (tens of per cent that the day's and the day before's traffic lie above the
    mean day), `wind` (m/s) and `temperature` (°C) less their means, `week`.

    `air` has `day` (`2026-09-01`), `station`, `pollutant`; `traffic` as `daily_traffic` takes it; `weather` has `day`,
    `wind`, `temperature`. A day with fewer than LEAST_STATIONS of either kind is left out. Raises FrameUnsuitable.
    """
    check_columns(air, "day", "station", pollutant)
    check_columns(weather, "day", "wind", "temperature")
    origin = derived_origin(origin_of(air), ["station"], origin_of(traffic), origin_of(weather))
    kind = air["station"].map(station_kind)
    kept = air["day"].str[:7].isin(list(months)) & kind.notna() & air[pollutant].notna()
    out = pd.DataFrame(
        {
            "day": pd.to_datetime(air.loc[kept, "day"]),
            "station": air.loc[kept, "station"].astype(str),
            "road": (kind[kept] == ROADSIDE).astype(float),
            "level": air.loc[kept, pollutant].astype(float),
        }
    ).reset_index(drop=True)
    days = pd.DatetimeIndex(np.sort(out["day"].unique()))
    vehicles = daily_traffic(traffic, days)
    mean = vehicles.mean()
    before = daily_traffic(traffic, days - pd.Timedelta(days=1)).to_numpy()
    facts = pd.DataFrame({"more": 10 * (vehicles / mean - 1), "more_before": 10 * (before / mean - 1)})
    sky = weather.assign(day=pd.to_datetime(weather["day"])).set_index("day")
    for name in ("wind", "temperature"):
        found = sky[name].astype(float).reindex(days)
        facts[name] = found - found.mean()
    out = out.join(facts, on="day").dropna(ignore_index=True)
    counts = out.groupby("day")["road"].agg(["sum", "count"])
    enough = (counts["sum"] >= LEAST_STATIONS) & (counts["count"] - counts["sum"] >= LEAST_STATIONS)
    out = out[out["day"].isin(counts.index[enough])].reset_index(drop=True)
    iso = out["day"].dt.isocalendar()
    out["week"] = iso["year"].astype(int) * 100 + iso["week"].astype(int)
    out.attrs[KEY] = origin
    return out


def roadside(rows: pd.DataFrame) -> pd.DataFrame:
    """One row: by how many µg/m³ the mean roadside station exceeds the mean background station of the same day
    (`value`, `value_low`, `value_high`, for stations like these), beside `background`, the latter's mean level.
    """
    fit = _fit(rows, ["one"], stations=False)
    away = rows.loc[rows["road"] == 0, "level"].mean()
    return _table(rows, [{"what": ROADSIDE, "background": away, **_said(fit, 0)}])


def traffic_effect(rows: pd.DataFrame) -> pd.DataFrame:
    """Three rows, keyed `what`: µg/m³ that the roadside rises above the background where 10 % more vehicles drive
    (`same-day`), the day after (`next-day`), and the two added up (`together`). Wind and temperature are held.
    """
    fit = _fit(rows, ["more", "more_before", "wind", "temperature"], stations=True)
    value, low, high = fit.combined([1, 1, 0, 0])
    both = {"value": value, "value_low": low, "value_high": high}
    lines = [{"what": "same-day", **_said(fit, 0)}, {"what": "next-day", **_said(fit, 1)}]
    return _table(rows, [*lines, {"what": "together", **both}])


def by_month(rows: pd.DataFrame) -> pd.DataFrame:
    """`roadside` of each month, keyed `month`; months that reach into one week only are left out."""
    lines = []
    for month, part in rows.groupby(rows["day"].dt.strftime("%Y-%m")):
        if part["week"].nunique() > 1:
            lines.append({"month": month, **_said(_fit(part, ["one"], stations=False), 0)})
    return _table(rows, lines)


def by_station(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each station, keyed `station`: by how much it differs from the mean of the background stations of the
    same days, its own days alone (`value`, `value_low`, `value_high`), `days`, `road`, `above` (all of the range is).

    The range is of a series in time whose days resemble each other (`panel.in_time`). It is about one station;
    of 40 such ranges about two miss.
    """
    away = rows[rows["road"] == 0].groupby("day")["level"].agg(["sum", "count"])
    lines: list[dict[str, object]] = []
    for station, part in rows.groupby("station"):
        day = pd.DatetimeIndex(part["day"])
        others = away.loc[day]
        # A background station is no comparison for itself.
        own = part["level"].to_numpy() * (part["road"].to_numpy() == 0)
        count = others["count"].to_numpy() - (part["road"].to_numpy() == 0)
        gap = part["level"].to_numpy() - (others["sum"].to_numpy() - own) / count
        if len(gap) <= SPELL:
            continue
        number = ((day - day[0]) / pd.Timedelta(days=1)).to_numpy().astype(np.int64)
        fit = in_time(gap, np.ones((len(gap), 1)), number, SPELL)
        road = bool(part["road"].iloc[0])
        lines.append({"station": station, "road": road, "days": len(gap), **_said(fit, 0)})
    out = _table(rows, lines)
    out["above"] = out["value_low"] > 0
    return out


def weather_effects(rows: pd.DataFrame) -> pd.DataFrame:
    """Two rows, keyed `what`: µg/m³ of the background's mean for each further m/s of `wind` and °C of `temperature`,
    other days of the same month compared, with errors that are alike over SPELL days.
    """
    away = rows[rows["road"] == 0].groupby("day")[["level", "wind", "temperature", "more"]].mean()
    day = pd.DatetimeIndex(away.index)
    months = pd.get_dummies(day.strftime("%Y-%m")).to_numpy(dtype=float)
    x = np.column_stack([away[["wind", "temperature", "more"]].to_numpy(dtype=float), months])
    number = ((day - day[0]) / pd.Timedelta(days=1)).to_numpy().astype(np.int64)
    fit = in_time(away["level"].to_numpy(dtype=float), x, number, SPELL)
    return _table(rows, [{"what": "wind", **_said(fit, 0)}, {"what": "temperature", **_said(fit, 1)}])


def _fit(rows: pd.DataFrame, columns: Sequence[str], *, stations: bool) -> Fit:
    check_columns(rows, "day", "station", "road", "level", "week")
    road = rows["road"].to_numpy()
    x = np.stack([road if name == "one" else road * rows[name].to_numpy() for name in columns], axis=1)
    station, day, week = (rows[name].to_numpy() for name in ("station", "day", "week"))
    effects = [station, day] if stations else [day]
    return fixed_effects(rows["level"].to_numpy(), x, effects=effects, clusters=[station, week])


def _said(fit: Fit, place: int) -> dict[str, float]:
    names = ("value", "value_low", "value_high")
    return dict(zip(names, (float(part[place]) for part in (fit.value, fit.low, fit.high)), strict=True))


def _table(rows: pd.DataFrame, lines: Sequence[dict[str, object]]) -> pd.DataFrame:
    out = pd.DataFrame(list(lines))
    out.attrs[KEY] = origin_of(rows)
    return out


def _language(frame: pd.DataFrame) -> Language:
    language: Language = frame.attrs.get(KEY, {}).get("language", "ko")
    return language
