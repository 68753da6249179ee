import urllib.error
import urllib.parse
import urllib.request
from types import SimpleNamespace

import pytest

from hub_config.client import Session
from hub_config.errors import SignInRefused
from hub_config.members.people import open_people
from hub_config.pages import sign_in
from hub_config.signing_in.sign_in_limit import PER_ADDRESS, PER_NAME, SignInLimit
from hub_config.texts import text
from tests.hub.conftest import KOREAN
from tests.hub.visitor import Visitor

pytestmark = pytest.mark.hub


def refusal_page(hub, code, language, xsrf=True):
    """(status, page) of a sign-in with `code` in a browser of that language."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    headers = {"Accept-Language": language, "Sec-Fetch-Mode": "navigate"}
    page = opener.open(urllib.request.Request(f"{hub.url}/hub/login", headers=headers)).read().decode()
    token = page.split('name="_xsrf" value="')[1].split('"')[0] if xsrf else "x"
    body = urllib.parse.urlencode({"code": code, "_xsrf": token}).encode()
    try:
        opener.open(urllib.request.Request(f"{hub.url}/hub/login", body, headers))
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()
    raise AssertionError("was let in")


def test_a_good_link_signs_in_with_the_persons_groups_and_display_name(hub):
    session = Session(hub.url, hub.secrets["expert-han"])
    me = session.api("GET", "user")
    assert me["name"] == "expert-han" and not me["admin"]
    assert me["groups"] == ["role-expert", "slot-01", "team-river"]
    assert me["user_info"]["display_name"] == KOREAN["expert-han"]


def test_a_wrong_expired_or_revoked_link_is_refused_with_one_sentence_in_the_readers_language(hub):
    people = open_people(hub.settings)
    people.add_person("late-choi", display_ko="최", display_en="Choi")
    expired = people.add_link("late-choi", lifetime_s=-1)
    revoked = people.add_link("late-choi", lifetime_s=60)
    people.revoke_links("late-choi")
    people.close()
    for code in ("a" * 26, expired, revoked):
        for language in ("ko", "en"):
            status, page = refusal_page(hub, code, language)
            assert status == 403
            assert text(language, "sign_in.refused") in page
            assert f'<html lang="{language}"' in page
            assert code not in page


def test_a_form_without_its_token_is_refused_in_plain_words(hub):
    status, page = refusal_page(hub, hub.secrets["expert-han"], "ko", xsrf=False)
    assert status == 403
    assert text("ko", "sign_in.expired_form") in page


def test_a_revoked_persons_session_ends(hub):
    people = open_people(hub.settings)
    people.add_person("gone-min", display_ko="민", display_en="Min", roles=["auditor"])
    session = Session(hub.url, people.add_link("gone-min", lifetime_s=60))
    people.revoke_links("gone-min")
    people.close()
    with pytest.raises(SignInRefused):  # a fresh look is taken before a server starts, at the latest
        session.api("POST", "users/gone-min/server", {})


def test_signing_in_changes_no_membership(hub):
    before = membership(hub)
    Session(hub.url, hub.secrets["analyst-lee"])
    assert membership(hub) == before


def membership(hub):
    people = open_people(hub.settings)
    found = [people.account(name) for name in ("expert-han", "analyst-lee", "outsider-yun")]
    people.close()
    return found


def test_no_log_holds_a_secret(hub):
    secret = hub.secrets["analyst-lee"]
    Session(hub.url, secret)
    refusal_page(hub, "b" * 26, "ko")
    log = hub.log()
    assert "analyst-lee" in log  # the positive control: this is the log of these sign-ins
    for secret in [*hub.secrets.values(), "b" * 26]:
        assert secret not in log
    for file in (hub.settings.home / "hub").glob("*.token"):
        assert file.read_text().strip() not in log


def test_tries_are_limited_by_address_and_come_back_with_time():
    clock = [0.0]
    limit = SignInLimit(lambda: clock[0])
    burst = int(PER_ADDRESS[0])
    assert all(limit.can_try("a") for _ in range(burst))
    assert not limit.can_try("a")
    assert limit.can_try("b")
    clock[0] += 1 / PER_ADDRESS[1]
    assert limit.can_try("a")
    assert not limit.can_try("a")


def test_passwords_of_one_name_are_limited_whoever_tries_them():
    clock = [0.0]
    limit = SignInLimit(lambda: clock[0])
    assert sum(limit.can_try_password("steward") for _ in range(200)) == PER_NAME[0]
    assert limit.can_try_password("another")
    clock[0] += 1 / PER_NAME[1]
    assert limit.can_try_password("steward")


def test_many_addresses_together_are_limited_too():
    limit = SignInLimit(lambda: 0.0)
    assert 0 < sum(limit.can_try(str(n)) for n in range(5_000)) < 1_000


def test_a_forged_address_gets_no_bucket_of_its_own(hub):
    """Counted is the address that our own proxy saw, whatever stands in a request's headers."""
    statuses = []
    for n in range(int(PER_ADDRESS[0]) + 20):
        visitor = Visitor(hub.url, "en", address="127.8.8.8")
        forged = {"X-Real-Ip": f"10.0.0.{n}", "X-Forwarded-For": f"10.0.1.{n}"}
        visitor.headers |= forged  # JupyterHub ties the form to it
        told = visitor.sign_in(code="c" * 26)
        statuses.append(told.status)
    assert statuses[0] == 403 and statuses[-1] == 429
    assert text("en", "sign_in.too_often") in told.text
    # Everybody else goes on.
    assert Visitor(hub.url).sign_in(code="c" * 26).status == 403


@pytest.mark.parametrize(
    ("in_front", "forwarded", "counted"),
    [
        (False, "10.1.1.1, 10.2.2.2", "10.2.2.2"),
        (False, "10.1.1.1, 127.0.0.1", "127.0.0.1"),
        (True, "10.1.1.1, 10.2.2.2, 127.0.0.1", "10.2.2.2"),  # ours, the server with TLS, what that one saw
        (True, "10.1.1.1, 10.2.2.2", "10.2.2.2"),  # past it, straight to the proxy
        (True, "127.0.0.1", "127.0.0.1"),
    ],
)
def test_what_a_browser_says_of_its_address_counts_for_nothing(monkeypatch, in_front, forwarded, counted):
    place = SimpleNamespace(public_url="https://civic.example.org" if in_front else "")
    monkeypatch.setattr(sign_in, "current_settings", lambda: place)
    request = SimpleNamespace(
        headers={"X-Forwarded-For": forwarded, "X-Real-Ip": "10.9.9.9"}, remote_ip="10.9.9.9"
    )
    assert sign_in.sender(request) == counted
