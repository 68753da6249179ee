"""The ledger against the chain and the signed policies: every charge has its event, and every event its charge.

Money is integer nano-ρ. A policy writes ρ as a decimal text; both are compared as whole numbers.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from civic_kernel.verify.chain import Event, Findings, Registers, day_of
from civic_kernel.verify.documents import canonical_bytes, nano_of, sha256_hex, valid_signers
from civic_kernel.verify.loads import check_loads

#: How a charge's state follows from the chain: the kind of event that ended its reservation.
ENDS = {"answered": "answered", "lost_share_published": "answered", "reservation_closed": "closed"}
OPEN = "reserved"


@dataclass(frozen=True)
class Charge:
    """One line of the ledger, and the same from the chain."""

    reservation: str
    lineage: str
    period: str
    team: str
    nano: int
    plan: str


def check_policies(
    published: Iterable[Mapping[str, Any]], registers: Registers, events: Sequence[Event], found: Findings
) -> dict[str, Mapping[str, Any]]:
    """Policies by hash. Each is what its own signers signed when it took effect, and none is told of in vain."""
    told = {str(e.facts.get("hash")) for e in events if e.kind == "policy_activated"}
    policies: dict[str, Mapping[str, Any]] = {}
    for line in published:
        name = str(line.get("hash"))[:12] if isinstance(line, Mapping) else ""
        try:
            document, day = line["policy"], day_of(line["activated_at"])
            hashed = sha256_hex(canonical_bytes(document))
            keys = valid_signers(document, line["signatures"], registers.on(day), day)
            signed = {(key.side, key.party) for key in keys if document["synthetic"] is True or not key.demo}
            asked = {(signer["side"], signer["party"]) for signer in document["signers"]}
            if hashed != line["hash"] or {side for side, _ in asked} != {"city", "cso"} or asked - signed:
                raise ValueError("not what both sides signed")
        except (KeyError, TypeError, ValueError, AttributeError):
            found.add("policy", name=name)
            continue
        policies[hashed] = document
        found.count("policies")
    for hashed in told - policies.keys():
        found.add("policy_missing", name=hashed[:12])
    return policies


def check_ledger(
    ledger: Mapping[str, Any],
    policies: Mapping[str, Mapping[str, Any]],
    events: Sequence[Event],
    hashes: Mapping[int, str],
    found: Findings,
) -> None:
    """Budgets, charges and their ends, up to the head that the ledger names."""
    try:
        head = ledger["head"]
        # The place 0 with zeros is an empty chain's head.
        if hashes.get(head["seq"]) != head["hash"]:
            found.add("ledger_head")
        until = [event for event in events if event.seq <= head["seq"]]
        periods = {(line["lineage"], line["period"]): line for line in ledger["periods"]}
        if len(periods) != len(ledger["periods"]):
            raise ValueError("a period stands there twice")
        charges = Counter(_lines(periods))
        # Pairs, since one charge stands under every period that it went to, each time with its state.
        states = {
            (line["reservation"], line["state"]) for period in periods.values() for line in period["charges"]
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        found.add("ledger_malformed")
        return
    _check_budgets(periods, policies, until, found)
    _check_charges(charges, policies, until, found)
    _check_ends(states, until, found)
    _check_open(policies, until, found)
    check_loads(until, policies, found)


def _lines(periods: Mapping[tuple[str, str], Mapping[str, Any]]) -> Iterable[Charge]:
    for (lineage, period), entry in periods.items():
        for line in entry["charges"]:
            if type(line["nano"]) is not int or line["nano"] <= 0:
                raise ValueError("a charge is a whole number above 0")
            yield Charge(line["reservation"], lineage, period, line["team"], line["nano"], line["plan_id"])


def _check_budgets(
    periods: Mapping[tuple[str, str], Mapping[str, Any]],
    policies: Mapping[str, Mapping[str, Any]],
    events: Sequence[Event],
    found: Findings,
) -> None:
    """Each period's budget is what its opening said, which is what the policy in force then said; and it holds."""
    opened: dict[tuple[str, str], Event] = {}
    in_force: dict[str, str] = {}
    for event in events:
        match event.kind:
            case "policy_activated":
                in_force[str(event.facts.get("lineage"))] = str(event.facts.get("hash"))
            case "period_opened":
                lineage, period = str(event.facts.get("lineage")), str(event.facts.get("period"))
                policy = policies.get(str(event.facts.get("policy")))
                if (lineage, period) in opened:
                    found.add("opened_twice", lineage=lineage, period=period)
                elif (
                    policy is None
                    or event.facts.get("policy") != in_force.get(lineage)
                    or policy.get("lineage") != lineage
                    or event.facts.get("nano") != nano_of(policy.get("budget"))
                ):
                    found.add("budget_other", lineage=lineage, period=period)
                opened[lineage, period] = event
    for place, entry in periods.items():
        lineage, period = place
        told = opened.get(place)
        if told is None or told.facts.get("nano") != entry["budget"]:
            found.add("budget_untold", lineage=lineage, period=period)
        if sum(line["nano"] for line in entry["charges"]) > entry["budget"]:
            found.add("overspent", lineage=lineage, period=period)
        found.count("periods")
    for lineage, period in opened.keys() - periods.keys():
        found.add("period_missing", lineage=lineage, period=period)


def _check_charges(
    charges: Counter[Charge],
    policies: Mapping[str, Mapping[str, Any]],
    events: Sequence[Event],
    found: Findings,
) -> None:
    told: Counter[Charge] = Counter()
    in_force: dict[str, str] = {}
    for event in events:
        facts = event.facts
        if event.kind == "policy_activated":
            in_force[str(facts.get("lineage"))] = str(facts.get("hash"))
        if event.kind != "charged":
            continue
        try:
            for period in facts["periods"]:
                told[
                    Charge(
                        facts["reservation"],
                        facts["lineage"],
                        period,
                        facts["team"],
                        facts["nano"],
                        facts["plan"],
                    )
                ] += 1
        except (KeyError, TypeError):
            found.add("event_malformed", seq=event.seq)
            continue
        if facts.get("policy") not in policies or facts["policy"] != in_force.get(facts["lineage"]):
            found.add("charge_policy", reservation=facts["reservation"])
    for charge in charges - told:
        found.add("charge_untold", reservation=charge.reservation, period=charge.period)
    for charge in told - charges:
        found.add("charge_missing", reservation=charge.reservation, period=charge.period)
    found.count("charges", (charges & told).total())


def _check_ends(states: Iterable[tuple[str, str]], events: Sequence[Event], found: Findings) -> None:
    """Every answer has a charge before it, and every charge the end that the chain tells of, once."""
    charged: set[str] = set()
    known: set[str] = set()
    ended: dict[str, list[str]] = defaultdict(list)
    for event in events:
        reservation = event.facts.get("reservation")
        if event.kind == "charged":
            charged.add(str(reservation))
        elif event.kind == "answer_derived":
            # Put together from answers that were paid for: free, and only as good as they are there.
            sources = event.facts.get("sources")
            if not isinstance(sources, list) or not sources or not {str(one) for one in sources} <= known:
                found.add("derived_unpaid", answer=event.facts.get("answer"))
            known.add(str(event.facts.get("answer")))
        elif event.kind in ENDS:
            ended[str(reservation)].append(ENDS[event.kind])
            if str(reservation) not in charged:
                found.add("answer_unpaid", reservation=reservation)
            elif event.kind == "answered":
                known.add(str(event.facts.get("answer")))
                found.count("answers")
    for reservation, ends in ended.items():
        if len(ends) > 1:
            found.add("ended_twice", reservation=reservation)
    for reservation, state in sorted(states):
        if state != ended.get(reservation, [OPEN])[0]:
            found.add("state_other", reservation=reservation)


def _check_open(policies: Mapping[str, Mapping[str, Any]], events: Sequence[Event], found: Findings) -> None:
    """An answer that nobody paid for is of a dataset which the policy then in force says is open."""
    in_force: dict[str, str] = {}
    for event in events:
        if event.kind == "policy_activated":
            in_force[str(event.facts.get("dataset"))] = str(event.facts.get("hash"))
        if event.kind != "answered_open":
            continue
        policy = policies.get(str(event.facts.get("policy")))
        dataset = event.facts.get("dataset")
        if (
            policy is None
            or policy.get("lane") != "open"
            or policy.get("dataset") != dataset
            or event.facts.get("policy") != in_force.get(str(dataset))
        ):
            found.add("open_private", answer=event.facts.get("answer"))
        else:
            found.count("answers")
