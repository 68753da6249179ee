"""From public records alone: what holds is said to hold, and every way of tampering is found and named."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from civic_kernel.errors import AuditBroken, KeptUnreadable, RecordsUnreadable
from civic_kernel.publish.site import build_site
from civic_kernel.verify.chain import Findings, Head
from civic_kernel.verify.cli import audit, ledger
from civic_kernel.verify.records import NAMES, Records, read_records, write_records
from civic_kernel.verify.whole import check_all, check_audit
from data_access.canonical import canonical_bytes, sha256_hex
from data_access.compose import Settings
from data_access.gateway.public import public_app
from data_access.gateway.site import site_app
from data_access.parties import SigningKey
from tests.audit.conftest import Watched
from tests.factories import ANN, BY_GU, PERIODS
from tests.gateway.serving import served


@pytest.fixture(scope="module")
def records(asked: Watched) -> Records:
    with served(public_app(asked.workspace.parts)) as url:
        return read_records(url, "en")


@pytest.fixture
def folder(records: Records, tmp_path: Path) -> Path:
    write_records(records, tmp_path / "records")
    return tmp_path / "records"


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVIC_LANGUAGE", "en")
    monkeypatch.delenv("CIVIC_GATEWAY_URL", raising=False)


def call(command: Any, *words: str) -> Result:
    return CliRunner().invoke(command, list(words), catch_exceptions=True)


def codes(found: Findings) -> set[str]:
    return {key for key, _ in found.wrong}


def changed(records: Records, **documents: Any) -> Records:
    return replace(copy.deepcopy(records), **documents)


# --- what holds ---


def test_everything_that_happened_is_there_and_paid_for(records: Records) -> None:
    found = check_all(records)
    assert found.wrong == []
    assert found.counted == {
        **{"registers": 1, "policies": 1, "periods": 3, "charges": 7, "answers": 3, "witnesses": 2},
        **{"events": len(records.events), "witnessed_city": 4, "witnessed_cso": 4},
    }
    assert found.head == Head(records.head["seq"], records.head["hash"])


@pytest.mark.parametrize("command", [ledger, audit], ids=["ledger", "audit"])
def test_the_commands_say_what_they_prove_and_what_they_cannot(command: Any, folder: Path) -> None:
    done = call(command, "verify", str(folder))
    assert done.exit_code == 0, done.output
    assert (
        "All is well" in done.output
        and "cannot show that the data behind the answers were true" in done.output
    )
    assert "Without a head kept from before" in done.output
    kept = f"{json.loads((folder / 'head.json').read_text())['seq']}:{'0' * 64}"
    refused = call(command, "verify", str(folder), "--since", kept, "--json")
    document = json.loads(refused.stdout)
    assert (refused.exit_code, document["good"]) == (AuditBroken.exit_code, False)
    assert [line["code"] for line in document["wrong"]] == ["kept"]


def test_a_kept_head_of_any_age_verifies_forward(records: Records, folder: Path) -> None:
    for document in records.events:
        head = f"{document['event']['seq']}:{document['hash']}"
        done = call(audit, "verify", str(folder), "--since", head)
        assert done.exit_code == 0 and "nothing up to your head was removed" in done.output
    done = call(audit, "verify", str(folder), "--since", str(folder / "head.json"))
    assert done.exit_code == 0, done.output


def test_the_address_and_the_files_tell_the_same(asked: Watched, folder: Path, tmp_path: Path) -> None:
    with served(public_app(asked.workspace.parts)) as url:
        live = call(ledger, "verify", url, "--json")
        exported = call(audit, "export", str(tmp_path / "copy"), "--from", url, "--json")
    assert json.loads(live.stdout) == json.loads(call(ledger, "verify", str(folder), "--json").stdout)
    assert json.loads(exported.stdout)["events"] == json.loads(live.stdout)["checked"]["events"]
    for file in folder.iterdir():
        assert (tmp_path / "copy" / file.name).read_bytes() == file.read_bytes()
    assert len(call(audit, "show", str(folder)).output.splitlines()) == len(
        list(json.loads((folder / "events.json").read_text("utf-8")))
    )
    assert "team bike: ρ 0.01" in call(ledger, "show", str(folder)).output


def test_the_citizen_site_and_its_copy_of_the_records_verify_without_an_account(
    asked: Watched, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("JUPYTERHUB_API_TOKEN", "CIVIC_TOKEN", "CIVIC_HOME"):
        monkeypatch.delenv(name, raising=False)
    home, copied = tmp_path / "home", tmp_path / "copied"
    build_site([], [], records.parties, home / "public", home / "staging", records=records)
    with served(public_app(asked.workspace.parts)) as gateway:
        port = int(gateway.rpartition(":")[2])
        settings = Settings(home=home, database_url="sqlite://", public_port=port, isolated=False)
        with served(site_app(settings)) as site:
            kept = httpx.get(f"{site}/v1/audit/head").json()
            for command in (ledger, audit):
                done = call(command, "verify", site, "--since", f"{kept['seq']}:{kept['hash']}")
                assert done.exit_code == 0, done.output
            copied.mkdir()
            for name in NAMES:
                (copied / f"{name}.json").write_bytes(httpx.get(f"{site}/records/{name}.json").content)
    # Site and gateway are gone: the copy is enough.
    for command in (ledger, audit):
        done = call(command, "verify", str(copied), "--since", str(copied / "head.json"))
        assert done.exit_code == 0, done.output
    events = json.loads((copied / "events.json").read_text("utf-8"))
    events[4]["event"]["facts"]["team"] = "walk"
    (copied / "events.json").write_text(json.dumps(events), "utf-8")
    for command in (ledger, audit):
        assert isinstance(call(command, "verify", str(copied)).exception, AuditBroken)


def test_long_chains_come_in_pages(asked: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_access.gateway import public

    whole = public.read_events
    monkeypatch.setattr(public, "read_events", lambda c, after, limit: whole(c, after, limit=4))
    with served(public_app(asked.workspace.parts)) as url:
        assert check_all(read_records(url, "en")).wrong == []


def test_what_is_no_record_is_refused_in_words(tmp_path: Path, folder: Path) -> None:
    for source in (tmp_path / "nothing", folder):
        (folder / "ledger.json").write_text("[", "utf-8")
        failure = call(ledger, "verify", str(source)).exception
        assert isinstance(failure, RecordsUnreadable) and failure.remedy
    (folder / "ledger.json").write_text("[]", "utf-8")
    assert isinstance(call(ledger, "verify", str(folder)).exception, RecordsUnreadable)
    assert isinstance(call(audit, "verify", str(folder), "--since", "yesterday").exception, KeptUnreadable)


def test_answers_joined_by_month_and_added_up_from_finer_ones_verify_too(watched: Watched) -> None:
    by_month = {**BY_GU, "by": ["gu", "month"]}
    september = {"column": "month", "op": "eq", "value": PERIODS[1]}
    watched.workspace.ask(ANN, {**by_month, "where": september})
    watched.workspace.ask(ANN, by_month)
    watched.workspace.ask(ANN, {**BY_GU, "by": ["month"]})
    with served(public_app(watched.workspace.parts)) as url:
        found = read_records(url, "en")
    assert "answer_derived" in {document["event"]["kind"] for document in found.events}
    assert check_all(found).wrong == []


# --- the chain tampered with ---


def _altered(events: list[Any]) -> list[Any]:
    events[3]["event"]["at"] = "2027-01-01T00:00:00Z"
    return events


def _rehashed(events: list[Any]) -> list[Any]:
    _altered(events)
    events[3]["hash"] = sha256_hex(canonical_bytes(events[3]["event"]))
    return events


CHAINS: dict[str, tuple[Callable[[list[Any]], list[Any]], str]] = {
    "altered": (_altered, "hash"),
    "altered and hashed anew": (_rehashed, "signature"),
    "removed": (lambda e: [*e[:3], *e[4:]], "order"),
    "first removed": (lambda e: e[1:], "order"),
    "reordered": (lambda e: [*e[:3], e[4], e[3], *e[5:]], "order"),
    "repeated": (lambda e: [*e[:4], e[3], *e[4:]], "order"),
    "no event": (lambda e: [*e[:3], {"event": 3, "hash": "x", "ed25519": ""}, *e[4:]], "event_malformed"),
    "a float": (
        lambda e: [*e[:3], {**e[3], "event": {**e[3]["event"], "seq": 4.0}}, *e[4:]],
        "event_malformed",
    ),
    "nothing": (lambda e: [], "head"),
    "tail cut": (lambda e: e[:-1], "head"),
}


@pytest.mark.parametrize("tampering", CHAINS)
def test_a_tampered_chain_is_found_and_named(records: Records, tampering: str) -> None:
    change, code = CHAINS[tampering]
    found = check_audit(changed(records, events=change(copy.deepcopy(records.events))))
    assert code in codes(found)


def test_a_cut_tail_whose_head_was_cut_too_shows_to_whoever_kept_one(records: Records) -> None:
    last, before = records.events[-1], records.events[-2]
    head = {**records.head, "seq": before["event"]["seq"], "hash": before["hash"]}
    ledger_head = {**records.ledger, "head": {"seq": head["seq"], "hash": head["hash"]}}
    cut = changed(records, events=records.events[:-1], head=head, ledger=ledger_head)
    assert check_audit(cut).wrong == []
    assert codes(check_audit(cut, [Head(last["event"]["seq"], last["hash"])])) == {"kept"}


def rewritten(records: Records, key: SigningKey, change: Callable[[dict[str, Any]], None]) -> Records:
    """The whole chain written anew from the beginning, signed by `key`, every place and hash right again."""
    previous, events = "0" * 64, []
    for document in copy.deepcopy(records.events):
        body = document["event"]
        change(body)
        body["previous"] = previous
        data = canonical_bytes(body)
        previous = sha256_hex(data)
        events.append({"event": body, "hash": previous, "ed25519": key.sign_bytes(data).ed25519})
    head = {"seq": len(events), "hash": previous}
    return changed(records, events=events, head=head, ledger={**copy.deepcopy(records.ledger), "head": head})


def _earlier(body: dict[str, Any]) -> None:
    if body["kind"] == "charged":
        body["at"] = "2026-11-23T01:00:00Z"


def test_a_chain_rewritten_with_the_gateways_own_key_is_found_by_a_kept_head_and_by_witnesses(
    asked: Watched, records: Records
) -> None:
    forged = rewritten(records, asked.workspace.parts.key, _earlier)
    silent = changed(forged, witnesses={"witnesses": [], "sides": []})
    kept = [Head(document["event"]["seq"], document["hash"]) for document in records.events]
    # Without a kept head such a chain agrees with itself: that is why heads are witnessed.
    assert codes(check_all(silent)) <= {"witness_missing"}
    changed_from = next(d["event"]["seq"] for d in records.events if d["event"]["kind"] == "charged")
    for head in kept:
        assert ("kept" in codes(check_all(silent, [head]))) == (head.seq >= changed_from)
    # Both witnesses signed event 4, before the change; a witness of the last event finds it.
    late = rewritten(records, asked.workspace.parts.key, lambda body: body.update(at="2026-11-23T02:00:00Z"))
    assert "witness_other" in codes(check_all(late))


def test_a_chain_of_another_key_is_nobodys(records: Records) -> None:
    forged = rewritten(records, SigningKey.generate(), lambda body: None)
    assert "signature" in codes(check_audit(forged))


# --- register, policies, ledger tampered with ---


def _period(records: Records, place: int = 0) -> Any:
    return records.ledger["periods"][place]


def _drop_charge(records: Records) -> None:
    _period(records)["charges"].pop()


def _add_charge(records: Records) -> None:
    charges = _period(records)["charges"]
    charges.append({**charges[0], "seq": 99, "reservation": "rsv-other"})


def _cheaper(records: Records) -> None:
    _period(records)["charges"][0]["nano"] -= 1


def _larger_budget(records: Records) -> None:
    _period(records)["budget"] *= 2


def _overspent(records: Records) -> None:
    entry = _period(records)
    entry["charges"][0]["nano"] = entry["budget"] + 1


def _other_state(records: Records) -> None:
    _period(records)["charges"][0]["state"] = "closed"


def _other_policy(records: Records) -> None:
    records.policies[0]["policy"]["budget"] = "0.9"


def _unsigned_policy(records: Records) -> None:
    records.policies[0]["signatures"].pop()


def _half_register(records: Records) -> None:
    records.parties["signatures"].pop()  # type: ignore[attr-defined]


def _negative(records: Records) -> None:
    _period(records)["charges"][0]["nano"] = -5


LEDGERS: dict[str, tuple[Callable[[Records], Any], str]] = {
    "a charge dropped": (_drop_charge, "charge_missing"),
    "a charge added": (_add_charge, "charge_untold"),
    "a charge made cheaper": (_cheaper, "charge_untold"),
    "a charge below nothing": (_negative, "ledger_malformed"),
    "a larger budget": (_larger_budget, "budget_untold"),
    "more than the budget": (_overspent, "overspent"),
    "another end": (_other_state, "state_other"),
    "a period dropped": (lambda r: r.ledger["periods"].pop(), "period_missing"),
    "a period twice": (lambda r: r.ledger["periods"].append(_period(r)), "ledger_malformed"),
    "another policy": (_other_policy, "policy"),
    "a half-signed policy": (_unsigned_policy, "policy"),
    "a policy withheld": (lambda r: r.policies.pop(), "policy_missing"),
    "a half-signed register": (_half_register, "register"),
    "a head of another chain": (lambda r: r.ledger["head"].update(hash="0" * 64), "ledger_head"),
    "no ledger": (lambda r: r.ledger.pop("periods"), "ledger_malformed"),  # type: ignore[attr-defined]
}


@pytest.mark.parametrize("tampering", LEDGERS)
def test_a_tampered_ledger_policy_or_register_is_found_and_named(records: Records, tampering: str) -> None:
    change, code = LEDGERS[tampering]
    spoiled = copy.deepcopy(records)
    change(spoiled)
    assert code in codes(check_all(spoiled))


def test_a_budget_other_than_the_signed_one_is_found_though_chain_and_ledger_agree(
    asked: Watched, records: Records
) -> None:
    def richer(body: dict[str, Any]) -> None:
        if body["kind"] == "period_opened":
            body["facts"]["nano"] *= 2

    forged = rewritten(records, asked.workspace.parts.key, richer)
    for entry in forged.ledger["periods"]:
        entry["budget"] *= 2
    assert "budget_other" in codes(check_all(forged))


def test_an_answer_that_nobody_paid_for_is_found(asked: Watched, records: Records) -> None:
    def unpaid(body: dict[str, Any]) -> None:
        if body["kind"] == "answered":
            body["facts"]["reservation"] = "rsv-free"

    assert "answer_unpaid" in codes(check_all(rewritten(records, asked.workspace.parts.key, unpaid)))


def test_an_answer_given_free_as_open_needs_a_policy_that_says_open(asked: Watched, records: Records) -> None:
    """A gateway that calls a private answer open would give out exact numbers unpaid."""
    last = records.events[-1]["event"]

    def opened(**facts: str) -> Records:
        event = {**last, "seq": last["seq"] + 1, "kind": "answered_open"}
        event["facts"] = {"answer": "ans-x", "dataset": "rides", "policy": last["facts"]["policy"]} | facts
        return rewritten(
            changed(records, events=[*records.events, {"event": event}]),
            asked.workspace.parts.key,
            lambda body: None,
        )

    for facts in ({}, {"policy": "0" * 64}, {"dataset": "sensors"}):
        assert codes(check_all(opened(**facts))) == {"open_private"}


def test_free_answers_of_an_open_dataset_verify(watched: Watched) -> None:
    watched.workspace.load_sensors()
    watched.workspace.ask(ANN, {"dataset": "sensors", "rows": ["*"]})
    watched.workspace.ask(ANN, {"dataset": "sensors", "measures": {"n": {"fn": "count"}}})
    watched.workspace.ask(ANN)
    with served(public_app(watched.workspace.parts)) as url:
        found = check_all(read_records(url, "en"))
    assert found.wrong == [] and found.counted["answers"] == 3


def test_an_answer_put_together_from_answers_that_are_not_there_is_found(
    asked: Watched, records: Records
) -> None:
    last = records.events[-1]["event"]
    paid = last["facts"]["answer"]

    def derived(sources: list[str]) -> Records:
        event = {**last, "seq": last["seq"] + 1, "kind": "answer_derived"}
        event["facts"] = {"answer": "ans-joined", "sources": sources}
        longer = changed(records, events=[*records.events, {"event": event}])
        return rewritten(longer, asked.workspace.parts.key, lambda body: None)

    assert check_all(derived([paid])).wrong == []
    for sources in ([], ["ans-nobody"], [paid, "ans-nobody"]):
        assert codes(check_all(derived(sources))) == {"derived_unpaid"}


def test_no_broken_document_makes_the_check_itself_fail(records: Records) -> None:
    for name in ("ledger", "parties", "witnesses"):
        for nonsense in ({}, {"periods": 3, "register": [], "witnesses": [None, {}]}):
            assert check_all(changed(records, **{name: nonsense})).wrong or name == "witnesses"
    for lines in ([None], [{}], [{"policy": 1}], [[]]):
        assert "policy" in codes(check_all(changed(records, policies=lines)))
        assert check_all(changed(records, events=lines)).wrong
