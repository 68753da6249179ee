"""The chain of events, checked from public documents alone: keys, hashes, order, signatures, kept heads.

A second implementation of data_access/audit, on purpose: a fault in one would have to be in the other too. What
cannot be found here: a chain that the gateway's own key wrote anew from the beginning, unless somebody kept a head
of the old one. That is what witnesses are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from civic_kernel.verify.documents import (
    Key,
    canonical_bytes,
    read_keys,
    read_register,
    sha256_hex,
    valid_signers,
    verify,
)

GENESIS = "0" * 64
#: After so many findings the rest is not listed: one cut early in a chain spoils every event behind it.
MOST_FINDINGS = 50


@dataclass(frozen=True)
class Head:
    """An event's place and hash; what somebody keeps to find out later whether the past was changed."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"


#: Before the first event.
START = Head(0, GENESIS)


@dataclass
class Findings:
    """What was checked, counted, and what is `wrong`: pairs of text key and the facts of its sentence."""

    counted: dict[str, int] = field(default_factory=dict)
    wrong: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    head: Head = START

    def add(self, key: str, **facts: object) -> None:
        if len(self.wrong) < MOST_FINDINGS:
            self.wrong.append((key, {name: str(value) for name, value in facts.items()}))

    def count(self, name: str, number: int = 1) -> None:
        self.counted[name] = self.counted.get(name, 0) + number


@dataclass(frozen=True)
class Event:
    """One checked event."""

    seq: int
    at: str
    kind: str
    facts: Mapping[str, Any]

    @property
    def day(self) -> date:
        return day_of(self.at)


def day_of(moment: str) -> date:
    """The UTC day of a written moment. Raises ValueError."""
    return datetime.strptime(moment, "%Y-%m-%dT%H:%M:%SZ").date()


# --- the register ---


@dataclass(frozen=True)
class Registers:
    """Every register that was ever in force with the day of its acceptance, oldest first."""

    accepted: Sequence[tuple[date, Mapping[str, Key], str]]

    def on(self, day: date) -> Mapping[str, Key]:
        """The keys of the register in force at the end of that day."""
        found: Mapping[str, Key] = {}
        for since, keys, _ in self.accepted:
            if since <= day or not found:
                found = keys
        return found

    @property
    def hashes(self) -> list[str]:
        return [hashed for _, _, hashed in self.accepted]

    def of(self, use: str) -> dict[str, Key]:
        """All keys of that use that any register names."""
        return {key.id: key for _, keys, _ in self.accepted for key in keys.values() if key.use == use}


def check_registers(parties: Mapping[str, Any], found: Findings) -> Registers:
    """Each register is signed by a key of each side: its own for the first, else of the one before it."""
    accepted: list[tuple[date, Mapping[str, Key], str]] = []
    try:
        lines = [*parties.get("earlier", ()), parties]
        for line in lines:
            since = day_of(line["accepted_at"])
            if not accepted:
                keys = read_register(line, since)
            else:
                keys = read_keys(line["register"])
                signers = valid_signers(line["register"], line["signatures"], accepted[-1][1], since)
                if {key.side for key in signers} != {"city", "cso"}:
                    raise ValueError("signed by others than those before it")
            accepted.append((since, keys, sha256_hex(canonical_bytes(line["register"]))))
            found.count("registers")
    except (KeyError, TypeError, AttributeError, ValueError):
        found.add("register")
    return Registers(accepted)


# --- the chain ---


def check_chain(
    documents: Iterable[Any],
    gateway: Mapping[str, Key],
    found: Findings,
    *,
    start: Head = START,
) -> list[Event]:
    """The events that hold, in order, from `start`; stops at the first that does not continue the one before it.

    Whatever stands behind such a break may all be true, and cannot be known to be.
    """
    current, events = start, []
    for document in documents:
        place = current.seq + 1
        try:
            body = document["event"]
            data = canonical_bytes(body)
            event = Event(body["seq"], body["at"], body["kind"], body["facts"])
            day = event.day
            if not isinstance(event.facts, Mapping) or type(event.seq) is not int:
                raise ValueError("no event")
        except (KeyError, TypeError, ValueError, RecursionError):
            found.add("event_malformed", seq=place)
            break
        if event.seq != place or body.get("previous") != current.hash:
            found.add("order", seq=place)
            break
        if sha256_hex(data) != document.get("hash"):
            found.add("hash", seq=place)
            break
        if not any(key.is_valid(day) and _is_signed(key, document, data) for key in gateway.values()):
            found.add("signature", seq=place)
            break
        current = Head(event.seq, str(document["hash"]))
        events.append(event)
        found.count("events")
    found.head = current
    return events


def _is_signed(key: Key, document: Mapping[str, Any], data: bytes) -> bool:
    try:
        verify(key, document, data)
    except ValueError:
        return False
    return True


def check_heads(
    hashes: Mapping[int, str], claimed: Mapping[str, Any], kept: Iterable[Head], found: Findings
) -> None:
    """The published head and every kept one are events of this chain. `hashes`: place → hash of what holds."""
    for head in kept:
        if hashes.get(head.seq) != head.hash:
            found.add("kept", seq=head.seq)
        else:
            found.count("kept")
    if hashes.get(claimed.get("seq", -1)) != claimed.get("hash"):
        found.add("head")


def hashes_of(documents: Iterable[Mapping[str, Any]], events: Sequence[Event], start: Head) -> dict[int, str]:
    """Place → hash, for the events that hold and for the head they start from."""
    held = {event.seq for event in events}
    found = {start.seq: start.hash}
    for document in documents:
        try:
            seq = document["event"]["seq"]
            if seq in held and seq not in found:
                found[seq] = document["hash"]
        except (KeyError, TypeError):
            continue
    return found


def check_registers_in_chain(registers: Registers, events: Iterable[Event], found: Findings) -> None:
    """The registers are those that the chain tells of, in its order."""
    told = [str(event.facts.get("hash")) for event in events if event.kind == "register_accepted"]
    if told != registers.hashes:
        found.add("registers")


def check_witnesses(
    published: Mapping[str, Any],
    registers: Registers,
    events: Sequence[Event],
    hashes: Mapping[int, str],
    found: Findings,
) -> None:
    """Every signed head is by a witness key valid that day, names an event of this chain, and stands in it."""
    told = {
        (str(e.facts.get("key")), e.facts.get("seq"), e.facts.get("hash"))
        for e in events
        if e.kind == "head_witnessed"
    }
    shown = set()
    for line in published.get("witnesses", ()):
        try:
            statement, key = line["statement"], registers.of("witness").get(line["key_id"])
            seq = statement["seq"]
            if statement["kind"] != "civic-witness" or key is None:
                raise ValueError("no witness")
            if key.side != line["side"] or not key.is_valid(day_of(line["stored_at"])):
                raise ValueError("another's key, or one that had run out")
            verify(key, line, canonical_bytes(statement))
            if hashes.get(seq) != statement["hash"]:
                found.add("witness_other", seq=seq)
                continue
            shown.add((key.id, seq, statement["hash"]))
            found.count("witnesses")
            found.counted[f"witnessed_{key.side}"] = max(seq, found.counted.get(f"witnessed_{key.side}", 0))
        except (KeyError, TypeError, ValueError):
            found.add("witness")
    # Heads handed in while the records were being read stand in the chain and not yet in the list.
    last = max((seq for _, seq, _ in shown), default=0)
    for key_id, seq, hashed in told - shown:
        if isinstance(seq, int) and seq <= last and (key_id, seq, hashed) not in shown:
            found.add("witness_missing", seq=seq)
