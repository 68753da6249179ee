import pytest
from sqlalchemy import inspect

from hub_config import db, home
from hub_config.errors import PersonRefused
from hub_config.members.people import SECRET_LENGTH, open_people


@pytest.fixture
def people(settings, clock):
    home.prepare(settings)
    opened = open_people(settings, clock)
    opened.add_team("river", "강 모임", "River group")
    opened.add_person("kim", display_ko="김", display_en="Kim", roles=["expert"], teams=["river"])
    yield opened
    opened.close()


def test_a_link_opens_until_it_expires_and_as_often_as_one_likes(people, clock):
    secret = people.add_link("kim", lifetime_s=60)
    assert len(secret) == SECRET_LENGTH
    assert people.person_for_secret(secret) == people.person_for_secret(secret) == "kim"
    clock.now += 59
    assert people.person_for_secret(f" {secret[:10].upper()} {secret[10:]}") == "kim"
    clock.now += 2
    assert people.person_for_secret(secret) is None
    assert not people.can_stay("kim")


def test_a_revoked_link_no_longer_opens(people):
    secret = people.add_link("kim", lifetime_s=60)
    assert people.can_stay("kim")
    assert people.revoke_links("kim") == 1
    assert people.person_for_secret(secret) is None
    assert not people.can_stay("kim")


@pytest.mark.parametrize("typed", ["", "x", "a" * 26, "a" * 10_000, "' OR 1=1 --", "\x00", "가나다"])
def test_anything_else_opens_nothing(people, typed):
    people.add_link("kim", lifetime_s=60)
    assert people.person_for_secret(typed) is None


def test_the_database_file_never_holds_a_secret(people, settings):
    secret = people.add_link("kim", lifetime_s=60)
    people.close()
    for file in (settings.home / "hub").iterdir():
        assert secret.encode() not in file.read_bytes()
        assert secret.upper().encode() not in file.read_bytes()


def test_uids_are_never_given_twice_and_rooms_have_their_own_range(people, settings):
    lee = people.add_person("lee", display_ko="이", display_en="Lee")
    assert people.account("kim").uid == settings.uid_base + 1
    assert lee.uid == settings.uid_base + 2
    assert people.account(people.add_room("river")).uid == settings.uid_base + 10_001


def test_membership_becomes_the_hubs_groups(people):
    assert people.account("kim").groups == ["role-expert", "team-river"]
    room = people.account(people.add_room("river"))
    assert room.groups == ["rooms", "room-of-river"]
    assert "team-river" not in room.groups, "who may act for a team is a person"
    assert [r.name for r in people.rooms(["river"])] == ["room-01"]
    assert people.rooms(["other"]) == []


@pytest.mark.parametrize(
    ("name", "more", "reason"),
    [
        ("kim", {}, "name_taken"),
        ("room-01", {}, "name_reserved"),
        ("lee", {"teams": ["nowhere"]}, "team_unknown"),
        ("lee", {"roles": ["king"]}, "role_unknown"),
        ("lee", {"roles": ["city_steward", "cso_steward"]}, "both_stewards"),
    ],
)
def test_a_refused_person_leaves_nothing_behind(people, name, more, reason):
    before = people.names()
    with pytest.raises(PersonRefused) as refused:
        people.add_person(name, display_ko="x", display_en="x", **more)
    assert refused.value.facts["reason"] == reason
    assert people.names() == before


def test_a_second_role_cannot_make_a_steward_of_both_sides(people):
    people.add_person("park", display_ko="박", display_en="Park", roles=["city_steward"])
    with pytest.raises(PersonRefused):
        people.add_role("park", "cso_steward")
    assert people.account("park").roles == ("city_steward",)


def test_migrations_make_the_tables_that_the_code_uses(people, settings):
    engine = db.open_database(settings)
    made = inspect(engine)
    for table in db.metadata.sorted_tables:
        columns = {column["name"] for column in made.get_columns(table.name)}
        assert columns == {column.name for column in table.columns}
    engine.dispose()
