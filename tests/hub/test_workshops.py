"""Workshops, their seats and what becomes of them, on a real database."""

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, insert, select

from hub_config import db
from hub_config.errors import PersonRefused, WorkshopRefused
from hub_config.members.people import People
from hub_config.workshop.workshops import Workshops, read_day

DAY = 86_400


@pytest.fixture
def people(engine, settings, clock):
    made = People(engine, settings, clock)
    made.add_team("bike", "자전거 모임", "Bike group")
    made.add_team("river", "강 모임", "River group")
    return made


@pytest.fixture
def workshops(engine, settings, clock, people):
    return Workshops(engine, settings, clock)


def make(workshops, clock, team="bike", **more):
    given = {"title": "Bike lanes, Mapo", "seats": 3, "ends_at": int(clock.now) + DAY, **more}
    return workshops.make(team=team, **given)


def names(workshops, slug):
    return [seat.name for seat in workshops.seats(slug)]


def test_each_seat_is_a_person_of_her_own_in_her_team_alone(workshops, people, clock):
    made = make(workshops, clock, language="en")
    assert made.slug == "bike-lanes-mapo" and made.homes_until == made.ends_at + 30 * DAY
    assert names(workshops, made.slug) == [f"seat-bike-lanes-mapo-0{n}" for n in (1, 2, 3)]
    accounts = [people.account(name) for name in names(workshops, made.slug)]
    assert len({account.uid for account in accounts}) == 3
    assert {account.groups == ["role-participant", "team-bike"] for account in accounts} == {True}
    assert accounts[2].display("ko") == "자리 03" and accounts[2].language == "en"


def test_seats_that_a_workshop_takes_over_show_its_language(workshops, people, clock):
    first = make(workshops, clock, language="en")
    workshops.end(first.slug)
    second = make(workshops, clock, title="Again", seats=1, language="ko")
    assert (first.language, second.language) == ("en", "ko")
    seats = names(workshops, second.slug)
    assert len(seats) == 4 and {people.account(name).language for name in seats} == {"ko"}


def test_a_workshop_from_before_it_had_a_language_has_that_of_its_seats(folder):
    engine = create_engine(f"sqlite:///{folder}/old.sqlite")
    config = Config()
    config.set_main_option("script_location", str(Path(db.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for statement in (
            "INSERT INTO workspace_teams (id, slug, title_ko, title_en) VALUES (1, 'bike', 'b', 'b')",
            "INSERT INTO workspace_persons (id, name, display_ko, display_en, language, uid_offset)"
            " VALUES (1, 'seat-a-01', 's', 's', 'en', 1)",
            "INSERT INTO workspace_workshops (id, slug, title, team_id, notebook, created_at, ends_at, homes_until)"
            " VALUES (1, 'a', 'a', 1, '', 1, 2, 3), (2, 'empty', 'e', 1, '', 1, 2, 3)",
            "INSERT INTO workspace_seats (person_id, workshop_id, number) VALUES (1, 1, 1)",
        ):
            connection.exec_driver_sql(statement)
    db.upgrade(engine)
    with engine.connect() as connection:
        found = connection.execute(select(db.workshops.c.slug, db.workshops.c.language)).all()
    engine.dispose()
    assert dict(map(tuple, found)) == {"a": "en", "empty": "ko"}


def test_a_korean_title_gets_a_name_that_an_address_can_have_and_none_is_given_twice(workshops, clock):
    slugs = [
        make(workshops, clock, title=title, seats=0).slug for title in ("마포 자전거길", "마포 자전거길", "A")
    ]
    assert slugs == ["w20270115", "w20270115-2", "w20270115-3"]
    with pytest.raises(WorkshopRefused, match="has been used"):
        make(workshops, clock, slug=slugs[0])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"title": " "}, "title"),
        ({"title": "가\x07"}, "title"),
        ({"seats": 201}, "seats"),
        ({"seats": -1}, "seats"),
        ({"notebook": "../../vault/keys.ipynb"}, "notebook"),
        ({"notebook": ".hidden.ipynb"}, "notebook"),
        ({"slug": "../vault"}, "slug"),
        ({"slug": "A"}, "slug"),
        ({"ends_at": 1_799_999_999}, "ends_at"),
        ({"ends_at": 1_800_000_000 + 400 * DAY}, "ends_at"),
        ({"homes_until": 1_800_000_001}, "homes_until"),
    ],
)
def test_a_workshop_that_cannot_be_is_refused_with_a_sentence_and_leaves_nothing(
    workshops, people, clock, given, reason
):
    with pytest.raises(WorkshopRefused) as refused:
        make(workshops, clock, **given)
    assert refused.value.facts == {"reason": reason}
    assert all(refused.value.sentence(language) for language in ("ko", "en"))
    assert people.names() == [] and workshops.of_teams(["bike"]) == []


def test_a_workshop_of_no_team_is_refused(workshops, clock):
    with pytest.raises(PersonRefused):
        make(workshops, clock, team="nobody")


def test_a_seat_is_open_until_its_workshop_ends_by_time_or_by_word(workshops, clock):
    early, late = make(workshops, clock, slug="early"), make(workshops, clock, team="river", slug="late")
    assert workshops.open_for("seat-early-01") == early and workshops.open_for("somebody") is None
    workshops.end("early", by="facilitator")
    assert workshops.open_for("seat-early-01") is None and workshops.open_for("seat-late-01") == late
    clock.now += DAY
    assert workshops.open_for("seat-late-01") is None
    assert sorted(workshops.over()) == [f"seat-{w}-0{n}" for w in ("early", "late") for n in (1, 2, 3)]
    with pytest.raises(WorkshopRefused):
        workshops.extend("late", ends_at=int(clock.now) + 60)


def test_help_is_asked_once_and_keeps_its_place(workshops, clock):
    made = make(workshops, clock)
    seat = names(workshops, made.slug)[1]
    first = workshops.ask_help(seat, True)
    clock.now += 60
    assert workshops.ask_help(seat, True) == first == clock.now - 60
    assert [s.help_since for s in workshops.seats(made.slug)] == [None, first, None]
    assert workshops.ask_help(seat, False) is None
    workshops.ask_help(seat, True)
    workshops.end(made.slug)
    assert workshops.seat(seat).help_since is None
    for wrong in (seat, "nobody"):
        with pytest.raises(WorkshopRefused):
            workshops.ask_help(wrong, True)


def test_the_teams_next_workshop_takes_the_seats_over_with_numbers_and_cards(
    workshops, engine, people, clock
):
    first = make(workshops, clock)
    other_team = make(workshops, clock, team="river", slug="others")
    seat = names(workshops, first.slug)[1]
    with engine.begin() as connection:
        place = connection.execute(
            select(db.seats.c.id).join(db.persons).where(db.persons.c.name == seat)
        ).scalar_one()
        card = {"seat_id": place, "code_hmac": "x", "created_at": 0, "expires_at": first.homes_until}
        connection.execute(insert(db.cards).values(card))
    workshops.end(first.slug)
    workshops.end(other_team.slug)
    clock.now += 20 * DAY
    uid = people.account(seat).uid
    second = make(workshops, clock, title="Bike lanes, Mapo", seats=2)
    assert second.slug == "bike-lanes-mapo-2"
    # The people of the first workshop keep name, number, uid; the newcomers have the numbers after theirs.
    assert [(s.name, s.number) for s in workshops.seats(second.slug)] == [
        *((f"seat-bike-lanes-mapo-0{n}", n) for n in (1, 2, 3)),
        *((f"seat-bike-lanes-mapo-2-0{n}", n) for n in (4, 5)),
    ]
    assert workshops.open_for(seat) == second and people.account(seat).uid == uid
    with engine.connect() as connection:
        expires = connection.execute(select(db.cards.c.expires_at)).scalar_one()
    assert expires == second.homes_until
    assert names(workshops, other_team.slug) and workshops.open_for("seat-others-01") is None


def test_seats_whose_homes_are_no_longer_kept_are_not_taken_over(workshops, clock):
    first = make(workshops, clock)
    clock.now = first.homes_until + 1
    assert workshops.past() == names(workshops, first.slug)
    second = make(workshops, clock)
    assert [seat.number for seat in workshops.seats(second.slug)] == [1, 2, 3]
    assert not set(names(workshops, second.slug)) & set(names(workshops, first.slug))


def test_an_extended_workshop_keeps_what_was_promised(workshops, clock):
    made = make(workshops, clock)
    later = workshops.extend(made.slug, ends_at=made.ends_at + DAY)
    assert (later.ends_at, later.homes_until) == (made.ends_at + DAY, made.homes_until)
    much_later = workshops.extend(made.slug, ends_at=made.homes_until + DAY)
    assert much_later.homes_until == made.homes_until + DAY


def test_who_made_and_ended_a_workshop_is_written_down(workshops, engine, clock):
    made = make(workshops, clock, by="facilitator-mo")
    workshops.end(made.slug, by="facilitator-mo")
    workshops.end(made.slug, by="somebody-else")
    with engine.connect() as connection:
        rows = connection.execute(
            select(db.changes.c.by, db.changes.c.what, db.changes.c.subject, db.changes.c.team)
        ).all()
    assert [tuple(row) for row in rows] == [
        ("facilitator-mo", "workshop_made", made.slug, "bike"),
        ("facilitator-mo", "workshop_ended", made.slug, "bike"),
    ]


def test_a_day_is_its_last_second_in_seoul():
    noon = 1_800_000_000  # 2027-01-15T17:00 in Seoul
    assert (
        read_day("today", noon)
        == read_day("2027-01-15", noon)
        == read_day("내일", noon) - DAY
        == 1_800_025_199
    )
    assert read_day("2027-01-15T18:00", noon) == noon + 3600
    for wrong in ("soon", "2027-13-01", "", "9999-12-31"):
        with pytest.raises(WorkshopRefused):
            read_day(wrong, noon)
