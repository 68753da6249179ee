"""A plan on a table of dummy rows: the statement that the gateway would make, unsigned and marked.

The rules (cells, intervals, withholding) are those of docs/design.md sections 3 and 5, written once more for pandas:
the twin must not need the vault's code, and a notebook that runs on it meets the same columns as on the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from civic_kernel.errors import CivicError, MeasureRefused, PlanInvalid, SpendInvalid, UnknownColumn
from civic_kernel.texts import Language, text
from civic_kernel.wire import DatasetDetail

if TYPE_CHECKING:
    import pandas as pd

NANO = 10**9
#: The normal distribution's 97.5 % point.
_Z = 1.959963984540054
_SEASONS = {
    **dict.fromkeys(("03", "04", "05"), "spring"),
    **dict.fromkeys(("06", "07", "08"), "summer"),
    **dict.fromkeys(("09", "10", "11"), "autumn"),
    **dict.fromkeys(("12", "01", "02"), "winter"),
}
OTHER, UNIT, PERIOD = "other", "unit", "month"

Flags = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]


class TwinTable:
    """Dummy rows with the description that they were made from."""

    def __init__(
        self,
        detail: DatasetDetail,
        rows: pd.DataFrame,
        clips: Mapping[str, Mapping[str, Any]],
        language: Language,
    ) -> None:
        self.rows = rows
        self.language: Language = language
        self._detail, self._clips = detail, clips
        # Only a dataset of the private lane has a twin, and all of these.
        if detail.time_column is None or detail.unit is None:
            raise AssertionError("an open dataset is its own twin")
        self._times, self._unit = rows[detail.time_column], detail.unit.model_dump()
        self._bound, self._minimum = detail.row_bound or 0, detail.minimum or 0

    def statement(
        self, plan: Any, spend: dict[str, Any] | None, team: str | None, purpose: str | None
    ) -> dict[str, Any]:
        """The contract's statement, of kind `civic-twin`. Raises PlanInvalid, UnknownColumn, MeasureRefused or
        SpendInvalid. It does not refuse all that the gateway refuses: a rehearsal, not a judge.
        """
        d = self._detail
        try:
            where = plan.get("where")
            # As the canonical form has them: keys and measures by name, and a count where nothing else could say
            # which cells are too small.
            by = sorted(plan.get("by") or [], key=_key_name)
            measures = dict(plan["measures"])
            if measures and not any(m["fn"] in ("count", "persons") for m in measures.values()):
                measures[next(n for n in _COUNT_NAMES if n not in measures)] = {"fn": "count"}
            measures = dict(sorted(measures.items()))
            if not measures:
                raise KeyError("measures")
            kept = self._holds(where) if where else np.ones(len(self.rows), dtype=bool)
            domains = [self._domain(key) for key in by]
            cells = math.prod(len(domain) for domain in domains)
            place = self._places(by, domains, kept)
            rho = self._rho(spend, measures, cells)
            columns: list[dict[str, Any]] = [
                {"name": _key_name(key), "role": "key", "measure": None} for key in by
            ]
            values: list[list[Any]] = []
            mechanisms = {}
            for name, measure in measures.items():
                shares = rho * measure.get("weight", 1) // sum(m.get("weight", 1) for m in measures.values())
                figure = self._measure(name, measure, kept, place, cells, max(shares, 1))
                mechanisms[name] = figure.mechanism
                columns += figure.columns
                values += figure.values
            gone = self._withheld(measures, kept, place, cells)
        except CivicError:
            raise  # UnknownColumn is an AttributeError too
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            say = text(self.language, "kernel", "query.twin")
            raise PlanInvalid(say, text(self.language, "kernel", "query.twin.remedy")) from None
        keys = _product(domains)
        rows = [
            [*keys[i], *([None] * len(values) if gone[i] else [v[i] for v in values]), bool(gone[i])]
            for i in range(cells)
        ]
        return {
            "kind": "civic-twin",
            "dataset": d.id,
            "dataset_title": d.title.model_dump(),
            "data_version": 0,
            "policy_hash": d.policy_hash,
            "policy_version": d.policy_version,
            "synthetic": d.synthetic,
            "lane": d.lane,
            "unit": self._unit,
            "row_bound": d.row_bound,
            "minimum": d.minimum,
            "plan": {"dataset": d.id, "where": where, "by": by, "measures": measures},
            "spend": {"rho": rho},
            "team": team or "",
            "purpose": purpose or "",
            "periods": sorted(set(self.rows[PERIOD][kept])),
            "mechanism": {"name": "none", "measures": mechanisms},
            "truncated_share": None,
            "issued_at": "",
            "table": {
                "columns": [*columns, {"name": "withheld", "role": "flag", "measure": None}],
                "rows": rows,
            },
        }

    def _series(self, key: Any) -> npt.NDArray[np.object_]:
        """A key's value in every row."""
        if isinstance(key, str):
            if key not in self.rows.columns:
                known = ", ".join(c.name for c in self._detail.columns)
                raise UnknownColumn.say(self.language, column=key, dataset=self._detail.id, known=known)
            return _objects(self.rows[key])
        match key["fn"]:
            case "hour":
                return _objects(self._times.str[11:13].astype(int))
            case "weekday":
                import pandas as pd

                return _objects(pd.to_datetime(self._times.str[:10]).dt.day_of_week)
            case "season":
                return _objects(self.rows[PERIOD].str[5:7].map(_SEASONS))
            case "band":
                bins, bands = self._bins(key["column"]), self._bands(key["column"])
                places = np.searchsorted(np.array(bins[1:-1]), self.rows[key["column"]].to_numpy(), "right")
                return np.asarray([bands[place] for place in places], dtype=object)
            case _:
                raise KeyError("fn")

    def _domain(self, key: Any) -> list[Any]:
        if isinstance(key, str):
            column = next((c for c in self._detail.columns if c.name == key), None)
            if column is None or column.values is None:
                self._series(key)  # names the columns that there are
                raise KeyError(key)
            return [*column.values, *([OTHER] if column.other else [])]
        match key["fn"]:
            case "hour":
                return list(range(24))
            case "weekday":
                return list(range(7))
            case "season":
                return ["spring", "summer", "autumn", "winter"]
            case _:
                return [*self._bands(key["column"]), OTHER]

    def _bins(self, column: str) -> list[int]:
        return list(self._clips[column]["bins"])

    def _bands(self, column: str) -> list[str]:
        bins = self._bins(column)
        last = len(bins) - 2
        return [f"{bins[i]}..{bins[i + 1] - (i < last)}" for i in range(len(bins) - 1)]

    def _holds(self, node: Mapping[str, Any]) -> Flags:
        match node:
            case {"and": parts}:
                return reduce(np.logical_and, [self._holds(part) for part in parts])
            case {"or": parts}:
                return reduce(np.logical_or, [self._holds(part) for part in parts])
            case {"not": part}:
                return ~self._holds(part)
        op = node["op"]
        values = self._series(node["column"])
        if node["column"] == self._detail.time_column and isinstance(node.get("value"), str):
            # `2026-09-01` is compared with the day of `2026-09-01 08:12`.
            values = np.array([value[: len(node["value"])] for value in values], dtype=object)
        if op in ("null", "not_null"):
            # Dummy rows lack nothing.
            return np.full(len(values), op == "not_null")
        if op == "in":
            return np.isin(values.astype(str), [str(value) for value in node["values"]])
        if op == "between":
            low, high = node["values"]
            return _compared("ge", values, low) & _compared("le", values, high)
        return _compared(op, values, node["value"])

    def _places(self, by: list[Any], domains: list[list[Any]], kept: Flags) -> Whole:
        """The cell of every kept row."""
        place: Whole = np.zeros(int(kept.sum()), dtype=np.int64)
        for key, domain in zip(by, domains, strict=True):
            at = {value: number for number, value in enumerate(domain)}
            rest = at.get(OTHER, 0)
            numbers = [at.get(value, rest) for value in self._series(key)[kept]]
            place = place * len(domain) + np.array(numbers, dtype=np.int64)
        return place

    def _rho(self, spend: dict[str, Any] | None, measures: Mapping[str, Any], cells: int) -> int:
        """Nano-ρ that a real question would spend. Raises SpendInvalid."""
        d = self._detail
        cell = (spend or {}).get("cell")
        match {word: value for word, value in (spend or {}).items() if word != "cell"}:
            case {**nothing} if not nothing:
                return d.default_spend
            case {"precision": str(name)} if name in d.precisions:
                return d.precisions[name]
            case {"rho": str(amount)}:
                try:
                    rho = int(Decimal(amount) * NANO)
                except (InvalidOperation, ValueError, OverflowError):
                    rho = 0
                if rho > 0:
                    return rho
            case {"margin": dict(widths)} if widths:
                needed = [
                    math.ceil(self._squared(measures[name], cells) * (_Z / width) ** 2 / 2 * NANO)
                    * len(measures)
                    for name, wanted in widths.items()
                    if name in measures and (width := _width(wanted, cell)) > 0
                ]
                if needed:
                    return max(needed)
        raise SpendInvalid.say(self.language, known=", ".join(d.precisions))

    def _squared(self, measure: Mapping[str, Any], cells: int) -> int:
        """The squared sensitivity, as docs/design.md section 5 has it."""
        bound = self._bound
        match measure["fn"]:
            case "persons":
                return min(bound, cells)
            case "sum":
                clip = self._clips[measure["column"]]
                return int((bound * max(abs(clip["low"]), abs(clip["high"]))) ** 2)
            case _:
                return bound**2

    def _measure(
        self, name: str, measure: Mapping[str, Any], kept: Flags, place: Whole, cells: int, rho: int
    ) -> _Figure:
        fn = measure["fn"]
        if fn not in self._detail.measures:
            raise MeasureRefused.say(self.language, measure=fn, known=", ".join(self._detail.measures))
        squared = self._squared(measure, cells)
        sigma = math.sqrt(squared * NANO / (2 * rho))
        margin = math.ceil(_Z * sigma)
        figure = _Figure(name, fn, rho, squared, sigma, margin)
        counts = np.bincount(place, minlength=cells)
        match fn:
            case "count":
                figure.whole(name, counts)
            case "persons":
                figure.whole(name, self._persons(kept, place, cells))
            case "sum":
                figure.whole(name, self._sums(measure["column"], kept, place, cells))
            case "histogram":
                _, ends, found = self._binned(measure["column"], kept, place, cells)
                for number, end in enumerate(ends):
                    figure.whole(f"{name}_bin{number + 1}", found[number], bin=list(end))
            case "mean":
                clip = self._clips[measure["column"]]
                halves = self._bound * (clip["high"] - clip["low"]) / 2
                sums, many = self._sums(measure["column"], kept, place, cells), np.maximum(counts, 1)
                wide = _Z * halves * math.sqrt(NANO / (2 * rho)) / many
                figure.fraction(name, sums / many, wide, clip["low"], clip["high"])
            case "share":
                part, whole = self._parts(measure, kept, place, cells, counts)
                many = np.maximum(whole, 1)
                figure.fraction(name, part / many, _Z * sigma / many, 0.0, 1.0)
            case "quantiles":
                _, ends, found = self._binned(measure["column"], kept, place, cells)
                below = np.cumsum(found, axis=0)
                for per_cent in measure.get("at", (25, 50, 75)):
                    at = np.argmax(below * 100 >= below[-1] * per_cent, axis=0)
                    lows = np.array([ends[i][0] for i in at], dtype=float)
                    highs = np.array([ends[i][1] for i in at], dtype=float)
                    middle, half = (lows + highs) / 2, (highs - lows) / 2
                    figure.fraction(
                        f"{name}_q{per_cent}", middle, half, ends[0][0], ends[-1][1], per_cent=per_cent
                    )
            case _:
                raise KeyError("fn")
        return figure

    def _persons(self, kept: Flags, place: Whole, cells: int) -> Whole:
        import pandas as pd

        units = pd.DataFrame({"cell": place, UNIT: self.rows[UNIT].to_numpy()[kept]}).drop_duplicates()
        return np.bincount(units["cell"].to_numpy(), minlength=cells)

    def _sums(self, column: str, kept: Flags, place: Whole, cells: int) -> Whole:
        values = self.rows[column].to_numpy(dtype=np.int64)[kept]
        return np.bincount(place, weights=values, minlength=cells).astype(np.int64)

    def _binned(
        self, column: str, kept: Flags, place: Whole, cells: int
    ) -> tuple[list[int], list[tuple[int, int]], Whole]:
        """Edges, first and last whole number of each bin, and (bins, cells) counts."""
        bins = self._bins(column)
        last = len(bins) - 2
        values = self.rows[column].to_numpy(dtype=np.int64)[kept]
        number = np.searchsorted(np.array(bins[1:-1]), values, "right")
        found = np.bincount(number * cells + place, minlength=(last + 1) * cells).reshape(last + 1, cells)
        return bins, [(bins[i], bins[i + 1] - (i < last)) for i in range(last + 1)], found

    def _parts(
        self, measure: Mapping[str, Any], kept: Flags, place: Whole, cells: int, counts: Whole
    ) -> tuple[Whole, Whole]:
        if measure.get("where") is not None:
            yes = self._holds(measure["where"])[kept]
            return np.bincount(place[yes], minlength=cells), counts
        return counts, np.full(cells, counts.sum(), dtype=np.int64)

    def _withheld(self, measures: Mapping[str, Any], kept: Flags, place: Whole, cells: int) -> Flags:
        """The real rule, on the made-up rows: too few persons where they are asked, else too few rows."""
        if any(measure["fn"] == "persons" for measure in measures.values()):
            return self._persons(kept, place, cells) < self._minimum
        return np.bincount(place, minlength=cells) < self._minimum * self._bound


_COUNT_NAMES = ("count", *(f"count_{number}" for number in range(2, 20)))


def _key_name(key: Any) -> str:
    return key if isinstance(key, str) else str(key["fn"])


class _Figure:
    """One measure's columns, values and mechanism, in the form of the contract."""

    def __init__(self, name: str, fn: str, rho: int, squared: int, sigma: float, margin: int) -> None:
        self._name, self._margin = name, margin
        self.columns: list[dict[str, Any]] = []
        self.values: list[list[Any]] = []
        self.mechanism: dict[str, Any] = {
            "fn": fn,
            "rho": rho,
            "sensitivity_squared": squared,
            "scale": f"{sigma:.6f}",
            "margin": margin,
        }

    def whole(self, name: str, found: Whole, **more: Any) -> None:
        m = self._margin
        values = [int(value) for value in found]
        self._add(name, values, [v - m for v in values], [v + m for v in values], **more)

    def fraction(self, name: str, middle: Any, half: Any, least: float, most: float, **more: Any) -> None:
        self.mechanism["margin"] = None

        def texts(numbers: Any) -> list[str]:
            # As the contract signs them: decimal text, since a signature over a float is one over a guess.
            return [f"{number:.4f}" for number in np.clip(numbers, least, most)]

        self._add(name, texts(middle), texts(middle - half), texts(middle + half), **more)

    def _add(self, name: str, value: list[Any], low: list[Any], high: list[Any], **more: Any) -> None:
        for role, suffix, numbers in (("measure", "", value), ("low", "_low", low), ("high", "_high", high)):
            self.columns.append({"name": name + suffix, "role": role, "measure": self._name, **more})
            self.values.append(numbers)


_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def _compared(op: str, values: npt.NDArray[np.object_], bound: Any) -> Flags:
    """Numbers as numbers, everything else as text."""
    compare = _COMPARE[op]
    if isinstance(bound, str):
        return np.array([compare(str(value), bound) for value in values], dtype=bool)
    return np.array([compare(int(value), bound) for value in values], dtype=bool)


def _product(domains: list[list[Any]]) -> list[tuple[Any, ...]]:
    from itertools import product

    return list(product(*domains))


def _objects(series: pd.Series[Any]) -> npt.NDArray[np.object_]:
    """Python's own values: they are looked up in domains that came as JSON."""
    return np.array(series.tolist(), dtype=object)


def _width(wanted: Any, cell: Any) -> float:
    """A margin as a number; `"5%"` of the size that the asker named. 0 for one that means nothing here."""
    part = isinstance(wanted, str) and wanted.endswith("%")
    try:
        width = float(Decimal(str(wanted).removesuffix("%")))
    except InvalidOperation:
        return 0.0
    if not part:
        return width
    return width * cell / 100 if type(cell) is int else 0.0
