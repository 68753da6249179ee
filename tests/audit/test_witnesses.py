"""Heads that each side's own computer signs: kept before they are handed in, stored for ever, closing nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from civic_kernel.errors import AuditBroken, KeyUnreadable
from civic_kernel.errors import WitnessInvalid as RefusedWitness
from civic_kernel.verify.chain import Head
from civic_kernel.verify.cli import audit
from civic_kernel.verify.witness import read_kept
from data_access.errors import LedgerUnavailable, WitnessInvalid, WitnessTooOften
from data_access.flows.witnessing import MOST_A_DAY, SHOWN_DAYS
from data_access.gateway.public import public_app
from data_access.parties import Signature, SigningKey
from tests.audit.conftest import Watched, sign
from tests.gateway.serving import served

DAY = 86_400


def document(watched: Watched) -> dict[str, Any]:
    with watched.workspace.parts.database.reading() as connection:
        return watched.workspace.parts.witnessing.document(connection)


# --- at the gateway ---


def test_a_head_signed_by_a_witness_key_is_stored_shown_and_told_in_the_chain(watched: Watched) -> None:
    statement = watched.statement()
    watched.witness(watched.city, statement)
    [line] = document(watched)["witnesses"]
    assert (line["statement"], line["side"], line["key_id"]) == (statement, "city", watched.city.id)
    with watched.workspace.parts.database.reading() as connection:
        last = connection.exec_driver_sql("SELECT body FROM events ORDER BY seq DESC LIMIT 1").scalar()
    event = json.loads(last or b"")
    assert event["kind"] == "head_witnessed"
    assert (event["facts"]["seq"], event["facts"]["hash"]) == (statement["seq"], statement["hash"])


def test_the_same_head_again_changes_nothing(watched: Watched) -> None:
    statement = watched.statement()
    watched.witness(watched.city, statement)
    after = watched.head()
    watched.witness(watched.city, statement)
    watched.witness(watched.city, {**statement, "at": "2026-11-23T04:06:00Z"})
    assert watched.head() == after and len(document(watched)["witnesses"]) == 1


REFUSED: dict[str, Any] = {
    "an event that is not there": {"seq": 999},
    "another hash": {"hash": "0" * 64},
    "a place before the first": {"seq": 0},
    "another kind of document": {"kind": "civic-release"},
    "a word too many": {"rows": 3},
    "a number as text": {"seq": "4"},
    "a moment that is none": {"at": "2026-13-45T00:00:00Z"},
    "a moment to come": {"at": "2027-01-01T00:00:00Z"},
    "a float": {"seq": 4.0},
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_head_that_is_none_of_this_chain_is_refused(watched: Watched, case: str) -> None:
    before = watched.head()
    statement = watched.statement(**REFUSED[case])
    signed = (
        watched.city.sign_bytes(json.dumps(statement).encode())
        if case == "a float"
        else sign(watched.city, statement)
    )
    with pytest.raises(WitnessInvalid):
        watched.workspace.parts.witnessing.add(statement, signed)
    assert watched.head() == before and document(watched)["witnesses"] == []


def test_only_a_witness_key_signs_heads_and_a_witness_key_signs_only_heads(watched: Watched) -> None:
    from data_access.errors import PolicyHalfSigned
    from tests.factories import make_policy

    keys = watched.workspace.keys
    for stranger in (keys.city, watched.workspace.parts.key, SigningKey.generate()):
        with pytest.raises(WitnessInvalid):
            watched.witness(stranger)
    statement = watched.statement()
    for signature in (sign(watched.cso, statement), Signature(watched.city.id, "AAAA"), Signature("", "")):
        if signature.key_id != watched.cso.id:
            with pytest.raises(WitnessInvalid):
                watched.workspace.parts.witnessing.add(statement, signature)
    stolen = Signature(watched.city.id, sign(watched.cso, statement).ed25519)
    with pytest.raises(WitnessInvalid):
        watched.workspace.parts.witnessing.add(statement, stolen)
    with pytest.raises(PolicyHalfSigned):
        watched.workspace.activate(
            make_policy(watched.workspace.entry(), version=2), watched.city, watched.cso
        )


def test_a_witness_key_that_has_run_out_signs_no_more(watched: Watched) -> None:
    watched.workspace.clock.elapsed += 5 * 365 * DAY
    with pytest.raises(WitnessInvalid):
        watched.witness(watched.city)


def test_one_key_signs_so_many_heads_a_day_and_another_is_not_held_up(watched: Watched) -> None:
    for _ in range(MOST_A_DAY):
        watched.witness(watched.city)
    with pytest.raises(WitnessTooOften):
        watched.witness(watched.city)
    watched.witness(watched.cso)
    watched.workspace.clock.elapsed += DAY + 1
    watched.witness(watched.city)


@pytest.mark.parametrize("statement", ["UPDATE witnesses SET side = 'cso'", "DELETE FROM witnesses"])
def test_a_stored_head_is_never_changed_or_removed(watched: Watched, statement: str) -> None:
    watched.witness(watched.city)
    with pytest.raises(LedgerUnavailable), watched.workspace.parts.database.transaction() as tx:
        tx.connection.exec_driver_sql(statement)
    assert len(document(watched)["witnesses"]) == 1


def test_a_missed_day_shows_and_closes_nothing(watched: Watched) -> None:
    clock = watched.workspace.clock
    watched.witness(watched.city)
    clock.elapsed += 3 * DAY
    watched.witness(watched.city)
    sides = {line["side"]: line for line in document(watched)["sides"]}
    assert sides["city"]["missed"] == ["2026-11-24", "2026-11-25"]
    assert sides["city"]["last"] == "2026-11-26"
    # The CSO has a witness key and has signed nothing: today is not over and not yet missed.
    assert sides["cso"]["missed"] == ["2026-11-23", "2026-11-24", "2026-11-25"]
    assert sides["cso"]["last"] is None
    assert watched.workspace.ask().charged > 0
    clock.elapsed += 200 * DAY
    assert len(document(watched)["sides"][0]["missed"]) == SHOWN_DAYS


# --- over HTTP, and at each side's own computer ---


@pytest.fixture
def url(watched: Watched) -> Iterator[str]:
    # The computers of both sides have real clocks; the gateway's stands where theirs do.
    watched.workspace.clock.moment = now()
    with served(public_app(watched.workspace.parts)) as found:
        yield found


def now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)


@pytest.fixture
def key(watched: Watched, tmp_path: Path) -> Path:
    watched.city.write(tmp_path / "city.pem")
    return tmp_path / "city.pem"


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIVIC_LANGUAGE", "en")


def run(url: str, key: Path, *more: str) -> Result:
    return CliRunner().invoke(
        audit, ["witness", url, "--key", str(key), "--keep", str(key.parent / "heads"), *more]
    )


def test_the_command_checks_signs_keeps_and_hands_in(watched: Watched, url: str, key: Path) -> None:
    first = run(url, key)
    assert first.exit_code == 0, (first.output, first.exception)
    assert "The first head is kept" in first.output
    watched.workspace.ask()
    second = run(url, key, "--json")
    done = json.loads(second.stdout)
    # The witness's own event, three opened months, the charge, the answer.
    assert (done["first"], done["new_events"]) == (False, 6)
    assert [head.seq for head in read_kept(key.parent / "heads", "en")] == [4, 10]
    shown = httpx.get(f"{url}/v1/audit/witnesses").json()["witnesses"]
    assert [line["statement"]["seq"] for line in shown] == [4, 10]
    verified = CliRunner().invoke(audit, ["verify", url, "--since", str(key.parent / "heads")])
    assert verified.exit_code == 0, verified.output
    assert "The city's own computer has signed the chain up to event 10." in verified.output


def test_a_head_is_kept_even_if_the_gateway_does_not_take_it(
    watched: Watched, url: str, tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.pem"
    SigningKey.generate().write(stranger)
    refused = run(url, stranger)
    assert isinstance(refused.exception, RefusedWitness)
    assert read_kept(tmp_path / "heads", "en") == [Head(*watched.head())]


def test_a_rewritten_chain_is_not_signed_and_the_kept_heads_stay(
    watched: Watched, url: str, key: Path
) -> None:
    """The gateway's own key writes all events anew, every hash and place right: only a kept head can tell."""
    from data_access.canonical import canonical_bytes, sha256_hex

    assert run(url, key).exit_code == 0
    watched.workspace.ask()
    assert run(url, key).exit_code == 0
    kept = (key.parent / "heads").read_bytes()
    with watched.workspace.parts.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT seq, body FROM events ORDER BY seq").all()
    previous = "0" * 64
    watched.workspace.execute("DELETE FROM events")
    for seq, body in rows:
        event = json.loads(body) | {"previous": previous}
        if event["kind"] == "charged":
            event["facts"]["team"] = "walk"
        data = canonical_bytes(event)
        previous = sha256_hex(data)
        signature = watched.workspace.parts.key.private.sign(data)
        watched.workspace.execute("INSERT INTO events VALUES (?, ?, ?, ?)", seq, previous, data, signature)
    refused = run(url, key)
    assert isinstance(refused.exception, AuditBroken)
    assert "the past was changed or cut" in refused.output or "does not continue" in refused.output
    assert (key.parent / "heads").read_bytes() == kept


@pytest.mark.parametrize(
    "statement", ["DELETE FROM events WHERE seq > 3", "DELETE FROM events WHERE seq = 6"]
)
def test_a_cut_or_holed_chain_is_not_signed(watched: Watched, url: str, key: Path, statement: str) -> None:
    assert run(url, key).exit_code == 0
    watched.workspace.ask()
    watched.workspace.execute(statement)
    assert isinstance(run(url, key).exception, AuditBroken)
    assert len(read_kept(key.parent / "heads", "en")) == 1


def test_a_key_that_cannot_be_read_is_refused_without_its_path(url: str, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("hello")
    for name in ("no.pem", "absent.pem"):
        failure = run(url, tmp_path / name).exception
        assert isinstance(failure, KeyUnreadable) and str(tmp_path) not in str(failure)


def test_anybody_may_hand_in_and_only_a_signature_counts(watched: Watched, url: str) -> None:
    statement = watched.statement()
    body = {"statement": statement, **sign(watched.cso, statement).document()}
    address = f"{url}/v1/audit/witnesses"
    assert httpx.post(address, json={**body, "ed25519": "x" * 120}).json()["code"] == "witness_invalid"
    for wrong in (
        {},
        {**body, "more": 1},
        {**body, "ed25519": "x" * 121},
        {"statement": [], **body, "key_id": 3},
    ):
        assert httpx.post(address, json=wrong).json()["code"] == "malformed_request"
    assert httpx.post(address, content=b"x" * 2_000_000).status_code == 413
    assert httpx.post(address, json=body).json()["seq"] == statement["seq"]


def test_the_citizen_site_passes_a_head_on_and_nothing_longer(
    watched: Watched, url: str, tmp_path: Path
) -> None:
    from starlette.testclient import TestClient

    from data_access.compose import Settings
    from data_access.gateway.site import site_app

    settings = Settings(
        home=tmp_path, database_url="sqlite://", public_port=int(url.rpartition(":")[2]), isolated=False
    )
    statement = watched.statement()
    body = {"statement": statement, **sign(watched.cso, statement).document()}
    with TestClient(site_app(settings)) as site:
        assert site.post("/v1/audit/witnesses", content=b"x" * 5_000).json()["code"] == "request_too_large"
        assert site.post("/v1/releases", json={}).status_code == 405
        assert site.post("/v1/audit/witnesses", json=body).json()["seq"] == statement["seq"]
        assert site.get("/v1/audit/witnesses").json()["witnesses"][0]["side"] == "cso"


def test_days_are_counted_in_seoul(watched: Watched) -> None:
    """16:05 UTC is the next day there."""
    watched.workspace.clock.elapsed += 12 * 3600
    watched.witness(watched.city)
    assert document(watched)["sides"][0]["last"] == "2026-11-24"
