"""The vault side, the analyst side and the reader's browser judge the same signed examples in the same way."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from civic_kernel.texts import templates_root
from civic_kernel.verify import chain as analyst_chain
from civic_kernel.verify import documents as analyst
from data_access.audit.chain import Event, check_chain
from data_access.canonical import canonical_bytes, content_id, sha256_hex
from data_access.errors import AuditBroken, RegisterInvalid
from data_access.parties import Signature
from data_access.parties.keys import check_signature, parse_signatures
from data_access.parties.register import check_register, parse_register
from tests.vectors import make

VECTORS: dict[str, Any] = json.loads(make.PLACE.read_text("utf-8"))
GATEWAY = make.GATEWAY
WHOLE = make.parties()
ON = date.fromisoformat(make.ON)


def cases(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", VECTORS[kind], ids=[case["name"] for case in VECTORS[kind]])


def holds(judge: Callable[[], object]) -> bool:
    """Whether it is judged good: what is not good raises."""
    try:
        judge()
    except (ValueError, TypeError, RegisterInvalid, AuditBroken):
        return False
    return True


def test_the_file_is_what_its_maker_makes() -> None:
    assert make.PLACE.read_bytes() == make.spelled()


def test_each_kind_has_examples_that_hold_and_examples_that_do_not() -> None:
    for kind in ("signatures", "registers", "answers", "policies", "approvals"):
        assert {case["good"] for case in VECTORS[kind]} == {True, False}
    assert {case["bytes"] is None for case in VECTORS["canonical"]} == {True, False}


# --- the vault side ---


@cases("canonical")
def test_canonical_bytes_in_the_vault(case: dict[str, Any]) -> None:
    try:
        found = canonical_bytes(json.loads(case["text"])).decode("utf-8")
    except (TypeError, ValueError):
        found = None
    assert found == case["bytes"]


@cases("signatures")
def test_signatures_in_the_vault(case: dict[str, Any]) -> None:
    signature = Signature(case["key_id"], case["ed25519"])
    data = canonical_bytes(case["document"])
    assert holds(lambda: check_signature(base64.b64decode(case["public"]), signature, data)) is case["good"]


@cases("registers")
def test_registers_in_the_vault(case: dict[str, Any]) -> None:
    moment = datetime.fromisoformat(case["on"]).replace(tzinfo=UTC)

    def judge() -> None:
        register = parse_register(json.dumps(case["published"]["register"]))
        check_register(register, parse_signatures(case["published"]["signatures"]), None, moment)

    assert holds(judge) is case["good"]


@cases("answers")
def test_answers_in_the_vault(case: dict[str, Any]) -> None:
    body = case["body"]
    data = canonical_bytes(body["statement"])

    def judge() -> None:
        if content_id("ans", data) != body["answer_id"] or body["signature"]["key_id"] != GATEWAY.id:
            raise ValueError
        check_signature(GATEWAY.public, Signature(**body["signature"]), data)

    assert holds(judge) is case["good"]


@cases("chains")
def test_chains_in_the_vault(case: dict[str, Any]) -> None:
    events = [
        Event(
            line["event"]["seq"],
            line["hash"],
            canonical_bytes(line["event"]),
            base64.b64decode(line["ed25519"]),
        )
        for line in case["events"]
    ]
    assert holds(lambda: check_chain(events, GATEWAY.public)) is (case["wrong"] == [])


def test_ids_in_the_vault_and_on_the_analyst_side() -> None:
    for line in VECTORS["ids"]:
        data = line["text"].encode()
        assert content_id(line["prefix"], data) == analyst.content_id(line["prefix"], data) == line["id"]
        assert sha256_hex(data) == analyst.sha256_hex(data)


# --- the analyst side ---


@cases("canonical")
def test_canonical_bytes_on_the_analyst_side(case: dict[str, Any]) -> None:
    try:
        found = analyst.canonical_bytes(json.loads(case["text"])).decode("utf-8")
    except ValueError:
        found = None
    assert found == case["bytes"]


@cases("signatures")
def test_signatures_on_the_analyst_side(case: dict[str, Any]) -> None:
    public = base64.b64decode(case["public"])
    key = analyst.Key(case["key_id"], public, "sign", True, None, None, None, {}, "", "")
    data = analyst.canonical_bytes(case["document"])
    assert holds(lambda: analyst.verify(key, case, data)) is case["good"]


@cases("registers")
def test_registers_on_the_analyst_side(case: dict[str, Any]) -> None:
    on = date.fromisoformat(case["on"])
    assert holds(lambda: analyst.read_register(case["published"], on)) is case["good"]


@cases("answers")
def test_answers_on_the_analyst_side(case: dict[str, Any]) -> None:
    keys = analyst.read_register(WHOLE, ON)
    assert holds(lambda: analyst.check_answer(case["body"], keys)) is case["good"]


@cases("policies")
def test_policies_on_the_analyst_side(case: dict[str, Any]) -> None:
    keys = analyst.read_register(WHOLE, ON)
    assert holds(lambda: analyst.check_policy(case["published"], case["id"], keys, ON)) is case["good"]


@cases("approvals")
def test_approvals_on_the_analyst_side(case: dict[str, Any]) -> None:
    keys = analyst.read_register(WHOLE, ON)
    judged = holds(
        lambda: analyst.check_approvals(case["record"], case["approvals"], keys, ON, case["policies"])
    )
    assert judged is case["good"]


@cases("chains")
def test_chains_on_the_analyst_side(case: dict[str, Any]) -> None:
    keys = analyst.read_register(WHOLE, ON)
    found = analyst_chain.Findings()
    gateways = {key.id: key for key in keys.values() if key.use == "gateway"}
    analyst_chain.check_chain(case["events"], gateways, found)
    assert [code for code, _ in found.wrong] == case["wrong"]


# --- the browser ---

JUDGES = """async ({vectors, register, on}) => {
  const holds = async (judge) => { try { return (await judge()) !== false; } catch { return false; } };
  const all = (cases, judge) => Promise.all(cases.map((one) => holds(() => judge(one))));
  const keys = await civicCheck.readRegister(register, on);
  const gateways = [...keys.values()].filter((key) => key.use === "gateway");
  const text = (one) => {
    try { return civicCheck.canonicalText(civicCheck.parse(one.text)); } catch { return null; }
  };
  const chains = [];
  for (const { events } of vectors.chains) {
    const wrong = [];
    await civicRecordsCheck.checkChain(events, gateways, { add: (key) => wrong.push(key) }, () => {});
    chains.push(wrong);
  }
  const utf8 = new TextEncoder();
  return {
    canonical: vectors.canonical.map(text),
    ids: await Promise.all(vectors.ids.map((one) => civicCheck.contentId(one.prefix, utf8.encode(one.text)))),
    signatures: await all(vectors.signatures, ({ public: key, ed25519, document }) => {
      const { fromBase64, verifyBytes, canonical } = civicCheck;
      return verifyBytes(fromBase64(key), fromBase64(ed25519), canonical(document));
    }),
    registers: await all(vectors.registers, (one) => civicCheck.readRegister(one.published, one.on)),
    answers: await all(vectors.answers, (one) => civicCheck.checkAnswer(one.body, keys)),
    policies: await all(vectors.policies, (one) => civicCheck.checkPolicy(one.published, one.id, keys, on)),
    approvals: await all(
      vectors.approvals, (one) => civicCheck.checkApprovals(one.record, one.approvals, keys, on, one.policies),
    ),
    chains,
  };
}"""


#: Ways in which browsers differ, as a script that runs before ours.
BROWSERS = {
    "its own cryptography": "",
    "hashes of its own and no such signatures": (
        "crypto.subtle.importKey = () => Promise.reject(new DOMException('', 'NotSupportedError'))"
    ),
    "no cryptography": "Object.defineProperty(crypto, 'subtle', { value: undefined })",
}


@pytest.mark.browser
@pytest.mark.parametrize("kind", BROWSERS)
def test_the_browser_agrees(chromium: Browser, tmp_path: Path, kind: str) -> None:
    place = tmp_path / "empty.html"
    place.write_text("<!doctype html><title>-</title>")
    context = chromium.new_context(offline=True)
    page = context.new_page()
    # From a file, as a saved report is one.
    page.goto(place.as_uri())
    assert page.evaluate("crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify']).then(() => true)")
    page.evaluate(f"() => {{ {BROWSERS[kind]} }}")
    for name in ("check.js", "check_records.js"):
        page.add_script_tag(content=(templates_root() / "citizen" / name).read_text("utf-8"))
    found = page.evaluate(JUDGES, {"vectors": VECTORS, "register": WHOLE, "on": make.ON})
    assert found["canonical"] == [case["bytes"] for case in VECTORS["canonical"]]
    assert found["ids"] == [line["id"] for line in VECTORS["ids"]]
    for what in ("signatures", "registers", "answers", "policies", "approvals"):
        assert found[what] == [case["good"] for case in VECTORS[what]], what
    assert found["chains"] == [case["wrong"] for case in VECTORS["chains"]]
    context.close()
