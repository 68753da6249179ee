"""Standing accounts: passwords and identities in the tables, at a real Hub, and by the administrator's verbs."""

import json
import subprocess
import time
import unicodedata

import pytest
from argon2 import PasswordHasher
from click.testing import CliRunner

from hub_config import db, home
from hub_config.errors import PersonRefused
from hub_config.members.people import People
from hub_config.settings import PYTHON
from hub_config.signing_in.accounts import LONGEST, Accounts
from hub_config.signing_in.accounts_cli import accounts as verbs
from hub_config.texts import text
from tests.hub.visitor import Visitor

GOOD = "자전거 길 세 갈래, 강 하나"


@pytest.fixture
def people(settings):
    home.prepare(settings)
    opened = People(db.open_database(settings), settings)
    for name in ("kim", "lee"):
        opened.add_person(name, display_ko=name, display_en=name)
    yield opened
    opened.close()


@pytest.fixture
def accounts(people, settings, clock):
    return Accounts(db.open_database(settings), clock)


def test_a_password_is_the_persons_alone_and_in_no_file(accounts, settings):
    assert not accounts.can_stay("kim")
    accounts.set_password("kim", GOOD)
    assert accounts.has_password("kim", GOOD)
    assert not accounts.has_password("lee", GOOD)
    assert not accounts.has_password("nobody", GOOD)
    assert not accounts.has_password("kim", GOOD + " ")
    assert accounts.can_stay("kim") and not accounts.can_stay("lee")
    for file in (settings.home / "hub").iterdir():
        assert GOOD.encode() not in file.read_bytes()


def test_a_password_typed_on_another_system_is_the_same(accounts):
    accounts.set_password("kim", unicodedata.normalize("NFD", GOOD))
    assert accounts.has_password("kim", unicodedata.normalize("NFC", GOOD))


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "password_length"),
        ("short-pass1", "password_length"),
        ("x1Y2" * (LONGEST // 4 + 1), "password_length"),
        ("abababababababab", "password_weak"),
        ("my name is Kim!!", "password_weak"),
    ],
)
def test_a_weak_password_is_refused_and_the_old_one_stays(accounts, password, reason):
    accounts.set_password("kim", GOOD)
    with pytest.raises(PersonRefused) as refused:
        accounts.set_password("kim", password)
    assert refused.value.facts["reason"] == reason
    assert accounts.has_password("kim", GOOD)


def test_a_hash_of_weaker_settings_is_made_anew_at_the_next_sign_in(accounts, settings):
    weak = PasswordHasher(time_cost=1, memory_cost=1024).hash(GOOD)
    accounts.set_password("kim", GOOD)
    engine = db.open_database(settings)
    with engine.begin() as connection:
        connection.execute(db.passwords.update().values(hash=weak))
    assert not accounts.has_password("kim", GOOD + "!") and _hash(engine) == weak
    assert accounts.has_password("kim", GOOD) and "m=65536" in _hash(engine)
    engine.dispose()


def _hash(engine):
    with engine.connect() as connection:
        return connection.execute(db.passwords.select()).one().hash


def test_an_identity_belongs_to_one_person_and_counts_only_at_its_provider(accounts):
    accounts.add_identity("kim", "https://id.example.org/", "4711")
    assert accounts.person_for("https://id.example.org", "4711") == "kim"
    assert accounts.person_for("https://other.example.org", "4711") is None
    assert accounts.person_for("https://id.example.org", "kim") is None
    with pytest.raises(PersonRefused):
        accounts.add_identity("lee", "https://id.example.org", "4711")
    assert accounts.remove_identities("kim") == 1
    assert accounts.person_for("https://id.example.org", "4711") is None


@pytest.mark.parametrize("name", ["../vault", "room-01", "seat-mapo-01", "nobody-here", ""])
def test_nobody_but_a_person_gets_a_way_to_sign_in(accounts, name):
    with pytest.raises(PersonRefused):
        accounts.set_password(name, GOOD)
    with pytest.raises(PersonRefused):
        accounts.add_identity(name, "https://id.example.org", "1")


# ------------------------------------------------------------------------------------------- the verbs


@pytest.fixture
def run(settings, monkeypatch):
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    runner = CliRunner()

    def verb(*words, given=None):
        return runner.invoke(verbs, list(words), input=given)

    return verb


def test_an_administrator_adds_a_person_gives_her_a_password_and_closes_her_account(run, settings):
    assert run("add", "park", "--ko", "박", "--en", "Park", "--role", "expert").exit_code == 0
    set_to = run("password", "park", given=f"{GOOD}\n{GOOD}\n")
    assert set_to.exit_code == 0 and GOOD not in set_to.output
    kept = Accounts(db.open_database(settings))
    assert kept.has_password("park", GOOD)
    assert run("password", "park", "--stdin", given=f"{GOOD}2\n").exit_code == 0
    assert kept.has_password("park", f"{GOOD}2") and not kept.has_password("park", GOOD)
    assert run("link", "park", "4711", "--issuer", "https://id.example.org").exit_code == 0
    listed = json.loads(run("list", "--json").output)
    assert listed == {"accounts": [{"name": "park", "password": True, "linked": 1}]}
    assert run("close", "park").exit_code == 0
    assert not kept.can_stay("park")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../vault", "name_malformed"),
        ("Vault", "name_malformed"),
        ("a/b", "name_malformed"),
        ("room-01", "name_reserved"),
        ("seat-mapo-01", "name_reserved"),
        ("role-city-steward", "name_reserved"),
        ("root", "name_reserved"),
    ],
)
def test_a_name_that_could_be_a_path_or_the_workspaces_own_is_refused_and_leaves_no_folder(
    run, settings, name, reason
):
    refused = run("add", name, "--ko", "x", "--en", "x")
    assert refused.exit_code == 5
    assert text(settings.language, f"person.{reason}") in refused.output
    assert not any((settings.home / "homes").iterdir())


def test_a_password_is_never_an_argument_that_others_of_the_machine_could_read():
    shown = subprocess.run(
        [PYTHON, "-m", "hub_config.signing_in.accounts_cli"], capture_output=True, check=False
    )
    assert shown.returncode == 0
    for verb in verbs.commands.values():
        assert not any("password" in (option.name or "") for option in verb.params)


# --------------------------------------------------------------------------------------- at a real Hub


@pytest.fixture(scope="module")
def kept(hub):
    engine = db.open_database(hub.settings)
    people, accounts = People(engine, hub.settings), Accounts(engine)
    people.add_person("expert-bae", display_ko="배", display_en="Bae", roles=["expert"], teams=["river"])
    accounts.set_password("expert-bae", GOOD)
    yield accounts
    engine.dispose()


@pytest.mark.hub
def test_a_password_signs_in_as_its_person_with_her_groups(hub, kept):
    visitor = Visitor(hub.url)
    visitor.sign_in(name=" Expert-Bae", password=GOOD)
    assert visitor.name() == "expert-bae"
    assert '"role-expert"' in visitor.get("/hub/api/user").text


@pytest.mark.hub
@pytest.mark.parametrize(
    "name",
    ["expert-bae", "nobody-here", "../vault", "room-01", "seat-mapo-01", "root", "", "x" * 5_000, "배\x00"],
)
def test_a_wrong_password_and_a_wrong_name_are_refused_alike_and_neither_is_in_the_log(hub, kept, name):
    wrong = "not the pass word 99"
    answer = Visitor(hub.url).sign_in(name=name, password=wrong)
    assert answer.status == 403
    assert text("ko", "sign_in.password_refused") in answer.text
    assert wrong not in answer.text + hub.log() and GOOD not in hub.log()


@pytest.mark.hub
def test_a_new_password_ends_what_was_open_under_the_old_one(hub, kept):
    visitor = Visitor(hub.url)
    visitor.sign_in(name="expert-bae", password=GOOD)
    time.sleep(1.1)  # a cookie has whole seconds
    kept.set_password("expert-bae", GOOD)
    assert visitor.call("POST", "users/expert-bae/server").status == 403
    again = Visitor(hub.url)
    time.sleep(1.1)
    again.sign_in(name="expert-bae", password=GOOD)
    assert again.name() == "expert-bae"
