"""What closes a dataset, each with a code of its own, in the catalog and at each question."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from data_access.canonical import canonical_bytes
from data_access.errors import (
    CivicError,
    DatasetClosed,
    PolicyDemoKey,
    PolicyEdited,
    PolicyHalfSigned,
    PolicyLineageChanged,
    PolicyRolledBack,
    RegisterInvalid,
)
from data_access.flows.governing import reason_closed
from data_access.parties import Key, Register, SigningKey
from data_access.parties.keys import signatures_path, write_signatures
from tests.factories import (
    ACCIDENTS,
    ANN,
    Workspace,
    entry_of,
    make_keys,
    make_policy,
    make_register,
    request,
    write_policy_file,
)


def closed_code(workspace: Workspace, dataset: str = "rides") -> str | None:
    """The code in the catalog, after checking that a question is refused with the same."""
    with workspace.parts.database.reading() as connection:
        reason = reason_closed(workspace.parts.governing, connection, dataset)
    plan = {"dataset": dataset, "measures": {"n": {"fn": "count"}}}
    if reason is None:
        workspace.ask(ANN, plan)
        return None
    with pytest.raises(DatasetClosed) as refused:
        workspace.ask(ANN, plan)
    assert refused.value.code == reason.code
    return reason.code


def test_a_policy_that_both_sides_signed_opens_its_dataset(workspace: Workspace) -> None:
    assert closed_code(workspace) is None


def test_a_dataset_without_a_policy_is_closed(workspace: Workspace) -> None:
    assert closed_code(workspace, "accidents") == "policy_missing"


def test_a_signed_policy_without_data_is_closed_and_the_catalog_says_so(workspace: Workspace) -> None:
    workspace.activate(make_policy(workspace.entry("accidents")))
    assert closed_code(workspace, "accidents") == "no_data"
    workspace.load("accidents", ("time", "gu"), ACCIDENTS)
    assert closed_code(workspace, "accidents") is None


@pytest.mark.parametrize("signing", ["city", "cso"])
def test_one_side_alone_opens_nothing(workspace: Workspace, signing: str) -> None:
    policy = make_policy(workspace.entry("accidents"))
    key: SigningKey = getattr(workspace.keys, signing)
    with pytest.raises(PolicyHalfSigned) as refused:
        workspace.activate(policy, key)
    assert refused.value.facts["missing"] == ({"city", "cso"} - {signing}).pop()
    path = write_policy_file(workspace.home / "policies" / "accidents.yaml", policy)
    write_signatures(signatures_path(path), (key.sign(policy.document()),))
    assert closed_code(workspace, "accidents") == "policy_half_signed"


def test_two_signatures_of_one_side_are_one_side(workspace: Workspace) -> None:
    with pytest.raises(PolicyHalfSigned):
        workspace.activate(
            make_policy(workspace.entry(), version=2), workspace.keys.city, workspace.demo_keys.city
        )


def test_a_file_that_was_edited_after_signing_is_closed(workspace: Workspace) -> None:
    signed = make_policy(workspace.entry("accidents"))
    edited = make_policy(workspace.entry("accidents"), budget="5")
    path = write_policy_file(workspace.home / "policies" / "accidents.yaml", edited)
    write_signatures(signatures_path(path), tuple(k.sign(signed.document()) for k in both(workspace)))
    assert closed_code(workspace, "accidents") == "policy_edited"


def both(workspace: Workspace) -> tuple[SigningKey, SigningKey]:
    return workspace.keys.city, workspace.keys.cso


def test_a_row_that_was_edited_in_the_database_closes_the_dataset(workspace: Workspace) -> None:
    edited = make_policy(workspace.entry(), budget="5")
    workspace.execute(
        "UPDATE policies SET document = ?, hash = ?", canonical_bytes(edited.document()), edited.hash()
    )
    assert closed_code(workspace) == "policy_edited"


@pytest.mark.parametrize("document", [b"{}", b"no json", b"[]", b"\xff"])
def test_a_row_that_is_no_policy_any_more_closes_the_dataset(workspace: Workspace, document: bytes) -> None:
    workspace.execute("UPDATE policies SET document = ?", document)
    assert closed_code(workspace) == "policy_edited"


def test_a_signature_taken_out_of_the_database_closes_the_dataset(workspace: Workspace) -> None:
    with workspace.parts.database.reading() as connection:
        found = json.loads(connection.exec_driver_sql("SELECT signatures FROM policies").scalar_one())
    workspace.execute("UPDATE policies SET signatures = ?", json.dumps(found[:1]).encode())
    assert closed_code(workspace) == "policy_half_signed"


def test_a_policy_ends_with_the_day_it_names(workspace: Workspace) -> None:
    workspace.activate(make_policy(workspace.entry(), version=2, expires="2026-11-24"))
    workspace.clock.moment = workspace.clock.moment.replace(day=24, hour=23, minute=59)
    assert closed_code(workspace) is None
    workspace.clock.moment += timedelta(minutes=1)
    assert closed_code(workspace) == "policy_expired"


@pytest.mark.parametrize("day", ["2027-1-5", "2027-01-5", "2027-02-30", "27-01-05", "2027-01-05 ", ""])
def test_an_expiry_that_sorts_wrongly_as_text_is_no_expiry(day: str) -> None:
    with pytest.raises(ValueError, match="expires"):
        make_policy(entry_of("rides"), expires=day)


def test_versions_only_go_up(workspace: Workspace) -> None:
    workspace.activate(make_policy(workspace.entry(), version=3))
    for version in (1, 2, 3):
        with pytest.raises(PolicyRolledBack):
            workspace.activate(make_policy(workspace.entry(), version=version, minimum=7))
    assert closed_code(workspace) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"lineage": "another-lineage"},
        {"unit": {"kind": "row", "period": "month"}, "row_bound": 1},
    ],
    ids=["lineage", "unit"],
)
def test_what_a_lineages_first_policy_fixed_stays(workspace: Workspace, changes: dict[str, Any]) -> None:
    with pytest.raises(CivicError) as refused:
        workspace.activate(make_policy(workspace.entry(), version=2, **changes))
    assert refused.value.code in ("policy_lineage_changed", "policy_catalog_changed")
    assert closed_code(workspace) is None


def test_the_time_column_and_the_person_column_of_a_lineage_stay(workspace: Workspace) -> None:
    path = workspace.home / "catalog" / "rides.yaml"
    path.write_text(path.read_text("utf-8").replace("started_at", "begun_at"), "utf-8")
    workspace.reopen()
    assert closed_code(workspace) == "policy_catalog_changed"
    with pytest.raises(PolicyLineageChanged):
        workspace.activate(make_policy(workspace.entry(), version=2))


@pytest.mark.parametrize("column", ["member", "time"])
def test_the_files_columns_behind_person_and_time_stay(workspace: Workspace, column: str) -> None:
    path = workspace.home / "catalog" / "rides.yaml"
    path.write_text(path.read_text("utf-8").replace(f"source: {column}", "source: another"), "utf-8")
    workspace.reopen()
    with pytest.raises(PolicyLineageChanged):
        workspace.activate(make_policy(workspace.entry(), version=2))


def test_a_catalog_entry_that_is_not_the_signed_one_closes_the_dataset(workspace: Workspace) -> None:
    path = workspace.home / "catalog" / "rides.yaml"
    path.write_text(path.read_text("utf-8").replace("source: gu", "source: sex"), "utf-8")
    workspace.reopen()
    assert closed_code(workspace) == "policy_catalog_changed"


def test_a_demo_key_opens_only_what_says_synthetic(real_workspace: Workspace) -> None:
    made = real_workspace
    made.accept(make_register(made.keys, made.demo_keys))
    policy = make_policy(made.entry(), synthetic=False)
    for signers in (
        (made.demo_keys.city, made.demo_keys.cso),
        (made.keys.city, made.demo_keys.cso),
        (made.keys.city, made.keys.cso, made.demo_keys.cso),
    ):
        with pytest.raises(PolicyDemoKey):
            made.activate(policy, *signers)
    made.activate(policy)
    made.load_rides()
    assert closed_code(made) is None


def test_real_data_stay_closed_where_seats_and_vault_are_one_user(real_workspace: Workspace) -> None:
    made = real_workspace
    made.accept(make_register(made.keys))
    made.activate(make_policy(made.entry(), synthetic=False))
    made.load_rides()
    made.reopen(isolated=False)
    assert closed_code(made) == "isolation_missing"
    with pytest.raises(CivicError, match="isolation_missing"):
        made.load_rides()


def test_a_key_that_the_register_does_not_list_signs_nothing(workspace: Workspace) -> None:
    strangers = make_keys(demo=False)
    with pytest.raises(PolicyHalfSigned):
        workspace.activate(make_policy(workspace.entry(), version=2), strangers.city, strangers.cso)
    with pytest.raises(PolicyHalfSigned):
        workspace.activate(make_policy(workspace.entry(), version=2), workspace.keys.city, strangers.cso)


def test_a_key_past_its_day_signs_nothing_any_more(real_workspace: Workspace) -> None:
    made = real_workspace
    made.accept(make_register(made.keys, valid_until="2026-11-30"))
    made.activate(make_policy(made.entry()))
    made.load_rides()
    assert closed_code(made) is None
    made.clock.moment += timedelta(days=10)
    assert closed_code(made) == "policy_half_signed"


@pytest.mark.parametrize("use", ["gateway", "witness"])
def test_a_gateways_or_witness_key_signs_no_policy(real_workspace: Workspace, use: str) -> None:
    made = real_workspace
    register = make_register(made.keys)
    stranger = make_keys(demo=False).cso
    city, cso = register.keys
    other = {
        "use": use,
        "id": stranger.id,
        "public": base64.b64encode(stranger.public).decode("ascii"),
        "person": None,
    }
    third = cso.model_copy(update=other | ({"party": None} if use == "gateway" else {}))
    made.accept(Register.model_validate(register.model_copy(update={"keys": (city, cso, third)})))
    with pytest.raises(PolicyHalfSigned):
        made.activate(make_policy(made.entry()), made.keys.city, stranger)


def test_without_a_register_everything_is_closed(real_workspace: Workspace) -> None:
    with pytest.raises(RegisterInvalid):
        real_workspace.activate(make_policy(real_workspace.entry()))


@pytest.mark.parametrize("signing", [(), ("city",), ("cso",)], ids=["nobody", "city", "cso"])
def test_a_register_needs_both_sides(real_workspace: Workspace, signing: tuple[str, ...]) -> None:
    made = real_workspace
    register = make_register(made.keys)
    signatures = tuple(getattr(made.keys, side).sign(register.document()) for side in signing)
    with pytest.raises(RegisterInvalid):
        made.parts.governing.accept_register(register, signatures)


def test_a_new_register_is_signed_by_keys_of_the_one_before_it(workspace: Workspace) -> None:
    strangers = make_keys(demo=False)
    with pytest.raises(RegisterInvalid):
        workspace.accept(make_register(strangers, version=2), strangers.city, strangers.cso)
    with pytest.raises(RegisterInvalid):
        workspace.accept(make_register(strangers, version=1))
    workspace.accept(make_register(strangers, version=2))
    # The rides' signers are no longer listed, so that nothing speaks for their policy.
    assert closed_code(workspace) == "policy_half_signed"


def test_a_register_put_into_the_database_by_hand_closes_everything(workspace: Workspace) -> None:
    strangers = make_keys(demo=False)
    forged = make_register(strangers, version=2)
    signatures = [key.sign(forged.document()).document() for key in (strangers.city, strangers.cso)]
    workspace.execute(
        "INSERT INTO registers VALUES (2, ?, ?, ?, '2026-11-23T04:05:06Z')",
        forged.hash(),
        canonical_bytes(forged.document()),
        canonical_bytes(signatures),
    )
    assert closed_code(workspace) == "register_invalid"


@pytest.mark.parametrize("column", ["document", "signatures"])
def test_a_register_edited_in_the_database_closes_everything(workspace: Workspace, column: str) -> None:
    workspace.execute(f"UPDATE registers SET {column} = '[]'")
    assert closed_code(workspace) == "register_invalid"


def test_a_person_stands_on_one_side_of_a_register() -> None:
    keys = make_keys(demo=False)
    city, cso = make_register(keys).keys
    both_sides: tuple[Key, ...] = (city, cso.model_copy(update={"person": city.person}))
    document = make_register(keys).document() | {"keys": [key.model_dump() for key in both_sides]}
    with pytest.raises(ValueError, match="one side"):
        Register.model_validate(document, strict=False)


def test_a_signature_over_another_text_closes_although_the_right_ones_are_there(workspace: Workspace) -> None:
    policy = make_policy(workspace.entry(), version=2)
    signatures = [key.sign(policy.document()) for key in both(workspace)]
    signatures.append(workspace.demo_keys.city.sign(make_policy(workspace.entry(), version=3).document()))
    with pytest.raises(PolicyEdited):
        workspace.parts.governing.activate(policy, tuple(signatures))


def test_a_policy_that_took_effect_while_a_question_waited_is_not_asked_under_the_old_one(
    workspace: Workspace,
) -> None:
    answering = workspace.parts.answering
    reserve = answering._reserve
    newer = make_policy(workspace.entry(), version=2, minimum=9)

    def late(*arguments: Any) -> Any:
        workspace.activate(newer)
        return reserve(*arguments)

    answering._reserve = late  # type: ignore[method-assign]
    with pytest.raises(CivicError, match="answer_in_progress"):
        answering.answer(ANN, request())
    assert workspace.spent() == 0


def test_a_lineage_from_before_its_sources_were_kept_gets_them_with_its_next_policy(
    workspace: Workspace,
) -> None:
    # As a database stands that was made before and migrated.
    workspace.execute("DELETE FROM lineage_sources")
    workspace.activate(make_policy(workspace.entry(), version=2))
    with workspace.parts.database.reading() as connection:
        (kept,) = connection.exec_driver_sql("SELECT person_source, time_source FROM lineage_sources").all()
    assert tuple(kept) == ("member", "time")
