import pytest

from hub_config.errors import SettingInvalid
from hub_config.settings import read_settings
from hub_config.texts import LANGUAGES


def test_settings_survive_the_way_through_an_environment():
    given = {"CIVIC_HOME": "/srv/civic", "CIVIC_PORT": "9000", "CIVIC_DATABASE_URL": "postgresql://x/y"}
    given |= {"CIVIC_SEAT_IDLE": "15", "CIVIC_HOME_QUOTA": "100", "CIVIC_MOST_SEATS": "7"}
    settings = read_settings(given)
    assert read_settings(settings.environment()) == settings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CIVIC_PORT", "eight"),
        ("CIVIC_PORT", "80"),
        ("CIVIC_HUB_PORT", "8000"),
        ("CIVIC_BIND", "everywhere"),
        ("CIVIC_UID_BASE", "10"),
        ("CIVIC_HOME", "state"),
        ("CIVIC_HOME", "/"),
        ("CIVIC_LANGUAGE", "fr"),
        ("CIVIC_SEAT_IDLE", "5"),
        ("CIVIC_HOME_QUOTA", "-1"),
        ("CIVIC_MOST_SEATS", "many"),
    ],
)
def test_a_bad_setting_is_refused_with_a_sentence_that_names_it(name, value):
    with pytest.raises(SettingInvalid) as refused:
        read_settings({"CIVIC_HOME": "/srv/civic", name: value})
    for language in LANGUAGES:
        assert refused.value.facts["setting"].startswith("CIVIC_")
        assert str(refused.value.facts["setting"]) in refused.value.sentence(language)


def test_the_citizen_site_has_another_host_name_than_the_workspace():
    settings = read_settings({"CIVIC_HOME": "/srv/civic"})
    assert settings.workspace_url == "http://127.0.0.1:8000"
    assert settings.site_url == "http://localhost:8002"
