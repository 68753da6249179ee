"""What an answer says: the table with its intervals, and everything that is needed to know what it means."""

from __future__ import annotations

from datetime import datetime
from itertools import product

from data_access.canonical import Json, canonical_bytes
from data_access.clock import timestamp
from data_access.policy import Policy
from data_access.pricing import Quote
from data_access.query.nodes import Persons, key_name


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
) -> bytes:
    """Canonical bytes of the statement. `noisy` has one list of `bound.cells` integers for each measure.

    Small negative counts are kept: cutting them at zero would bias every sum over sparse cells upwards.
    """
    bound = quote.bound
    columns: list[Json] = [{"name": key_name(key), "role": "key", "measure": None} for key in bound.plan.by]
    for name, _ in bound.plan.measures:
        columns.append({"name": name, "role": "measure", "measure": name})
        columns.append({"name": f"{name}_low", "role": "low", "measure": name})
        columns.append({"name": f"{name}_high", "role": "high", "measure": name})
    columns.append({"name": "withheld", "role": "flag", "measure": None})
    margins = {name: mechanism.margin for name, mechanism in quote.mechanisms}
    rows: list[Json] = []
    for place, keys in enumerate(product(*bound.domains)):
        withheld = _is_withheld(quote, policy, noisy, place)
        row: list[Json] = list(keys)
        for name, _ in bound.plan.measures:
            value = noisy[name][place]
            margin = margins[name]
            row += [None, None, None] if withheld else [value, value - margin, value + margin]
        rows.append([*row, withheld])
    mechanisms: dict[str, Json] = {
        name: {
            "fn": bound.document["measures"][name]["fn"],
            "rho": mechanism.rho.nano,
            "sensitivity_squared": mechanism.sensitivity_squared,
            "scale": mechanism.scale,
            "margin": mechanism.margin,
        }
        for name, mechanism in quote.mechanisms
    }
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
        "mechanism": {"name": "discrete-gaussian", "measures": mechanisms},
        # The lost share is a priced question of its own; until it has been asked it reads "not published".
        "truncated_share": None,
        "issued_at": timestamp(now),
        "table": {"columns": columns, "rows": rows},
    }
    return canonical_bytes(statement)


def _is_withheld(quote: Quote, policy: Policy, noisy: dict[str, list[int]], place: int) -> bool:
    """By noisy `persons` where they are asked, else by noisy `count` over the row bound: post-processing only."""
    persons = [name for name, m in quote.bound.plan.measures if isinstance(m, Persons)]
    if persons:
        return any(noisy[name][place] < policy.minimum for name in persons)
    return any(
        noisy[name][place] < policy.minimum * policy.row_bound for name, _ in quote.bound.plan.measures
    )
