import itertools

import pytest
from jupyterhub.scopes import scope_definitions

from hub_config import roles
from hub_config.errors import PersonRefused


def test_every_role_of_the_design_is_there_with_a_description_in_both_languages():
    assert set(roles.ROLES) == {
        "participant",
        "analyst",
        "expert",
        "facilitator",
        "city_steward",
        "cso_steward",
        "department_officer",
        "auditor",
    }
    for entry in [*roles.ROLES.values(), *roles.SCOPES.values()]:
        assert entry.ko and entry.en


def test_nobody_can_be_steward_of_both_sides():
    with pytest.raises(PersonRefused, match="at once"):
        roles.check_roles("kim", ["city_steward", "cso_steward"])
    roles.check_roles("kim", ["city_steward", "auditor"])


def test_no_single_role_and_no_allowed_pair_has_rights_of_both_sides():
    for pair in itertools.combinations_with_replacement(roles.ROLES, 2):
        try:
            roles.check_roles("kim", pair)
        except PersonRefused:
            continue
        held = roles.scopes_of(pair)
        assert not (held & roles.CITY_SIDE and held & roles.CSO_SIDE), pair


def test_who_may_do_what():
    able = {scope: {r for r in roles.ROLES if scope in roles.scopes_of([r])} for scope in roles.SCOPES}
    assert able[roles.ASK] == {"participant", "analyst", "expert", "facilitator"}
    assert able[roles.FACILITATE] == {"facilitator"}
    assert able[roles.RELEASE] == {"analyst", "expert"}
    assert able[roles.APPROVE_CITY] == able[roles.LOAD_CITY] == {"city_steward"}
    assert able[roles.APPROVE_CSO] == able[roles.LOAD_CSO] == {"cso_steward"}
    assert able[roles.AUDIT] == {"city_steward", "cso_steward", "auditor"}
    assert able[roles.READ] == set(roles.ROLES)


def test_rendered_roles_use_only_scopes_that_exist():
    for role in roles.render_roles():
        for scope in role["scopes"]:
            base = scope.split("!")[0]
            assert base in scope_definitions or base in roles.SCOPES, scope


def test_a_seats_token_can_neither_approve_nor_load_nor_lead():
    token = set(roles.server_token_scopes())
    services = {roles.USE_GATEWAY, roles.USE_REPORTS}
    assert token == {"users:activity!user", "access:servers!server", *services, roles.ASK}


@pytest.mark.parametrize(
    "name", ["Kim", "k", "kim--lee", "-kim", "kim_lee", "../etc", "김", "a" * 32, "kim-"]
)
def test_malformed_names_are_refused(name):
    with pytest.raises(PersonRefused) as refused:
        roles.check_person_name(name)
    assert refused.value.facts["reason"] == "name_malformed"


@pytest.mark.parametrize(
    "name", ["room-01", "slot-01", "seat-a-01", "root", "admin", "data", "reports", "civic-vault"]
)
def test_names_of_rooms_seats_and_services_are_reserved(name):
    with pytest.raises(PersonRefused) as refused:
        roles.check_person_name(name)
    assert refused.value.facts["reason"] == "name_reserved"
