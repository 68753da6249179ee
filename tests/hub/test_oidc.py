"""Signing in through a provider: a real Hub, and a real provider that believes whatever name is typed there."""

import re
import time
import urllib.parse
import urllib.request

import pytest

from hub_config import db
from hub_config.errors import SettingInvalid
from hub_config.signing_in.accounts import Accounts
from hub_config.texts import text
from tests.hub.conftest import make_settings
from tests.hub.visitor import Visitor

pytestmark = pytest.mark.hub


@pytest.fixture(scope="module")
def accounts(hub, provider):
    engine = db.open_database(hub.settings)
    kept = Accounts(engine)
    kept.add_identity("analyst-lee", provider, "subject-0042")
    yield kept
    engine.dispose()


def at_provider(visitor, start="/hub/oidc_login"):
    """The provider's page for an attempt that `visitor` begins."""
    return visitor.get(start).url


def say(address, subject, **more):
    """Where the provider sends the browser of who says so there."""
    body = urllib.parse.urlencode({"sub": subject, **more}).encode()
    opener = urllib.request.build_opener(Stay)
    try:
        opener.open(urllib.request.Request(address, body))
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.headers["Location"]


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        """The browser goes there, not this."""


def follow(visitor, address):
    return visitor.get(address.removeprefix(visitor.hub_url))


def test_a_linked_identity_signs_in_as_its_person(hub, accounts, provider):
    visitor = Visitor(hub.url)
    address = at_provider(visitor, "/hub/oidc_login?next=%2Fhub%2Fapi%2Fuser")
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
    assert address.startswith(f"{provider}/") and asked["code_challenge_method"] == ["S256"]
    assert asked["scope"] == ["openid"]
    back = say(address, "subject-0042")
    assert back.startswith(f"{hub.url}/hub/oidc_callback?")
    assert follow(visitor, back).url.endswith("/hub/api/user")
    assert visitor.name() == "analyst-lee"
    assert '"groups": ["role-analyst", "slot-01", "team-river"]' in visitor.get("/hub/api/user").text


@pytest.mark.parametrize(
    "subject",
    ["stranger", "expert-han", "city-steward", "../vault", "room-01", "seat-mapo-01", "<b>x</b>", "admin"],
)
def test_an_identity_that_nobody_linked_signs_in_as_nobody_whatever_it_is_called(hub, accounts, subject):
    before = who_there_is(accounts)
    visitor = Visitor(hub.url)
    told = follow(visitor, say(at_provider(visitor), subject))
    assert told.status == 403 and text("ko", "sign_in.provider_unknown") in told.text
    assert subject in re.sub("&lt;", "<", told.text).replace("&gt;", ">")  # what she gives her administrator
    assert "<b>x</b>" not in told.text
    assert visitor.name() is None
    assert who_there_is(accounts) == before


def who_there_is(accounts):
    return accounts.ways()


def test_what_the_provider_says_of_names_and_groups_changes_no_membership(hub, accounts, provider):
    claims = b'{"preferred_username": "city-steward", "groups": ["role-city-steward"], "email": "expert-han"}'
    request = urllib.request.Request(
        f"{provider}/users/subject-0042", claims, {"Content-Type": "application/json"}, method="PUT"
    )
    urllib.request.urlopen(request).close()
    visitor = Visitor(hub.url)
    follow(visitor, say(at_provider(visitor), "subject-0042"))
    assert visitor.name() == "analyst-lee"
    assert '"groups": ["role-analyst", "slot-01", "team-river"]' in visitor.get("/hub/api/user").text


def test_an_answer_to_another_browser_or_a_forged_one_signs_nobody_in(hub, accounts):
    hers, victim = Visitor(hub.url), Visitor(hub.url)
    back = say(at_provider(hers), "subject-0042")
    assert follow(victim, back).status == 400  # no attempt of this browser's
    at_provider(victim)
    assert follow(victim, back).status == 400  # another attempt's
    assert victim.name() is None
    forged = back.replace("code=", "code=forged")
    assert follow(hers, forged).status in (400, 403)
    assert hers.name() is None


def test_an_answer_works_once(hub, accounts):
    visitor = Visitor(hub.url)
    back = say(at_provider(visitor), "subject-0042")
    follow(visitor, back)
    visitor.get("/hub/logout")
    assert follow(visitor, back).status == 400
    assert visitor.name() is None


def test_a_refusal_at_the_provider_is_told_in_our_words_not_in_the_links(hub):
    visitor = Visitor(hub.url)
    told = visitor.get("/hub/oidc_callback?error=x&error_description=Call+this+number+now")
    assert told.status == 400
    assert text("ko", "sign_in.provider_failed") in told.text
    assert "number now" not in told.text


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_no_way_through_the_provider_leads_off_the_workspace(hub, accounts, elsewhere):
    visitor = Visitor(hub.url, follow=False)
    address = visitor.get(f"/hub/oidc_login?next={urllib.parse.quote(elsewhere)}").location
    answer = follow(visitor, say(address, "subject-0042"))
    there = urllib.parse.urlsplit(urllib.parse.urljoin(hub.url, answer.location))
    assert answer.status == 302 and there.netloc == urllib.parse.urlsplit(hub.url).netloc
    assert answer.location.startswith("/") and not answer.location.startswith(("//", "/\\"))


def test_the_log_holds_no_code_token_secret_or_subject_of_a_stranger(hub, accounts):
    visitor = Visitor(hub.url)
    back = say(at_provider(visitor), "stranger-in-the-log")
    follow(visitor, back)
    follow(visitor, back)
    log = hub.log()
    assert "oidc_callback" in log
    for secret in (
        *urllib.parse.parse_qs(urllib.parse.urlsplit(back).query)["code"],
        "a secret of the provider",
    ):
        assert secret not in log
    assert "stranger-in-the-log" not in log


def test_the_attempts_cookie_goes_to_no_seat(hub):
    visitor = Visitor(hub.url)
    at_provider(visitor)
    [kept] = [cookie for cookie in visitor.cookies() if "oauth" in cookie.name]
    assert kept.path == "/hub/" and kept.has_nonstandard_attr("HttpOnly")
    assert 0 < kept.expires - time.time() < 3_700


@pytest.mark.parametrize(
    ("given", "setting"),
    [
        ({"CIVIC_OIDC_ISSUER": "https://id.example.org"}, "CIVIC_OIDC_CLIENT"),
        ({"CIVIC_OIDC_ISSUER": "http://id.example.org"}, "CIVIC_OIDC_ISSUER"),
        ({"CIVIC_OIDC_SECRET_FILE": "relative.secret"}, "CIVIC_OIDC_SECRET_FILE"),
    ],
)
def test_half_a_provider_or_one_without_tls_is_refused(folder, given, setting):
    whole = {
        "CIVIC_OIDC_ISSUER": "https://id.example.org",
        "CIVIC_OIDC_CLIENT": "civic",
        "CIVIC_OIDC_SECRET_FILE": "/etc/civic/oidc.secret",
        "CIVIC_OIDC_NAME": "Seoul",
    }
    made = make_settings(folder, **whole)
    assert made.oidc_issuer == "https://id.example.org"
    with pytest.raises(SettingInvalid) as refused:
        make_settings(folder, **(given if len(given) == 1 and setting.endswith("CLIENT") else whole | given))
    assert refused.value.facts["setting"] == setting
