"""What was charged on a person's word, against her word: once, for no more months and no higher price than she saw.

From the chain alone. What cannot be found here: a room's charge for which no word is claimed at all, since the
chain says of nobody whether she is a room.
"""

from __future__ import annotations

from collections.abc import Sequence

from civic_kernel.verify.chain import Event, Findings


def check_approvals(events: Sequence[Event], found: Findings) -> None:
    """Each decision stands once, and each use after it, once, by the person who decided, for what she approved."""
    decided: dict[str, Event] = {}
    charged: dict[str, Event] = {}
    used: set[str] = set()
    for event in events:
        approval = str(event.facts.get("approval"))
        match event.kind:
            case "charged":
                charged[str(event.facts.get("reservation"))] = event
            case "approval_decided":
                if approval in decided:
                    found.add("approval_twice", approval=approval)
                decided.setdefault(approval, event)
            case "approval_used":
                word = decided.get(approval)
                if approval in used:
                    found.add("approval_twice", approval=approval)
                elif word is None or word.facts.get("decision") != "approved" or not _is_same(event, word):
                    found.add("approval_unsaid", approval=approval)
                elif not _is_within(event, word, charged):
                    found.add("approval_exceeded", approval=approval)
                else:
                    found.count("approvals")
                used.add(approval)


def _is_same(event: Event, word: Event) -> bool:
    return all(event.facts.get(name) == word.facts.get(name) for name in ("by", "cause", "plan", "team"))


def _is_within(event: Event, word: Event, charged: dict[str, Event]) -> bool:
    """Whether the charges are of that team and policy, each month once, and none dearer than was approved."""
    made = event.facts.get("reservations")
    if not isinstance(made, list) or not made:
        return False
    months: list[object] = []
    for reservation in made:
        charge = charged.get(str(reservation))
        if charge is None or not isinstance(periods := charge.facts.get("periods"), list):
            return False
        if any(charge.facts.get(name) != word.facts.get(name) for name in ("team", "policy", "nano")):
            return False
        months += periods
    approved = word.facts.get("periods")
    return (
        isinstance(approved, list)
        and len(months) == len({*map(str, months)})
        and all(month in approved for month in months)
    )
