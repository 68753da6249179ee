"""All checks of the public records in their order: what `civic ledger verify` and `civic audit verify` run."""

from __future__ import annotations

from collections.abc import Iterable

from civic_kernel.verify.approvals import check_approvals
from civic_kernel.verify.chain import (
    START,
    Event,
    Findings,
    Head,
    Registers,
    check_chain,
    check_heads,
    check_registers,
    check_registers_in_chain,
    check_witnesses,
    hashes_of,
)
from civic_kernel.verify.ledger import check_ledger, check_policies
from civic_kernel.verify.records import Records


def check_audit(records: Records, kept: Iterable[Head] = ()) -> Findings:
    """Register, chain, heads that somebody kept, witnesses, words given. Never raises for what it finds."""
    found = Findings()
    _audit(records, kept, found)
    return found


def check_all(records: Records, kept: Iterable[Head] = ()) -> Findings:
    """`check_audit`, and the ledger against chain and signed policies."""
    found = Findings()
    registers, events, hashes = _audit(records, kept, found)
    policies = check_policies(records.policies, registers, events, found)
    check_ledger(records.ledger, policies, events, hashes, found)
    return found


def _audit(
    records: Records, kept: Iterable[Head], found: Findings
) -> tuple[Registers, list[Event], dict[int, str]]:
    registers = check_registers(records.parties, found)
    events = check_chain(records.events, registers.of("gateway"), found)
    hashes = hashes_of(records.events, events, START)
    check_registers_in_chain(registers, events, found)
    check_heads(hashes, records.head, kept, found)
    check_witnesses(records.witnesses, registers, events, hashes, found)
    check_approvals(events, found)
    return registers, events, hashes


def check_forward(records: Records, start: Head) -> Findings:
    """Only what came after `start`, which the caller checked when it was the head.

    The register is checked whole, each time: it is short, and says whose signature counts.
    """
    found = Findings()
    registers = check_registers(records.parties, found)
    events = check_chain(records.events, registers.of("gateway"), found, start=start)
    claimed = hashes_of(records.events, events, start).get(records.head.get("seq", -1))
    # Events may have come while the records were being read; fewer than the head says may not.
    if claimed != records.head.get("hash"):
        # A head before the kept one is a cut tail, and one at its place with another hash a rewritten chain.
        found.add("kept" if records.head.get("seq", -1) <= start.seq else "head", seq=start.seq)
    return found
