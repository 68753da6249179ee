"""Bodies that come in, and the JSON documents that go out."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from data_access.answers import RollUp, StoredAnswer, measure_document
from data_access.compose import Parts
from data_access.errors import CivicError, NotOffered
from data_access.flows.answering import Answered, Asker, PriceTag, Request
from data_access.flows.governing import InForce, OpenInForce, reason_closed
from data_access.flows.open_lane import OpenPrice
from data_access.gateway.open_shapes import open_dataset_document, open_price_document
from data_access.parties import Register, Signature
from data_access.policy import Policy, UnitKind, schema_of
from data_access.policy.twin import twin_columns, twin_rows
from data_access.pricing import margin_at
from data_access.privacy.budget import Rho
from data_access.query.nodes import KeyFunction
from data_access.query.schema import PERIOD_KEY
from data_access.texts import LANGUAGES, text
from data_access.vault import find_version


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class QuestionBody(Body):
    """The body of price and answers. Either `plan` or `sql`, which is read as a plan and never run."""

    plan: dict[str, Any] | None = None
    sql: str | None = Field(None, max_length=20_000)
    spend: dict[str, Any] | None = None
    team: str = Field(max_length=64)
    purpose: str = Field(max_length=40)
    fresh: bool = False
    key: str | None = Field(None, max_length=64)

    def request(self) -> Request:
        return Request(self.plan, self.spend, self.team, self.purpose, self.fresh, self.key, self.sql)


class ReleaseBody(Body):
    record: dict[str, Any]


class ApprovalBody(Body):
    key_id: str = Field(max_length=64)
    ed25519: str = Field(max_length=120)

    def signature(self) -> Signature:
        return Signature(self.key_id, self.ed25519)


class WitnessBody(ApprovalBody):
    """A head, and the signature of a witness key over its canonical bytes."""

    statement: dict[str, Any] = Field(max_length=8)


def catalog_document(parts: Parts, connection: Connection) -> dict[str, Any]:
    datasets = []
    for entry in parts.governing.catalog.values():
        closed: CivicError | None = reason_closed(parts.governing, connection, entry.id)
        policy = None if closed else parts.governing.in_any_lane(connection, entry.id).policy
        datasets.append(
            {
                "id": entry.id,
                "title": entry.title.model_dump(),
                "description": entry.description.model_dump(),
                "lane": policy.lane.value if policy else None,
                "synthetic": policy.synthetic if policy else None,
                "open": closed is None,
                "closed_code": closed.code if closed else None,
            }
        )
    return {"datasets": datasets}


def dataset_document(parts: Parts, connection: Connection, asker: Asker, dataset: str) -> dict[str, Any]:
    """What may be asked, at what price, and what the asker's teams have left. Raises what closes the dataset."""
    force = parts.governing.in_any_lane(connection, dataset)
    policy = force.policy
    register = parts.governing.register(connection)
    version = find_version(connection, policy.lineage)
    about: dict[str, Any] = {
        "id": dataset,
        "title": force.entry.title.model_dump(),
        "description": force.entry.description.model_dump(),
        "lane": policy.lane.value,
        "synthetic": policy.synthetic,
        "policy_hash": policy.hash(),
        "policy_version": policy.version,
        "data_version": version.number if version else None,
        "purposes": list(policy.purposes),
        "expires": policy.expires,
        "signers": [_signer(s, register) for s in force.signatures],
    }
    if isinstance(force, OpenInForce):
        return about | open_dataset_document(force)
    return about | _private_document(parts, connection, asker, force)


def _private_document(parts: Parts, connection: Connection, asker: Asker, force: InForce) -> dict[str, Any]:
    policy = force.policy
    return {
        "unit": {"kind": policy.unit.kind.value, "period": policy.unit.period},
        "row_bound": policy.row_bound,
        "minimum": policy.minimum,
        "delta": policy.delta,
        "promise": policy.promise(),
        "periods": list(policy.periods()),
        "time_column": force.entry.timed_by,
        "columns": _columns(force),
        "functions": [fn.value for fn in KeyFunction if fn is not KeyFunction.BAND or _has_bins(policy)],
        "measures": _measures(policy),
        "precisions": {name: Rho.parse(amount).nano for name, amount in policy.precisions.items()},
        "default_spend": Rho.parse(policy.default_spend).nano,
        "max_spend": Rho.parse(policy.max_spend).nano,
        "teams": [_team(parts, connection, policy, team) for team in sorted(asker.teams)],
    }


#: Rows of one request. The analyst's side asks for one slice after another.
MOST_TWIN_ROWS = 20_000


def twin_document(
    parts: Parts, connection: Connection, dataset: str, *, rows: int, after: int, seed: int
) -> dict[str, Any]:
    """Dummy rows from signed policy and catalog entry. Raises what closes the dataset; needs no data loaded."""
    force = parts.governing.in_any_lane(connection, dataset)
    if isinstance(force, OpenInForce):
        # Its own rows are free: made-up ones beside them would only be taken for them.
        raise NotOffered(feature="twin")
    return {
        "kind": "civic-twin",
        "made_up": True,
        "notice": {spoken: text(spoken, "cli", "twin_notice") for spoken in LANGUAGES},
        "dataset": dataset,
        "policy_hash": force.policy.hash(),
        "seed": seed,
        "after": after,
        "columns": twin_columns(force.policy, force.entry),
        "rows": twin_rows(force.policy, force.entry, seed=seed, after=after, rows=rows),
        "clips": {name: clip.model_dump(mode="json") for name, clip in force.policy.clips.items()},
    }


def _has_bins(policy: Policy) -> bool:
    return any(clip.bins for clip in policy.clips.values())


def _measures(policy: Policy) -> list[str]:
    """The measures that some column of this dataset can be asked by."""
    offered = ["count", *(["persons"] if policy.unit.kind is UnitKind.PERSON else []), "share"]
    offered += ["sum", "mean"] if policy.clips else []
    return offered + (["histogram", "quantiles"] if _has_bins(policy) else [])


def _columns(force: InForce) -> list[dict[str, Any]]:
    labels = {name: c.label for name, c in force.entry.columns.items()}
    labels |= {name: d.label for name, d in force.entry.derived.items()}
    policy = force.policy
    schema = schema_of(policy, force.entry)
    columns: list[dict[str, Any]] = [
        {
            "name": PERIOD_KEY,
            "type": "period",
            "label": {"ko": "월", "en": "Month"},
            "values": list(policy.periods()),
            "other": False,
            "geography": None,
        },
        {
            "name": force.entry.timed_by,
            "type": "time",
            "label": labels[force.entry.timed_by].model_dump(),
            "values": None,
            "other": False,
            "geography": None,
        },
    ]
    columns += [
        {
            "name": name,
            "type": "key",
            "label": labels[name].model_dump(),
            "values": list(domain.values),
            "other": domain.other,
            "geography": domain.geography,
        }
        for name, domain in policy.keys.items()
    ]
    columns += [
        {
            "name": name,
            "type": "measure",
            "label": labels[name].model_dump(),
            "values": None,
            "other": False,
            "geography": None,
            "clip": {"low": clip.low, "high": clip.high, "unit": clip.unit},
            "bins": list(clip.bins) or None,
            "bands": list(schema.measures[name].bands) if clip.bins else None,
        }
        for name, clip in policy.clips.items()
    ]
    return columns


def _signer(signature: Signature, register: Register | None) -> dict[str, Any]:
    key = register.key(signature.key_id) if register else None
    party = register.party(key.party) if register and key and key.party else None
    return {
        "key_id": signature.key_id,
        "side": party.side if party else None,
        "party": party.id if party else None,
        "title": party.title.model_dump() if party else None,
        "demo": key.demo if key else None,
    }


def _team(parts: Parts, connection: Connection, policy: Policy, team: str) -> dict[str, Any]:
    cap = policy.cap_of(team)
    left = parts.book.left(connection, policy, team, policy.periods())
    return {
        "team": team,
        "cap": Rho.parse(cap.rho).nano if cap else 0,
        "left": {period: max(0, rest.nano) for period, rest in left.items()},
    }


def price_document(tag: PriceTag | OpenPrice, team: str) -> dict[str, Any]:
    if isinstance(tag, OpenPrice):
        return open_price_document(tag, team)
    quote = tag.quote
    return {
        "plan": quote.bound.document,
        "plan_id": quote.bound.id,
        "rho": quote.rho.nano,
        "periods": list(quote.periods),
        "cells": quote.bound.cells,
        # What `expected`, and margins in per cent, are told for, and who says that cells are so large.
        "cell": (tag.size.rows or tag.size.persons) if tag.size else None,
        "cell_from": tag.size.source if tag.size else None,
        "measures": {
            name: measure_document(quote, name) | {"expected": _expected(tag, name)}
            for name, _ in quote.bound.plan.measures
        },
        "team": team,
        "left": {period: max(0, rest.nano) for period, rest in tag.left.items()},
        "share_of_left": f"{tag.share_of_left:.4f}",
        "more_such": tag.more_such,
        "stored": tag.stored.id if tag.stored else None,
        # Keyed by the period, a question costs nothing for the periods that are answered already.
        "joins": {period: answer.id for period, answer in tag.joins.items()},
        "to_pay": list(tag.to_pay),
        # Wider than was asked for, it is had by asking for no more than this margin.
        "offers": [_offer(offer) for offer in tag.offers],
        "free": not tag.to_pay,
        # Asked now, it would wait for a person, and why.
        "waits": tag.waits.value if tag.waits else None,
        # A stored answer keeps what was known when it was signed.
        "truncated_share": tag.stored.document()["statement"]["truncated_share"]
        if tag.stored
        else tag.truncated,
    }


def _offer(offer: RollUp) -> dict[str, Any]:
    """What finer answers give for nothing: which they are, and the half-width of each measure."""
    return {
        "periods": list(offer.quote.periods),
        "answers": [source["answer_id"] for source in offer.sources],
        "margins": {draw.vector.measure: draw.mechanism.margin for draw in offer.quote.draws},
    }


def _expected(tag: PriceTag, name: str) -> dict[str, Any] | None:
    """The half-width that depends on a cell's size, at the price's `cell`; None where nobody says one."""
    measure = dict(tag.quote.bound.plan.measures)[name]
    rows = tag.size.rows if tag.size else None
    margin = None if rows is None else margin_at(measure, tag.quote.of(name), rows)
    return None if margin is None else {"margin": f"{margin:.6g}", "cell": rows}


def answer_document(answered: Answered) -> dict[str, Any]:
    return {
        **answered.answer.document(),
        "newer_data": answered.newer_data,
        "newer_policy": answered.newer_policy,
        "charged": answered.charged,
    }


def answer_line(answer: StoredAnswer) -> dict[str, Any]:
    """One line of a team's list of questions: enough to recognise it and to fetch it."""
    statement = answer.document()["statement"]
    kept = ("dataset", "plan", "team", "purpose", "issued_at", "synthetic")
    return {
        "answer_id": answer.id,
        "rho": statement["spend"]["rho"],
        **{name: statement[name] for name in kept},
    }
