"""Signing, verifying and activating from the command line; what a signature is over."""

from __future__ import annotations

import json
import random
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from data_access.audit import check_chain
from data_access.audit.chain import read_events
from data_access.canonical import canonical_bytes, document_hash
from data_access.cli import policy
from data_access.compose import compose, read_settings
from data_access.errors import PolicyMalformed
from data_access.parties import SigningKey
from data_access.parties.keys import signatures_path, write_signatures
from data_access.policy import parse_policy
from tests.factories import (
    CATALOG,
    Keys,
    entry_of,
    make_keys,
    make_policy,
    make_register,
    write_policy_file,
)


def run(group: Any, *words: str | Path, **options: Any) -> Result:
    return CliRunner().invoke(group, [str(word) for word in words], **options)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    made = make_keys(demo=False)
    for side in ("city", "cso"):
        made.of(side).write(tmp_path / f"{side}.pem")  # type: ignore[arg-type]
    return made


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace that does not exist yet, for verbs. English, and without root's change of user."""
    home = tmp_path / "home"
    (home / "catalog").mkdir(parents=True)
    for name, text in CATALOG.items():
        (home / "catalog" / f"{name}.yaml").write_text(text, "utf-8")
    monkeypatch.setenv("CIVIC_HOME", str(home))
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setattr("data_access.cli.become_vault", lambda: None)
    return home


def write_register(path: Path, keys: Keys, *signers: SigningKey) -> Path:
    register = make_register(keys)
    path.write_text(json.dumps(register.document()), "utf-8")
    write_signatures(signatures_path(path), tuple(key.sign(register.document()) for key in signers))
    return path


def test_from_keys_to_an_active_policy_by_verbs_alone(tmp_path: Path, home: Path, keys: Keys) -> None:
    register = write_register(tmp_path / "parties.json", keys)
    sign_register = ("sign-register", register, "--no-passphrase", "--key")
    signed = run(policy, *sign_register, tmp_path / "city.pem")
    # Read before the signature is made: whom it lets sign from now on.
    listed = [line for line in signed.output.splitlines() if keys.cso.id in line]
    assert signed.exit_code == 0 and len(listed) == 1 and not signed.stderr, signed.output
    refused = run(policy, "register", register, "--json")
    assert (refused.exit_code, json.loads(refused.output)["code"]) == (6, "register_invalid")
    run(policy, *sign_register, tmp_path / "cso.pem")
    file = write_policy_file(tmp_path / "rides.yaml", make_policy(entry_of("rides")))
    checked = run(policy, "check", file, "--json")
    assert json.loads(checked.output)["hash"] == make_policy(entry_of("rides")).hash()
    promise = make_policy(entry_of("rides")).promise()
    assert promise and json.loads(checked.output)["promise"] == promise
    assert run(policy, "register", register).exit_code == 0

    half = run(policy, "sign", file, "--key", tmp_path / "city.pem", "--no-passphrase")
    assert half.exit_code == 0, half.output
    # Read before the signature is made: what a year of it adds up to.
    assert promise["epsilon_year"] in half.output.splitlines()[0]
    refused = run(policy, "activate", file, "--json")
    assert (refused.exit_code, json.loads(refused.output)["code"]) == (6, "policy_half_signed")
    assert json.loads(run(policy, "verify", file, "--register", register, "--json").output)["code"] == (
        "policy_half_signed"
    )

    run(policy, "sign", file, "--key", tmp_path / "cso.pem", "--no-passphrase")
    assert run(policy, "verify", file, "--register", register).exit_code == 0
    first, second = (json.loads(run(policy, "activate", file, "--json").output) for _ in range(2))
    assert (first["changed"], second["changed"]) == (True, False)

    parts = compose(read_settings({"CIVIC_HOME": str(home)}))
    with parts.database.reading() as connection:
        events = read_events(connection)
    parts.close()
    assert [json.loads(e.body)["kind"] for e in events] == ["register_accepted", "policy_activated"]
    assert check_chain(events, parts.key.public).seq == 2


def test_a_signer_hears_that_her_key_stands_in_no_register_and_a_file_that_is_none_is_refused(
    tmp_path: Path, keys: Keys
) -> None:
    register = write_register(tmp_path / "parties.json", keys)
    SigningKey.generate().write(tmp_path / "stranger.pem")
    words = ("--no-passphrase", "--key", tmp_path / "stranger.pem")
    heard = run(policy, "sign-register", register, *words, env={"LC_ALL": "C"})
    assert heard.exit_code == 0 and "not in this register" in heard.stderr
    register.write_text("{}", "utf-8")
    signatures_path(register).unlink()
    refused = run(policy, "sign-register", register, *words, env={"LC_ALL": "C"})
    assert refused.exit_code == 6 and not signatures_path(register).exists()


def test_signing_again_replaces_the_same_keys_signature(tmp_path: Path, keys: Keys) -> None:
    file = write_policy_file(tmp_path / "rides.yaml", make_policy(entry_of("rides")))
    for _ in range(2):
        run(policy, "sign", file, "--key", tmp_path / "city.pem", "--no-passphrase")
    assert [s["key_id"] for s in json.loads(signatures_path(file).read_text())["signatures"]] == [
        keys.city.id
    ]


def test_an_edit_after_signing_is_found_by_verify(tmp_path: Path, home: Path, keys: Keys) -> None:
    register = write_register(tmp_path / "parties.json", keys, keys.city, keys.cso)
    file = write_policy_file(tmp_path / "rides.yaml", make_policy(entry_of("rides")))
    for side in ("city", "cso"):
        run(policy, "sign", file, "--key", tmp_path / f"{side}.pem", "--no-passphrase")
    write_policy_file(file, make_policy(entry_of("rides"), minimum=0))
    refused = run(policy, "verify", file, "--register", register, "--json")
    assert json.loads(refused.output)["code"] == "policy_edited"


def test_keygen_never_overwrites_and_closes_its_file_to_others(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    made = run(policy, "keygen", path, input="long words\nlong words\n")
    assert made.exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    again = run(policy, "keygen", path, "--no-passphrase")
    assert (again.exit_code, path.read_bytes()) == (1, before)
    assert str(tmp_path) not in again.output
    assert b"ENCRYPTED" in before
    assert SigningKey.read(path, "long words").id == json.loads(made.output.splitlines()[-1])["id"]


@pytest.mark.parametrize("words", [["wrong"], [""]])
def test_a_wrong_passphrase_signs_nothing_and_shows_nothing(tmp_path: Path, words: list[str]) -> None:
    SigningKey.generate().write(tmp_path / "key.pem", "right")
    file = write_policy_file(tmp_path / "rides.yaml", make_policy(entry_of("rides")))
    refused = run(policy, "sign", file, "--key", tmp_path / "key.pem", input="\n".join([*words, ""]))
    assert refused.exit_code == 1
    assert "Traceback" not in refused.output and str(tmp_path) not in refused.output
    assert not signatures_path(file).exists()


@pytest.mark.parametrize("verb", ["check", "activate"])
def test_a_policy_file_that_is_not_there_is_refused_in_a_sentence(
    home: Path, tmp_path: Path, verb: str
) -> None:
    refused = run(policy, verb, tmp_path / "rides.yaml")
    assert refused.exit_code == 6
    assert "→" in refused.output and str(tmp_path) not in refused.output


def test_a_register_file_that_is_not_there_or_no_register_is_refused(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "parties.json"
    for content in (None, b"{}", b"\xff\xfe", b"[1,2"):
        if content is not None:
            path.write_bytes(content)
        refused = run(policy, "register", path, "--json")
        assert json.loads(refused.output)["code"] == "register_invalid"


def test_verbs_without_a_workspace_make_none(home: Path, tmp_path: Path) -> None:
    file = write_policy_file(tmp_path / "rides.yaml", make_policy(entry_of("rides")))
    refused = run(policy, "activate", file, "--json")
    assert (refused.exit_code, json.loads(refused.output)["code"]) == (8, "ledger_unavailable")
    assert not (home / "db").exists()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_hash_does_not_depend_on_how_the_yaml_is_written(seed: int) -> None:
    document = make_policy(entry_of("rides")).document()

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = list(value.items())
            random.Random(seed).shuffle(items)
            return {key: shuffled(inner) for key, inner in items}
        return [shuffled(inner) for inner in value] if isinstance(value, list) else value

    style = random.Random(seed).choice([True, False, None])
    source = yaml.safe_dump(
        shuffled(document), allow_unicode=bool(seed % 2), default_flow_style=style, sort_keys=False
    )
    assert parse_policy(source, "rides").hash() == document_hash(document)


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("surprise: 1", "surprise"),
        ("budget: 0.5", "YAML"),
        ("expires: 2026-13-45", "YAML"),
        ("budget: [", "YAML"),
    ],
)
def test_a_word_too_many_or_twice_is_a_fault_and_never_passed_over(line: str, where: str) -> None:
    source = yaml.safe_dump(make_policy(entry_of("rides")).document())
    with pytest.raises(PolicyMalformed) as refused:
        parse_policy(f"{source}{line}\n", "rides")
    assert refused.value.facts["where"] == where


@pytest.mark.parametrize(
    "changes",
    [
        {"budget": "0.1"},
        {"budget": "NaN"},
        {"held_back": "0.3"},
        {"signers": [{"side": "city", "party": "city"}, {"side": "city", "party": "cso"}]},
        {"unit": {"kind": "person", "period": "month"}},
        {"unit": {"kind": "row", "period": "month"}},
        {"first_period": "2026-11"},
        {"first_period": "2026-13"},
        {"last_period": "9999-12"},
        {"default_spend": "0.2"},
        {"delta": "0.000001"},
        {"keys": {"gu": {"values": ["종로구", "종로구"]}}},
        {"keys": {"gu": {"values": ["other"]}}},
        {"caps": [{"name": n, "teams": "others", "rho": "0.1"} for n in ("a", "b")]},
        {"version": 0},
        {"row_bound": 0},
    ],
    ids=str,
)
def test_a_policy_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        make_policy(entry_of("rides"), **changes)


def test_canonical_bytes_refuse_floats_and_what_json_has_no_word_for() -> None:
    for value in (0.1, float("nan"), [{"a": 1.0}], {"a": {1, 2}}, b"x", 2**60):
        with pytest.raises((TypeError, ValueError)):
            canonical_bytes(value)
    assert canonical_bytes({"b": 1, "a": "ㄱ"}) == '{"a":"ㄱ","b":1}'.encode()
