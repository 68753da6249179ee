"""What an answer says: the table with its intervals, and everything that is needed to know what it means."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import product
from typing import assert_never

from data_access.answers.estimates import estimates
from data_access.canonical import Json, canonical_bytes
from data_access.clock import timestamp
from data_access.policy import Policy
from data_access.pricing import Quote
from data_access.query import Count, Figure, Histogram, Mean, Persons, Quantiles, Share, Sum
from data_access.query.nodes import key_name


def make_statement(
    quote: Quote,
    policy: Policy,
    noisy: dict[str, list[int]],
    *,
    reservation: str,
    team: str,
    purpose: str,
    data_version: int,
    now: datetime,
    truncated: Json,
    rolled_up: Sequence[Json] = (),
) -> bytes:
    """Canonical bytes of the statement. `noisy` has one list of `bound.cells` integers for each column of each
    vector of the plan.

    `truncated` is what is known of the rows past the bound in these periods (answers/lost.py). `rolled_up` names the
    answers whose cells were added up, where nothing was drawn for this one.

    Small negative counts are kept: cutting them at zero would bias every sum over sparse cells upwards.
    """
    bound = quote.bound
    columns: list[Json] = [{"name": key_name(key), "role": "key", "measure": None} for key in bound.plan.by]
    shown = [(name, found) for name, _ in bound.plan.measures for found in estimates(quote, name, noisy)]
    for name, found in shown:
        columns += _headings(name, found.figure)
    columns.append({"name": "withheld", "role": "flag", "measure": None})
    rows: list[Json] = []
    cells = [column for _, found in shown for column in (found.values, found.lows, found.highs)]
    for keys, withheld, *row in zip(
        product(*bound.domains), _withheld(quote, policy, noisy), *cells, strict=True
    ):
        rows.append([*keys, *([None] * len(row) if withheld else row), withheld])
    mechanisms: dict[str, Json] = {name: measure_document(quote, name) for name, _ in bound.plan.measures}
    statement: dict[str, Json] = {
        "kind": "civic-answer",
        "dataset": policy.dataset,
        "dataset_title": {"ko": policy.title.ko, "en": policy.title.en},
        "data_version": data_version,
        "policy_hash": policy.hash(),
        "policy_version": policy.version,
        "synthetic": policy.synthetic,
        "lane": policy.lane.value,
        "unit": {"kind": policy.unit.kind.value, "period": policy.unit.period},
        "row_bound": policy.row_bound,
        "minimum": policy.minimum,
        "delta": policy.delta,
        "plan": bound.document,
        "plan_id": bound.id,
        "spend": {"rho": quote.rho.nano},
        "team": team,
        "purpose": purpose,
        # Leads to its charges in the public ledger, and keeps two fresh answers of one second apart.
        "reservation": reservation,
        "periods": list(quote.periods),
        "mechanism": {
            "name": "sum-of-discrete-gaussians" if rolled_up else "discrete-gaussian",
            "measures": mechanisms,
        },
        **({"rolled_up": rolled_up} if rolled_up else {}),
        # None reads "not published", and stays so: what is signed never changes.
        "truncated_share": truncated,
        "issued_at": timestamp(now),
        "table": {"columns": columns, "rows": rows},
    }
    return canonical_bytes(statement)


def _headings(name: str, figure: Figure) -> list[Json]:
    """The three columns of one figure; a bin's first and last integer and a quantile's place stand beside."""
    more: dict[str, Json] = {}
    if figure.bin is not None:
        more["bin"] = list(figure.bin)
    if figure.per_cent is not None:
        more["per_cent"] = figure.per_cent
    return [
        {"name": figure.name + suffix, "role": role, "measure": name, **more}
        for role, suffix in (("measure", ""), ("low", "_low"), ("high", "_high"))
    ]


def measure_document(quote: Quote, name: str) -> dict[str, Json]:
    """How one measure is protected: price, Δ², σ, and the half-width where it is the same for every cell.

    A mean has two mechanisms, so its own Δ² and σ are None and stand under `parts`.
    """
    draws = quote.of(name)
    measure = dict(quote.bound.plan.measures)[name]
    document: dict[str, Json] = {
        "fn": quote.bound.document["measures"][name]["fn"],
        "rho": sum(draw.mechanism.rho.nano for draw in draws),
        "sensitivity_squared": None,
        "scale": None,
        "margin": None,
    }
    if len(draws) == 1:
        document["sensitivity_squared"] = draws[0].mechanism.sensitivity_squared
        document["scale"] = draws[0].mechanism.scale
    else:
        document["parts"] = [
            {
                "part": draw.vector.part,
                "rho": draw.mechanism.rho.nano,
                "sensitivity_squared": draw.mechanism.sensitivity_squared,
                "scale": draw.mechanism.scale,
            }
            for draw in draws
        ]
    match measure:
        case Count() | Persons() | Sum() | Histogram():
            document["margin"] = draws[0].mechanism.margin
        case Mean() | Share():
            document["interval"] = "fieller"
        case Quantiles():
            document["interval"] = "woodruff"
        case _:
            assert_never(measure)
    return document


def _withheld(quote: Quote, policy: Policy, noisy: dict[str, list[int]]) -> list[bool]:
    """Of each cell: by noisy `persons` where they are asked, else by noisy `count` over the row bound. Post-processing
    only.
    """
    measures, least = quote.bound.plan.measures, policy.minimum
    names = [name for name, measure in measures if isinstance(measure, Persons)]
    if not names:
        names = [name for name, measure in measures if isinstance(measure, Count)]
        least *= policy.row_bound
    return [
        any(value < least for value in cell) for cell in zip(*(noisy[name] for name in names), strict=True)
    ]
