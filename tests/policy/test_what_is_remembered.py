"""What bytes say is remembered; that they are in force is decided anew at each question."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from data_access.canonical import canonical_bytes
from data_access.documents import Labels
from data_access.errors import CivicError
from data_access.parties import SigningKey, check_signature_once
from tests.factories import ANN, Workspace, entry_of, make_keys, make_policy, make_register


def code(workspace: Workspace) -> str | None:
    """Of a question that pays; None where it is answered."""
    try:
        workspace.ask(ANN, fresh=True)
    except CivicError as refused:
        return refused.code
    return None


@pytest.mark.parametrize(
    ("table", "column", "closed"),
    [
        ("policies", "document", "policy_edited"),
        ("policies", "hash", "policy_edited"),
        ("policies", "signatures", "policy_edited"),
        ("registers", "document", "register_invalid"),
        ("registers", "hash", "register_invalid"),
        ("registers", "signatures", "register_invalid"),
    ],
)
def test_a_row_that_was_proved_before_closes_as_soon_as_it_is_edited(
    workspace: Workspace, table: str, column: str, closed: str
) -> None:
    assert code(workspace) is None
    with workspace.parts.database.reading() as connection:
        good = connection.exec_driver_sql(f"SELECT {column} FROM {table}").scalar_one()
    edited = {
        "document": lambda: _with(good, "version", 7),
        "hash": lambda: "0" * 64,
        # Somebody else's signature, in the right key's name.
        "signatures": lambda: canonical_bytes(
            [
                {"key_id": each["key_id"], "ed25519": SigningKey.generate().sign({}).ed25519}
                for each in json.loads(good)
            ]
        ),
    }[column]()
    workspace.execute(f"UPDATE {table} SET {column} = ?", edited)
    assert code(workspace) == closed
    workspace.execute(f"UPDATE {table} SET {column} = ?", good)
    assert code(workspace) is None


def _with(document: bytes, word: str, value: Any) -> bytes:
    return canonical_bytes({**json.loads(document), word: value})


def test_a_policy_that_was_proved_before_ends_with_its_day(workspace: Workspace) -> None:
    workspace.activate(make_policy(workspace.entry(), version=2, expires="2026-12-01"))
    assert code(workspace) is None
    workspace.clock.moment += timedelta(days=9)
    assert code(workspace) == "policy_expired"


def test_keys_that_signed_end_with_the_register_that_lists_them(workspace: Workspace) -> None:
    assert code(workspace) is None
    workspace.accept(make_register(make_keys(demo=False), version=2))
    assert code(workspace) == "policy_half_signed"


def test_only_what_verified_is_remembered() -> None:
    key = SigningKey.generate()
    signature, other = key.sign_bytes(b"a"), key.sign_bytes(b"b")
    for _ in range(2):
        check_signature_once(key.public, signature, b"a")
        for public, claimed, data in (
            (key.public, other, b"a"),
            (key.public, signature, b"b"),
            (SigningKey.generate().public, signature, b"a"),
        ):
            with pytest.raises(ValueError, match="does not verify"):
                check_signature_once(public, claimed, data)


@pytest.mark.parametrize("deep", [False, True])
def test_what_becomes_of_a_policy_has_a_hash_of_its_own(deep: bool) -> None:
    policy = make_policy(entry_of("rides"))
    first = policy.hash()
    newer = policy.model_copy(update={"version": 2}, deep=deep)
    assert newer.hash() == make_policy(entry_of("rides"), version=2).hash() != first == policy.hash()
    assert policy == make_policy(entry_of("rides")) != newer


@pytest.mark.parametrize("deep", [False, True])
def test_a_copied_catalog_entry_has_a_hash_of_its_own(deep: bool) -> None:
    entry = entry_of("rides")
    before = entry.hash()
    other = entry.model_copy(update={"title": Labels(ko="다른", en="other")}, deep=deep)
    assert other.hash() != before == entry.hash()
    assert other.model_copy(update={"title": entry.title}).hash() == before


_TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ['\x00\x1f\x7f\\"/\b\f\n\r\t', "\u2028", "😀"]
)
_LEAVES = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXTS


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
        max_leaves=20,
    )
)
def test_canonical_bytes_are_those_of_the_reference(document: Any) -> None:
    assert canonical_bytes(document) == rfc8785.dumps(document)


@pytest.mark.parametrize("wrong", [2**53, -(2**53), "\ud800", {"\udfff": 1}, {1: 2}, {"a": (1, 0.5)}, {1, 2}])
def test_what_the_reference_refuses_is_refused_without_a_word_of_it(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        canonical_bytes({"a": [wrong]})
    assert refused.value.args[0] in ("not a canonical JSON document", "a canonical document holds no floats")
