"""The Hub's and the workspace's tables in one PostgreSQL database: real server, real Hub."""

import contextlib

import pytest
from sqlalchemy import create_engine, inspect, text

from hub_config.client import Session
from hub_config.errors import SignInRefused
from hub_config.settings import read_settings
from hub_config.starting import running
from tests.hub.conftest import add_people, make_settings, write_config

pytestmark = [pytest.mark.hub, pytest.mark.postgresql]


def test_people_and_sessions_live_in_postgresql_through_its_restart(folder, postgresql):
    settings = make_settings(folder / "home", CIVIC_HUB_DATABASE_URL=postgresql.create())
    assert read_settings(settings.environment()) == settings
    secrets = add_people(settings)
    with running.start(settings, print, config=write_config(folder)):
        session = Session(settings.workspace_url, secrets["expert-han"])
        assert "team-river" in session.api("GET", "user")["groups"]
        # A server that was restarted, as an update of Debian does, costs one request at most and nobody her session.
        postgresql.control("stop", "-m", "fast")
        postgresql.control("start")
        with contextlib.suppress(SignInRefused):
            session.api("GET", "user")
        assert session.api("GET", "user")["name"] == "expert-han"
    log = (settings.home / "logs" / "hub.log").read_text()
    assert "terminating connection" in log, "the fault that could have carried a value was met"
    assert "parameters:" not in log
    engine = create_engine(settings.hub_database_url)
    tables = set(inspect(engine).get_table_names())
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM workspace_persons")).scalar_one() == 6
    engine.dispose()
    assert {"users", "alembic_version", "workspace_persons", "workspace_alembic_version"} <= tables
    assert not list((settings.home / "hub").glob("*.sqlite"))


def test_a_database_that_is_not_there_is_one_sentence_and_its_password_stands_nowhere(folder, postgresql):
    away = "postgresql://hub:pass-9f3a@/nothing?host=/nowhere"
    settings = make_settings(folder / "home", CIVIC_HUB_DATABASE_URL=away)
    with pytest.raises(running.StartFailed) as refused:
        running.start(settings, print, config=write_config(folder))
    logs = "".join(path.read_text() for path in (settings.home / "logs").iterdir())
    assert "pass-9f3a" not in logs + refused.value.sentence("ko")
