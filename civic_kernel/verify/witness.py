"""Witnessing a head: each side's own computer checks what came since it last looked, signs, and keeps what it signed.

The kept heads are lines of a file of the witness's own, never rewritten. A head is kept before it is handed in: what
was seen must not be forgotten because somebody's server was down, or did not want it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from civic_kernel.errors import AuditBroken, KeptUnreadable, KeyUnreadable
from civic_kernel.texts import Language
from civic_kernel.verify.chain import START, Findings, Head
from civic_kernel.verify.documents import canonical_bytes, content_id
from civic_kernel.verify.records import PublicRecords, read_records
from civic_kernel.verify.whole import check_all, check_forward


@dataclass(frozen=True)
class Witnessed:
    """What was signed, how many events were new, and whether this is the first head that is kept here."""

    head: Head
    new_events: int
    first: bool
    key_id: str


class Broken(AuditBroken):
    """The chain does not hold, or does not continue the kept head; `findings` say where."""

    findings: Findings


def witness(
    url: str, key_file: Path, keep: Path, language: Language, *, passphrase: str | None = None
) -> Witnessed:
    """Check, sign, keep, hand in. Raises Broken, and then nothing is signed or kept.

    Also KeyUnreadable, KeptUnreadable, RecordsUnreadable, GatewayUnreachable, WitnessInvalid, WitnessTooOften. After
    the last three of these the head may be kept without standing with the gateway; running it again hands it in.
    """
    sign = _read_key(key_file, passphrase, language)
    kept = read_kept(keep, language)
    start = kept[-1] if kept else START
    records = read_records(url, language, after=start.seq)
    # The first time there is nothing to lean on: everything is checked, the ledger too.
    found = check_forward(records, start) if kept else check_all(records)
    if found.wrong:
        said = AuditBroken.say(language)
        broken = Broken(said.message, said.remedy)
        broken.findings = found
        raise broken
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    statement = {"kind": "civic-witness", "seq": found.head.seq, "hash": found.head.hash, "at": moment}
    line = {"statement": statement, **sign(canonical_bytes(statement))}
    if found.head != start or not kept:
        _keep(keep, line)
    with PublicRecords(url, language) as public:
        public.hand_in(line)
    return Witnessed(found.head, found.counted.get("events", 0), not kept, line["key_id"])


def read_kept(path: Path, language: Language) -> list[Head]:
    """The heads in `path`, oldest first; none if there is no such file yet. Raises KeptUnreadable."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        raise KeptUnreadable.say(language) from None
    try:
        return [head_of(json.loads(line)["statement"]) for line in lines if line.strip()]
    except (KeyError, TypeError, ValueError):
        raise KeptUnreadable.say(language) from None


def parse_since(given: str, language: Language) -> list[Head]:
    """`--since`: `SEQ:HASH`, a file of kept heads, or a `head.json`. Raises KeptUnreadable."""
    seq, _, hashed = given.partition(":")
    if seq.isdigit() and len(hashed) == 64:
        return [Head(int(seq), hashed.lower())]
    path = Path(given)
    if not path.is_file():
        raise KeptUnreadable.say(language)
    try:
        return [head_of(json.loads(path.read_text("utf-8")))]
    except (OSError, KeyError, TypeError, ValueError):
        return read_kept(path, language)


def head_of(document: Mapping[str, Any]) -> Head:
    """Raises KeyError, TypeError or ValueError."""
    seq, hashed = document["seq"], document["hash"]
    if type(seq) is not int or not isinstance(hashed, str) or len(hashed) != 64:
        raise ValueError("no head")
    return Head(seq, hashed)


def _read_key(path: Path, passphrase: str | None, language: Language) -> Any:
    """A function from bytes to `{"key_id", "ed25519"}`. The private key stays inside it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), passphrase.encode() if passphrase else None)
    except (OSError, ValueError, TypeError):
        raise KeyUnreadable.say(language) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnreadable.say(language)
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(data: bytes) -> dict[str, str]:
        return {
            "key_id": content_id("key", public),
            "ed25519": base64.b64encode(key.sign(data)).decode("ascii"),
        }

    return sign


def _keep(path: Path, line: Mapping[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
