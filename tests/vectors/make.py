"""Makes `signed.json`: `python -m tests.vectors.make`. The keys come from names, so that the same file is made again.

What the file says is right or wrong is decided here by construction (a changed digit, another key, a day too late), not
by asking one of the implementations that are then held against it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.reports.chained import Chain
from tests.reports.standin import CITY, CSO, GATEWAY, RIDES, Signer, parties

PLACE = Path(__file__).with_name("signed.json")
#: 2^252 + …: the order of the group. A signature's second half plus this number verifies where nobody looks.
_ORDER = 2**252 + 27742317777372353535851937790883648493
ON = "2026-11-23"


def canonical_cases() -> list[dict[str, Any]]:
    """`text` is JSON as it may arrive; `bytes` its one spelling, or None where there is none."""
    same = {
        "keys in order": ('{"b":1,"a":2}', '{"a":2,"b":1}'),
        "order is that of UTF-16": ('{"\U0001f600":1,"\uff61":2}', '{"\U0001f600":1,"\uff61":2}'),
        "no space": ('[ 1 , {"가" : null} ]', '[1,{"가":null}]'),
        "letters stay letters": ('"\\uac00\\u00e9"', '"가é"'),
        "controls are escaped": ('"\\u0000\\u001f\\n\\t\\u007f"', '"\\u0000\\u001f\\n\\t\u007f"'),
        "a slash is a slash": ('"\\/"', '"/"'),
        "quotes and backslashes": ('"\\"\\\\"', '"\\"\\\\"'),
        "line separators stay": ('"\\u2028"', '"\u2028"'),
        "the largest whole number": ("9007199254740991", "9007199254740991"),
        "minus nothing": ("-0", "0"),
        "nothing": ("{}", "{}"),
        "numbers in a text": ('"1.5 and 2e3"', '"1.5 and 2e3"'),
        "a key that is a number": ('{"10":1,"9":2}', '{"10":1,"9":2}'),
    }
    refused = {
        "a fraction": "0.5",
        "a whole number with a point": "[1.0]",
        "an exponent": '{"a":1e2}',
        "too large a number": "9007199254740992",
        "half a character": '"\\ud800"',
        "half a character in a key": '{"\\udc00":1}',
    }
    return [
        *({"name": name, "text": text, "bytes": spelled} for name, (text, spelled) in same.items()),
        *({"name": name, "text": text, "bytes": None} for name, text in refused.items()),
    ]


def signature_cases() -> list[dict[str, Any]]:
    document = {"kind": "civic-example", "말": "서명", "number": 7}
    signed = CITY.sign(document)
    raw = base64.b64decode(signed["ed25519"])
    late = int.from_bytes(raw[32:], "little") + _ORDER

    def case(name: str, good: bool, **changes: Any) -> dict[str, Any]:
        public = base64.b64encode(CITY.public).decode()
        return {"name": name, "good": good, "public": public, "document": document, **signed, **changes}

    def spelled(data: bytes) -> str:
        return base64.b64encode(data).decode()

    return [
        case("as signed", True),
        case("another document", False, document={**document, "number": 8}),
        case("another order of keys is the same document", True, document=dict(reversed(document.items()))),
        case("another's key", False, public=base64.b64encode(CSO.public).decode()),
        case("one bit of the signature", False, ed25519=spelled(raw[:5] + bytes([raw[5] ^ 1]) + raw[6:])),
        case(
            "one bit of its second half", False, ed25519=spelled(raw[:40] + bytes([raw[40] ^ 1]) + raw[41:])
        ),
        case("the second half and the order", False, ed25519=spelled(raw[:32] + late.to_bytes(32, "little"))),
        case("too short", False, ed25519=spelled(raw[:63])),
        case("empty", False, ed25519=""),
        case("spaces in it", False, ed25519=f" {signed['ed25519']}"),
        case("another alphabet", False, ed25519=signed["ed25519"].replace("+", "-").replace("/", "_") + "="),
        case("nothing but zeros", False, ed25519=spelled(bytes(64))),
    ]


def register_cases() -> list[dict[str, Any]]:
    whole = parties()
    register = whole["register"]

    def signed_by(*signers: Signer, document: Any = register) -> list[dict[str, str]]:
        return [signer.sign(document) for signer in signers]

    def case(name: str, good: bool, published: Any, on: str = ON) -> dict[str, Any]:
        kept = {part: published[part] for part in ("register", "signatures")}
        return {"name": name, "good": good, "on": on, "published": kept}

    other = {**register, "version": 2}
    renamed = {**register, "keys": [{**register["keys"][0], "id": CITY.id}, *register["keys"][1:]]}
    where = {"ko": "시보 제1호", "en": "The city's gazette, no. 1"}
    printed = {**register, "parties": [{**register["parties"][0], "prints": where}, register["parties"][1]]}
    signed = {"register": printed, "signatures": signed_by(CITY, CSO, document=printed)}
    return [
        case("signed by both", True, whole),
        case("one says where it prints its fingerprints", True, signed),
        case("one says so after it was signed", False, {**signed, "signatures": whole["signatures"]}),
        case("by the city alone", False, {**whole, "signatures": signed_by(CITY)}),
        case("by the CSO twice", False, {**whole, "signatures": signed_by(CSO, CSO)}),
        case(
            "by the gateway too, which counts for nobody",
            False,
            {**whole, "signatures": signed_by(CITY, GATEWAY)},
        ),
        case(
            "by a key that it does not list", False, {**whole, "signatures": signed_by(CITY, Signer("who"))}
        ),
        case("changed after it was signed", False, {**whole, "register": other}),
        case("before its keys are good", False, whole, on="2025-12-31"),
        case("on the last day of its keys", True, whole, on="2036-01-01"),
        case("a day later", False, whole, on="2036-01-02"),
        case(
            "a key under another's name",
            False,
            {"register": renamed, "signatures": signed_by(CITY, CSO, document=renamed)},
        ),
    ]


def answer_cases() -> list[dict[str, Any]]:
    plan = {
        "dataset": "bike_rides",
        "where": None,
        "by": ["start_gu"],
        "measures": {"rides": {"fn": "count"}},
    }
    body = RIDES.answer(plan, 10_000_000, {"team": "site", "purpose": "safety"})
    kept = {part: body[part] for part in ("answer_id", "signature", "statement")}
    statement = body["statement"]
    rows = [list(row) for row in statement["table"]["rows"]]
    rows[0][1] += 1
    changed = {**statement, "table": {**statement["table"], "rows": rows}}
    from civic_kernel.verify.documents import canonical_bytes, content_id

    renamed = content_id("ans", canonical_bytes(changed))
    return [
        {"name": "as signed", "good": True, "body": kept},
        {"name": "one more ride", "good": False, "body": {**kept, "statement": changed}},
        {"name": "one more ride under its own id", "good": False,
         "body": {**kept, "statement": changed, "answer_id": renamed}},
        {"name": "another id", "good": False, "body": {**kept, "answer_id": "ans-" + "a" * 26}},
        {"name": "signed by the city", "good": False, "body": {**kept, "signature": CITY.sign(statement)}},
        {"name": "the city's signature under the gateway's name", "good": False,
         "body": {**kept, "signature": {**CITY.sign(statement), "key_id": GATEWAY.id}}},
    ]  # fmt: skip


def policy_cases() -> list[dict[str, Any]]:
    """`signers` name parties: another organisation of the same side does not sign for who owns the data."""
    from civic_kernel.verify.documents import canonical_bytes, sha256_hex

    asked = [{"side": "city", "party": "seoul"}, {"side": "cso", "party": "bikes"}]
    charity = {"side": "cso", "party": "charity"}

    def case(name: str, good: bool, *signers: Signer, **changes: Any) -> dict[str, Any]:
        policy = {"kind": "civic-policy", "lane": "private", "synthetic": True, "signers": asked, **changes}
        published = {"policy": policy, "signatures": [s.sign(policy) for s in signers]}
        return {
            "name": name,
            "good": good,
            "id": sha256_hex(canonical_bytes(policy)),
            "published": published,
        }

    whole = case("by both whom it asks", True, CITY, CSO)
    changed = {**whole["published"], "policy": {**whole["published"]["policy"], "synthetic": False}}
    return [
        whole,
        case("by one", False, CITY),
        case("by the one twice", False, CITY, CITY),
        case("by another organisation than it asks", False, CITY, CSO, signers=[asked[0], charity]),
        case("by two of the three whom it asks", False, CITY, CSO, signers=[*asked, charity]),
        case("by all whom it asks, of one side", False, CITY, signers=asked[:1]),
        case("by demo keys over what is real", False, CITY, CSO, synthetic=False),
        {**whole, "name": "changed after it was signed", "good": False, "published": changed},
        {**whole, "name": "under another id", "good": False, "id": "0" * 64},
    ]


def approval_cases() -> list[dict[str, Any]]:
    record = {
        "kind": "civic-release",
        "author": "reports",
        "demonstration": True,
        "title": {"ko": "예", "en": "Example"},
    }

    city, bikes, charity = (
        {"side": side, "party": party}
        for side, party in (("city", "seoul"), ("cso", "bikes"), ("cso", "charity"))
    )

    def policy(lane: str, *signers: dict[str, str]) -> dict[str, Any]:
        return {"lane": lane, "signers": list(signers)}

    def case(
        name: str, good: bool, *signers: Signer, policies: Sequence[dict[str, Any]] = (), **changes: Any
    ) -> dict[str, Any]:
        document = {**record, **changes}
        return {
            "name": name,
            "good": good,
            "record": document,
            "policies": list(policies),
            "approvals": [s.sign(document) for s in signers],
        }

    return [
        case("by both", True, CITY, CSO),
        case("by one", False, CSO),
        case("by its author", False, CITY, CSO, author="steward-city"),
        case("a demo key over what is none", False, CITY, CSO, demonstration=False),
        case("by who signed for the data", True, CITY, CSO, policies=[policy("private", city, bikes)]),
        case(
            "by one of several who signed",
            True,
            CITY,
            CSO,
            policies=[policy("private", city, charity, bikes)],
        ),
        case(
            "by another than who signed for the data",
            False,
            CITY,
            CSO,
            policies=[policy("private", city, charity)],
        ),
        case(
            "by who signed for a part of the data",
            False,
            CITY,
            CSO,
            policies=[policy("private", city, bikes), policy("private", city, charity)],
        ),
        case(
            "by another than who signed for open data",
            True,
            CITY,
            CSO,
            policies=[policy("open", city, charity)],
        ),
        {**case("over another record", False, CITY, CSO), "record": {**record, "author": "someone"}},
    ]


def chain_cases() -> list[dict[str, Any]]:
    """`wrong`: the codes that checking the events must find, in order; what follows a break is not looked at."""

    def made() -> list[dict[str, Any]]:
        chain = Chain(GATEWAY.sign)
        for number in range(4):
            chain.append("data_loaded", {"lineage": "example", "version": number})
        return [json.loads(json.dumps(event)) for event in chain.events]

    changed, cut, swapped, foreign, relinked = made(), made(), made(), made(), made()
    changed[2]["event"]["facts"]["version"] = 9
    del cut[1]
    swapped[1], swapped[2] = swapped[2], swapped[1]
    foreign[3]["ed25519"] = CITY.sign(foreign[3]["event"])["ed25519"]
    relinked[1]["event"]["previous"] = "0" * 64
    return [
        {"name": "whole", "events": made(), "wrong": []},
        {"name": "a fact was changed", "events": changed, "wrong": ["hash"]},
        {"name": "one was taken out", "events": cut, "wrong": ["order"]},
        {"name": "two were exchanged", "events": swapped, "wrong": ["order"]},
        {"name": "one is signed by another", "events": foreign, "wrong": ["signature"]},
        {"name": "one names another before it", "events": relinked, "wrong": ["order"]},
        {"name": "nothing", "events": [], "wrong": []},
    ]


def document() -> dict[str, Any]:
    ids = [
        {"prefix": prefix, "text": text} for prefix, text in (("ans", ""), ("key", "가"), ("rel", "a" * 200))
    ]
    from hashlib import sha256

    for line in ids:
        digest = base64.b32encode(sha256(line["text"].encode()).digest()).decode().lower()
        line["id"] = f"{line['prefix']}-{digest[:26]}"
    return {
        "about": "Signed examples on which the vault side, the analyst side and the browser must agree.",
        "canonical": canonical_cases(),
        "ids": ids,
        "signatures": signature_cases(),
        "registers": register_cases(),
        "answers": answer_cases(),
        "policies": policy_cases(),
        "approvals": approval_cases(),
        "chains": chain_cases(),
    }


def spelled() -> bytes:
    return (json.dumps(document(), ensure_ascii=False, indent=1) + "\n").encode("utf-8")


if __name__ == "__main__":
    PLACE.write_bytes(spelled())
