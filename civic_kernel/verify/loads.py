"""What loads published out of `load_rho`: paid for by loads alone, once for each period and bound, within the policy.

How much the row bound leaves out is a question of the loads' own (data_access/flows/losing.py). A second draw of the
same would be a second look at the same rows, and a team's question paid out of `load_rho` would be one beyond its cap.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from civic_kernel.verify.chain import Event, Findings
from civic_kernel.verify.documents import nano_of

#: The ledger's word for who pays; no team is called so.
LOADS = "(load)"


def check_loads(events: Sequence[Event], policies: Mapping[str, Mapping[str, Any]], found: Findings) -> None:
    """From the events up to the ledger's head, whose charges `check_ledger` compares with the ledger."""
    paid: dict[str, tuple[Any, Any]] = {}
    spent: Counter[tuple[str, str]] = Counter()
    told: Counter[tuple[Any, Any, Any]] = Counter()
    for event in events:
        facts = event.facts
        reservation = str(facts.get("reservation"))
        match event.kind:
            case "charged" if facts.get("team") == LOADS:
                periods, nano = facts.get("periods"), facts.get("nano")
                if not isinstance(periods, list) or len(periods) != 1 or type(nano) is not int:
                    found.add("event_malformed", seq=event.seq)
                    continue
                place = str(facts.get("lineage")), str(periods[0])
                paid[reservation] = place
                spent[place] += nano
                allowed = nano_of(policies.get(str(facts.get("policy")), {}).get("load_rho"))
                if allowed is None or spent[place] > allowed:
                    found.add("load_overspent", lineage=place[0], period=place[1])
            case "answered" if reservation in paid:
                found.add("load_misused", answer=facts.get("answer"))
            case "lost_share_published":
                what = facts.get("lineage"), facts.get("period"), facts.get("row_bound")
                told[what] += 1
                if told[what] > 1:
                    found.add("lost_twice", lineage=what[0], period=what[1])
                elif paid.get(reservation) != what[:2]:
                    found.add("lost_unpaid", lineage=what[0], period=what[1])
                else:
                    found.count("lost_shares")
