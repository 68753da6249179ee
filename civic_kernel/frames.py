"""An answer as a pandas frame that knows where it came from.

`frame.attrs["civic"]` holds the provenance, JSON-like, an `Origin`: pandas copies `attrs` with every
selection, sort and filter. Operations that join frames of different answers drop it (pandas keeps `attrs`
only where all inputs agree), which is right: such a table is nobody's single answer any more, and
`civic_kernel.methods` carries the error through where it is needed.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import pandas as pd

from civic_kernel.errors import BadAnswer, FrameUnsuitable
from civic_kernel.lost import lost_of, lost_words
from civic_kernel.texts import Language, speaker
from civic_kernel.wire import OPEN

if TYPE_CHECKING:
    from collections.abc import Callable

    from civic_kernel.wire import AnswerBody, DatasetDetail

KEY = "civic"


class Origin(dict[str, Any]):
    """A table's provenance. Its parts are replaced, never changed in place, so a copy may share them: pandas copies
    `attrs` to the ground a thousand times in a report, which was a fifth of its time."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Origin:
        return Origin(self)


#: Measures whose figures are not whole numbers.
FRACTIONS = frozenset({"mean", "share", "quantiles"})


class AnswerFrame(pd.DataFrame):
    """A DataFrame whose first line, in a notebook or terminal, says what it is and how sure it is."""

    @property
    def _constructor(self) -> Callable[..., AnswerFrame]:
        return AnswerFrame

    def _repr_html_(self) -> str | None:
        head = headline(self)
        table = super()._repr_html_()  # type: ignore[misc]  # pandas-stubs leave it out
        if head is None or table is None:
            return table if table is None else str(table)
        return f"<p>{html.escape(head)}</p>{table}"

    def __repr__(self) -> str:
        head = headline(self)
        table = super().__repr__()
        return table if head is None else f"{head}\n{table}"


def headline(frame: pd.DataFrame) -> str | None:
    """What this table is, in one line of its reader's language; None where the provenance is gone."""
    origin = frame.attrs.get(KEY)
    if origin is None:
        return None
    language: Language = origin["language"]
    say = speaker(language, "kernel", "frame.")
    # Before everything else: of a twin nothing is true, whatever the real data are.
    parts = [say("made_up")] if origin.get("made_up") else [say("synthetic")] if origin["synthetic"] else []
    if origin.get("lane") == OPEN:
        parts.append(say("open"))
        if origin.get("next"):
            parts.append(say("rows_part", n=f"{origin['rows']:,}", all=f"{origin['matching']:,}"))
    else:
        word = "unit_person" if origin["unit"] == "person" else "unit_row"
        parts.append(say(word, minimum=origin["minimum"]))
    shown = [name for name in origin["measures"] if name in frame.columns and origin.get("lane") != OPEN]
    for name in shown:
        margin = origin["measures"][name]["margin"]
        parts.append(
            say("interval", measure=name)
            if margin is None
            else say("margin", measure=name, margin=f"{margin:,}")
        )
    parts += lost_words(origin.get("lost", {}), language)
    gone = origin.get("missing", [])
    if gone:
        named = ", ".join(gone[:5]) + (" …" if len(gone) > 5 else "")
        parts.append(say("missing", n=f"{len(gone):,}", named=named))
    parts.append(say("answer", answer_id=origin["answer_id"]))
    if origin["newer_data"] or origin["newer_policy"]:
        parts.append(say("newer"))
    return " · ".join(parts)


def frame_from_answer(
    answer: AnswerBody,
    language: Language,
    labels: dict[str, dict[str, str]] | None = None,
    geography: dict[str, str] | None = None,
) -> AnswerFrame:
    """The answer's table: key columns, then per measure `m, m_low, m_high`, then `withheld` (bool).

    Counts and sums are Int64; means, shares and quantiles Float64. A histogram has `m_bin1, m_bin1_low, …`,
    quantiles `m_q25, …`; which bin and which quantile stand in `attrs["civic"]["figures"]`.
    A withheld cell's numbers are missing (`<NA>`), never 0. `hour` is 0–23 and `weekday` 0 (Monday) to 6.

    Of the open lane: no `_low`, `_high` and `withheld`, since nothing was added or withheld. Whole numbers are
    Int64, decimals Float64, texts, days and moments text; a value that the file lacks is missing.
    """
    s = answer.statement
    data: dict[str, pd.Series[Any]] = {}
    dtype: str
    for position, column in enumerate(s.table.columns):
        values: list[Any] = [row[position] for row in s.table.rows]
        if column.type is not None:
            dtype, values = _open_values(column.type, values)
        elif column.role == "flag":
            dtype = "bool"
        elif column.role == "key":
            dtype = "int64" if values and all(type(v) is int for v in values) else "str"
        elif column.measure not in s.mechanism.measures:
            raise BadAnswer.say(language)
        elif s.mechanism.measures[column.measure].fn in FRACTIONS:
            # Signed as decimal text, since a signature over a float is one over a guess.
            dtype, values = "Float64", [None if v is None else float(v) for v in values]
        else:
            dtype = "Int64"
        data[column.name] = pd.Series(values, dtype=dtype)
    frame = AnswerFrame(data)
    origin = {
        "answer_id": answer.answer_id,
        # The answers whose noise stands in these numbers: itself, or those it was joined or added up from.
        "noise_of": [source.answer_id for source in (*s.joined, *s.rolled_up)] or [answer.answer_id],
        "dataset": s.dataset,
        "title": s.dataset_title.model_dump(),
        "data_version": s.data_version,
        "policy_hash": s.policy_hash,
        "policy_version": s.policy_version,
        "synthetic": s.synthetic,
        "made_up": s.kind == "civic-twin",
        "lane": s.lane,
        "unit": s.unit.kind if s.unit else None,
        "row_bound": s.row_bound,
        "minimum": s.minimum,
        "team": s.team,
        "purpose": s.purpose,
        "periods": s.periods,
        "issued_at": s.issued_at,
        "truncated_share": s.truncated_share.model_dump() if s.truncated_share else None,
        # Of made-up rows none are left out: they are not anybody's.
        "lost": {} if s.kind == "civic-twin" else lost_of(s.unit, s.row_bound, s.truncated_share),
        "newer_data": answer.newer_data,
        "newer_policy": answer.newer_policy,
        "matching": s.matching,
        "next": s.next,
        "rows": len(s.table.rows),
        "keys": [c.name for c in s.table.columns if c.role == "key"],
        "values": [c.name for c in s.table.columns if c.role == "value"],
        "measures": {
            name: {"fn": m.fn, "rho": m.rho, "scale": m.scale, "margin": m.margin}
            for name, m in s.mechanism.measures.items()
        },
        "figures": {
            c.name: {"measure": c.measure, "bin": c.bin, "per_cent": c.per_cent}
            for c in s.table.columns
            if c.role == "measure"
        },
        "labels": labels or {},
        "geography": geography or {},
        "language": language,
    }
    frame.attrs[KEY] = Origin(origin)
    return frame


def _open_values(kind: str, values: list[Any]) -> tuple[str, list[Any]]:
    """dtype and values of a column of the open lane, where numbers may come as their text."""
    match kind:
        case "integer":
            numbers = [None if v is None else int(v) for v in values]
            # A sum of many large numbers may leave what pandas' integers hold; Python's do not.
            fits = all(v is None or abs(v) < 2**63 for v in numbers)
            return ("Int64" if fits else "object"), numbers
        case "decimal":
            return "Float64", [None if v is None else float(v) for v in values]
        case _:
            return "str", values


def is_exact(frame: pd.DataFrame, value: str) -> bool:
    """Whether the numbers in `value` are as their source has them: of the open lane, and no interval beside them."""
    return frame.attrs.get(KEY, {}).get("lane") == OPEN and f"{value}_low" not in frame.columns


def labelled_frame(answer: AnswerBody, dataset: DatasetDetail, language: Language) -> AnswerFrame:
    """`frame_from_answer` with the labels and the geography that the dataset's description gives its columns."""
    return frame_from_answer(
        answer,
        language,
        {c.name: c.label.model_dump() for c in dataset.columns},
        {c.name: c.geography for c in dataset.columns if c.geography},
    )


def origin_of(frame: pd.DataFrame) -> Origin:
    """The provenance. Raises FrameUnsuitable where an operation has dropped it."""
    origin = frame.attrs.get(KEY)
    if origin is None:
        raise FrameUnsuitable.say(_language(frame), column="attrs", known=", ".join(map(str, frame.columns)))
    return Origin(origin)


def check_columns(frame: pd.DataFrame, *names: str) -> None:
    """Raises FrameUnsuitable for the first of `names` that the frame lacks."""
    for name in names:
        if name not in frame.columns:
            known = ", ".join(str(c) for c in frame.columns)
            raise FrameUnsuitable.say(_language(frame), column=name, known=known)


def noise_scale(frame: pd.DataFrame, measure: str) -> float:
    """σ of the noise in one cell of `measure`, in the measure's unit. Raises FrameUnsuitable where the cells have
    no common one: their figures are ratios of noisy numbers.
    """
    origin = origin_of(frame)
    common = [name for name, m in origin["measures"].items() if m["fn"] not in FRACTIONS]
    if measure in common and origin.get("lane") == OPEN:
        return 0.0
    if measure not in common:
        raise FrameUnsuitable.say(_language(frame), column=measure, known=", ".join(common))
    return float(origin["measures"][measure]["scale"])


def _language(frame: pd.DataFrame) -> Language:
    language: Language = frame.attrs.get(KEY, {}).get("language", "ko")
    return language
