"""The lost share: how much of a period the row bound leaves out, as a stored question of its own.

Four noisy numbers of each period and bound: person-periods, those past the bound, rows kept, and rows lost (of each
person-period at most as many as the bound). They share what the load paid, a quarter each. An answer over several
periods adds up their noisy numbers, whose noises are independent. Rows of somebody past twice the bound are counted
up to there, so that what is published is at most what is lost; how far below tells `persons_past`.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, select

from data_access.answers.estimates import margin_spread, ratio
from data_access.canonical import Json, canonical_bytes, content_id
from data_access.clock import timestamp
from data_access.db import Transaction
from data_access.db.answers import lost_shares
from data_access.errors import AuditBroken
from data_access.parties import Signature, SigningKey
from data_access.policy import Policy, UnitKind
from data_access.privacy.budget import Rho
from data_access.privacy.mechanisms import Gaussian, gaussian

#: The four numbers, in the order in which the vault counts them.
NUMBERS = ("persons", "persons_past", "rows_kept", "rows_lost")
#: A quarter of less is no price.
LEAST_RHO = Rho(len(NUMBERS))


def lost_question(policy: Policy, period: str) -> str:
    """The plan's id in ledger and statement: the same under every policy of that lineage with that bound."""
    document = {"kind": "civic-lost-share", "lineage": policy.lineage, "period": period}
    return content_id("pln", canonical_bytes(document | {"row_bound": policy.row_bound}))


def lost_mechanisms(row_bound: int, rho: Rho) -> dict[str, Gaussian]:
    """One for each of `NUMBERS`. A person-period moves the first two by at most 1, the others by the bound."""
    squares = (1, 1, row_bound * row_bound, row_bound * row_bound)
    parts = rho.split([1] * len(NUMBERS))
    return {name: gaussian(square, part) for name, square, part in zip(NUMBERS, squares, parts, strict=True)}


@dataclass(frozen=True)
class LostShare:
    """`statement` holds the canonical bytes that `signature` is over; `id` is taken from their SHA-256."""

    id: str
    period: str
    statement: bytes
    signature: Signature

    def document(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "signature": self.signature.document(),
            "statement": json.loads(self.statement),
        }


def make_lost_statement(
    policy: Policy,
    period: str,
    noisy: Mapping[str, int],
    mechanisms: Mapping[str, Gaussian],
    *,
    rho: Rho,
    reservation: str,
    data_version: int,
    now: datetime,
) -> bytes:
    """Canonical bytes: everything that is needed to know what the four numbers mean, and the share that they give."""
    measures: dict[str, Json] = {
        name: {
            "rho": mechanism.rho.nano,
            "sensitivity_squared": mechanism.sensitivity_squared,
            "scale": mechanism.scale,
            "margin": mechanism.margin,
        }
        for name, mechanism in mechanisms.items()
    }
    numbers: dict[str, Json] = {
        name: [noisy[name], noisy[name] - mechanism.margin, noisy[name] + mechanism.margin]
        for name, mechanism in mechanisms.items()
    }
    statement: dict[str, Json] = {
        "kind": "civic-lost-share",
        "dataset": policy.dataset,
        "dataset_title": {"ko": policy.title.ko, "en": policy.title.en},
        "lineage": policy.lineage,
        "period": period,
        "row_bound": policy.row_bound,
        "unit": {"kind": policy.unit.kind.value, "period": policy.unit.period},
        "synthetic": policy.synthetic,
        "data_version": data_version,
        "policy_hash": policy.hash(),
        "policy_version": policy.version,
        "delta": policy.delta,
        "plan_id": lost_question(policy, period),
        "spend": {"rho": rho.nano},
        "reservation": reservation,
        "mechanism": {"name": "discrete-gaussian", "measures": measures},
        "numbers": numbers,
        "issued_at": timestamp(now),
    }
    return canonical_bytes(statement | {"share": lost_fraction([statement])})


def has_lost_share(connection: Connection, policy: Policy, period: str) -> bool:
    return bool(
        connection.scalar(
            select(lost_shares.c.id).where(
                lost_shares.c.lineage == policy.lineage,
                lost_shares.c.row_bound == policy.row_bound,
                lost_shares.c.period == period,
            )
        )
    )


def put_lost_share(
    tx: Transaction,
    key: SigningKey,
    policy: Policy,
    period: str,
    statement: bytes,
    reservation: str,
    now: datetime,
) -> LostShare:
    """Sign `statement` and store it; a second one of the same period and bound is a fault of the database."""
    found = LostShare(content_id("lost", statement), period, statement, key.sign_bytes(statement))
    tx.connection.execute(
        insert(lost_shares).values(
            lineage=policy.lineage,
            period=period,
            row_bound=policy.row_bound,
            id=found.id,
            reservation=reservation,
            key_id=found.signature.key_id,
            statement=statement,
            signature=base64.b64decode(found.signature.ed25519),
            stored_at=timestamp(now),
        )
    )
    return found


def lost_share_documents(connection: Connection) -> list[dict[str, Any]]:
    """All that were published, for the public: each with its signature. Raises AuditBroken for a damaged one."""
    rows = connection.execute(
        select(lost_shares).order_by(lost_shares.c.lineage, lost_shares.c.period, lost_shares.c.row_bound)
    )
    return [
        LostShare(
            row.id,
            row.period,
            _whole(row.statement, row.id),
            Signature(row.key_id, base64.b64encode(row.signature).decode("ascii")),
        ).document()
        for row in rows
    ]


def _whole(statement: bytes, lost: str) -> bytes:
    """The statement, if its bytes are those that were signed."""
    if content_id("lost", statement) != lost:
        raise AuditBroken()
    return statement


def truncated_share(connection: Connection, policy: Policy, periods: Sequence[str]) -> Json:
    """What an answer over `periods` says of the rows that no question counts: `share`, its 95 % interval `low` to
    `high` (decimal texts, of 1) and the `lost_shares` that it is made from. None, "not published", where one of the
    periods has none.

    Where the unit is a row nothing can be past the bound, which says the policy and no data: 0, from nowhere.
    """
    if policy.unit.kind is UnitKind.ROW:
        return {"share": "0.00000", "low": "0.00000", "high": "0.00000", "lost_shares": []}
    rows = connection.execute(
        select(lost_shares.c.id, lost_shares.c.period, lost_shares.c.statement)
        .where(
            lost_shares.c.lineage == policy.lineage,
            lost_shares.c.row_bound == policy.row_bound,
            lost_shares.c.period.in_(list(periods)),
        )
        .order_by(lost_shares.c.period)
    ).all()
    if not rows or {row.period for row in rows} != set(periods):
        return None
    return {
        **lost_fraction([json.loads(_whole(row.statement, row.id)) for row in rows]),
        "lost_shares": [row.id for row in rows],
    }


def lost_fraction(statements: Sequence[Mapping[str, Any]]) -> dict[str, Json]:
    """Lost ÷ (kept + lost), both summed over the statements, with Fieller's interval: the two share the noise of
    what is lost.
    """

    def added(name: str) -> tuple[int, Decimal]:
        scales = [Decimal(each["mechanism"]["measures"][name]["scale"]) for each in statements]
        return sum(each["numbers"][name][0] for each in statements), sum((s * s for s in scales), Decimal(0))

    (lost, lost_variance), (kept, kept_variance) = added("rows_lost"), added("rows_kept")
    part, rest = (margin_spread(float(variance.sqrt())) ** 2 for variance in (lost_variance, kept_variance))
    found = ratio(np.array([float(lost)]), np.array([float(kept + lost)]), part, part + rest, part, 0.0, 1.0)
    step = 10.0**5
    # Of 1, to five digits, the interval rounded outwards.
    share, low, high = (float(end[0]) * step for end in found)
    whole = {"share": round(share), "low": math.floor(low), "high": math.ceil(high)}
    return {name: f"{value / step:.5f}" for name, value in whole.items()}
