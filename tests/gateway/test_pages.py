"""The gateway's pages over real HTTP: who gets in, what she sees, what one click does, and what no page lets through.

The Hub's word about tokens is faked as everywhere here; its OAuth endpoint is a small server that checks what it is
sent, as the Hub does. The real Hub, a real browser and axe are in tests/e2e/test_pages_of_the_gateway.py.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from data_access.errors import NotAllowed
from data_access.flows.asked import Asker
from data_access.gateway.identity import ACCESS, Caller
from data_access.gateway.pages import add_pages
from data_access.gateway.sign_in import (
    ATTEMPT_SECONDS,
    MOST_SESSIONS,
    SESSION_SECONDS,
    Sessions,
    SignIn,
    cookie_of,
)
from data_access.gateway.workspace import workspace_app
from tests.factories import (
    ANN,
    BY_GU,
    PERIODS,
    ROOM,
    FakeClock,
    FakeIdentity,
    Workspace,
    copy_workspace,
    make_caller,
    request,
)
from tests.gateway.serving import served
from tests.postgresql import Server

PREFIX = "/services/data"
FIRST = {"where": {"column": "month", "op": "eq", "value": PERIODS[0]}}
CALLERS = {
    "ann": make_caller("ann", ["bike"], "ask", "read"),
    "ben": make_caller("ben", ["walk"], "ask", "read"),
    "lea": make_caller("lea", ["bike"], "ask", "read", "facilitate"),
    "steward": make_caller("steward", [], "read", "approve:city", "load:city", "audit"),
    "officer": make_caller("officer", [], "read"),
    "rightless": Caller(Asker("rightless", frozenset()), frozenset()),
}


class Hub(FakeIdentity):
    def caller(self, token: str) -> Caller:
        if token == "of-another-service":
            raise NotAllowed(scope=ACCESS)
        return super().caller(token)


class Codes:
    """The Hub's token endpoint: a code is a person's name, and is worth nothing without the right verifier."""

    def __init__(self) -> None:
        self.challenges: dict[str, str] = {}
        self.seen: list[dict[str, str]] = []

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/hub/api/oauth2/token")
        async def token(request: Request) -> Any:
            fields = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
            self.seen.append(fields)
            hashed = hashlib.sha256(fields["code_verifier"].encode()).digest()
            challenge = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
            if self.challenges.get(fields["code"]) != challenge or fields["client_secret"] != "own-secret":
                return JSONResponse({"error": "invalid_grant"}, 400)
            return {"access_token": fields["code"]}

        return app


class Site:
    def __init__(self, made: Workspace, address: str, hub: Hub, codes: Codes) -> None:
        self.made, self.address, self.hub, self.codes = made, address, hub, codes

    def visitor(self, language: str = "en") -> httpx.Client:
        return httpx.Client(base_url=self.address, headers={"Accept-Language": language}, timeout=30)

    def begin(self, browser: httpx.Client, page: str = f"{PREFIX}/") -> str:
        """Asks for a page; the state of the attempt that this starts."""
        sent = browser.get(page)
        assert sent.status_code == 303
        asked = parse_qs(urlsplit(sent.headers["location"]).query)
        self.challenge = asked["code_challenge"][0]
        assert asked["code_challenge_method"] == ["S256"] and asked["client_id"] == ["service-data"]
        return asked["state"][0]

    def enter(self, browser: httpx.Client, name: str, page: str) -> None:
        state = self.begin(browser, page)
        self.codes.challenges[name] = self.challenge
        entered = browser.get(f"{PREFIX}/oauth_callback", params={"state": state, "code": name})
        assert (entered.status_code, entered.headers["location"]) == (303, page)


@pytest.fixture(scope="module")
def site(
    template: Workspace, tmp_path_factory: pytest.TempPathFactory, server: Server | None
) -> Iterator[Site]:
    made = copy_workspace(template, tmp_path_factory.mktemp("pages") / "home", server=server)
    made.ask(ANN, BY_GU | FIRST)
    made.ask(replace(ANN, name="ben", teams=frozenset({"walk"})), BY_GU, team="walk", spend={"rho": "0.005"})
    hub, codes = Hub(CALLERS), Codes()
    with served(codes.app()) as at:
        settings = made.parts.settings.model_copy(
            update={
                "hub_api_url": f"{at}/hub/api",
                "hub_client": "service-data",
                "hub_token": "own-secret",
                "hub_callback": f"{PREFIX}/oauth_callback",
            }
        )
        parts = replace(made.parts, settings=settings)
        app = workspace_app(parts, hub, PREFIX)
        add_pages(app, parts, hub, PREFIX)
        with served(app) as address:
            yield Site(made, address, hub, codes)
    made.parts.close()


@pytest.fixture
def sign_in(site: Site) -> Iterator[Callable[..., httpx.Client]]:
    opened: list[httpx.Client] = []

    def enter(name: str, language: str = "en", page: str = f"{PREFIX}/") -> httpx.Client:
        opened.append(site.visitor(language))
        site.enter(opened[-1], name, page)
        return opened[-1]

    yield enter
    for each in opened:
        each.close()


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return html.unescape(found[1])


def rows(page: str) -> list[list[str]]:
    """The cells of each row of each table body, as text."""
    return [
        [
            html.unescape(re.sub(r"<[^>]*>", "", cell)).strip()
            for cell in re.findall(r"<t[dh].*?>(.*?)</t[dh]>", row, re.S)
        ]
        for body in re.findall(r"<tbody>(.*?)</tbody>", page, re.S)
        for row in re.findall(r"<tr>(.*?)</tr>", body, re.S)
    ]


def test_who_is_not_signed_in_goes_through_the_hub_and_comes_back_to_her_page(
    site: Site, sign_in: Any
) -> None:
    page = f"{PREFIX}/budget?month={PERIODS[0]}"
    browser = sign_in("ann", page=page)
    shown = browser.get(page)
    assert shown.status_code == 200
    cookie = browser.cookies["civic-data"]
    # The token is in no page, no address and no cookie; what the browser holds is a random word.
    assert len(cookie) > 30 and "ann" not in cookie
    assert set(browser.cookies) == {"civic-data"}
    assert site.codes.seen[-1]["grant_type"] == "authorization_code"


def test_cookies_are_out_of_reach_of_scripts_and_other_sites_and_secure_behind_tls(site: Site) -> None:
    with site.visitor() as browser:
        plain = browser.get(f"{PREFIX}/").headers["set-cookie"]
        secure = browser.get(f"{PREFIX}/", headers={"X-Forwarded-Proto": "https,http"}).headers["set-cookie"]
    for said in (plain, secure):
        assert {"HttpOnly", "SameSite=lax", f"Path={PREFIX}", f"Max-Age={ATTEMPT_SECONDS}"} <= set(
            said.split("; ")
        )
    assert "Secure" not in plain and "Secure" in secure


@pytest.mark.parametrize(
    "fault", ["state", "cookie", "no cookie", "other browser", "late", "code", "verifier", "empty"]
)
def test_an_answer_that_belongs_to_no_attempt_of_this_browser_is_refused(site: Site, fault: str) -> None:
    with site.visitor() as browser, site.visitor() as other:
        state, code = site.begin(browser), "ann"
        site.codes.challenges[code] = site.challenge if fault != "verifier" else "another"
        (name,) = browser.cookies
        match fault:
            case "state":
                state = state[:-1] + ("a" if state[-1] != "a" else "b")
            case "cookie":
                browser.cookies.set(name, browser.cookies[name].replace(".", ".x", 1), path=PREFIX)
            case "no cookie":
                browser.cookies.clear()
            case "other browser":
                # Somebody sends a victim the answer to her own attempt, to have her act under a foreign name.
                site.begin(other)
                browser.cookies.clear()
            case "late":
                site.made.clock.elapsed += ATTEMPT_SECONDS + 1
            case "code":
                code = "forged"
            case "empty":
                state = code = ""
        refused = browser.get(f"{PREFIX}/oauth_callback", params={"state": state, "code": code})
        assert refused.status_code == 403
        assert "Signing in was interrupted" in refused.text and "civic-data" not in browser.cookies


def test_a_hostile_answer_is_a_refusal_and_never_a_fault(site: Site) -> None:
    with site.visitor() as browser:
        for state in ("\x00", "é" * 500, "a.b.c", "..", "%ED%A0%80"):
            query = urlencode({"state": state, "code": state})
            cookie = f"{cookie_of(state)}=a.b; civic-data=\xe9".encode("latin-1")
            refused = browser.get(f"{PREFIX}/oauth_callback?{query}", headers={b"Cookie": cookie})
            assert refused.status_code == 403


def test_nobody_is_led_to_a_foreign_page(site: Site, sign_in: Any) -> None:
    sign_in("ann", page=f"{PREFIX}/budget?team=//evil.example&dataset=%0D%0ALocation:x")
    known = SignIn(site.made.parts.settings, site.made.clock, PREFIX, [f"{PREFIX}/", f"{PREFIX}/budget"])
    for page in (
        "//evil.example/services/data/budget",
        "https://evil.example/services/data/budget",
        f"{PREFIX}/../budget",
        f"{PREFIX}/oauth_callback?state=x",
        "\\\\evil.example",
        "http://[",
        "",
    ):
        attempt = known.begin(page)
        state = parse_qs(urlsplit(attempt.address).query)["state"][0]
        assert known.look_up(state, attempt.value)[1] == f"{PREFIX}/", page


@pytest.mark.parametrize("name", ["of-another-service", "rightless"])
def test_a_token_without_the_right_sees_nothing(site: Site, name: str) -> None:
    with site.visitor() as browser:
        state = site.begin(browser)
        site.codes.challenges[name] = site.challenge
        entered = browser.get(f"{PREFIX}/oauth_callback", params={"state": state, "code": name})
        seen = entered if name == "of-another-service" else browser.get(f"{PREFIX}/budget")
        assert seen.status_code == 403
        assert "Rides" not in seen.text and 'role="alert"' in seen.text
    if name == "of-another-service":
        assert "civic-data" not in browser.cookies


def test_a_right_that_is_taken_away_is_gone_from_the_pages_too(site: Site, sign_in: Any) -> None:
    browser = sign_in("officer")
    assert browser.get(f"{PREFIX}/budget").status_code == 200
    site.hub.callers["officer"] = CALLERS["rightless"]
    assert browser.get(f"{PREFIX}/budget").status_code == 403
    del site.hub.callers["officer"]
    # The Hub no longer knows the token: back through its login, and the session is gone.
    assert browser.get(f"{PREFIX}/budget").status_code == 303
    site.hub.callers["officer"] = CALLERS["officer"]
    assert browser.get(f"{PREFIX}/budget").status_code == 303


def test_sessions_end_and_are_bounded() -> None:
    clock = FakeClock()
    sessions = Sessions(clock)
    first = sessions.open("token")
    assert sessions.find(first) and not sessions.find(None) and not sessions.find("x")
    assert "token" not in repr(sessions.find(first))
    clock.elapsed += SESSION_SECONDS
    assert sessions.find(first) is None
    words = [sessions.open("token") for _ in range(MOST_SESSIONS + 1)]
    assert sessions.find(words[0]) is None and sessions.find(words[1])
    sessions.close(words[1])
    assert sessions.find(words[1]) is None


def test_a_steward_sees_what_every_team_asked_and_what_is_left(site: Site, sign_in: Any) -> None:
    page = sign_in("steward").get(f"{PREFIX}/budget").text
    lines = {line[1]: line for line in rows(page) if len(line) == 9}
    assert set(lines) == {"bike", "walk"}
    assert lines["bike"][2:6] == ["research", "Rides in 2026-08, by gu: count", "2.0 %", "2026-08"]
    assert lines["walk"][4:6] == ["1.0 % × 3", "2026-08 – 2026-10"]
    assert lines["bike"][7].startswith("ans-") and lines["bike"][8].startswith("person-")
    month = next(line for line in rows(page) if line[0] == PERIODS[0])
    # bike, walk, others, loads, held back, left; then what bike and walk may still spend.
    assert month[2:] == ["2.0 %", "1.0 %", "0.0 %", "2.0 %", "0.0 %", "95.0 %", "38.0 %", "19.0 %"]
    assert not re.search(r"\bann\b|\bben\b", page)


def test_a_member_sees_her_own_teams_part_and_others_as_one_sum(site: Site, sign_in: Any) -> None:
    browser = sign_in("ann")
    page = browser.get(f"{PREFIX}/budget", params={"team": "walk"}).text
    assert [line[1] for line in rows(page) if len(line) == 9] == ["bike"]
    month = next(line for line in rows(page) if line[0] == PERIODS[0])
    assert month[2:] == ["2.0 %", "1.0 %", "2.0 %", "0.0 %", "95.0 %", "38.0 %"]
    assert "walk" not in re.sub(r"\?team=walk", "", page)
    told = browser.get(f"{PREFIX}/budget.csv", params={"team": "walk"}).text
    assert "bike" in told and "walk" not in told
    asked = browser.get(f"{PREFIX}/questions").text
    assert "civic.answer(&#34;ans-" in asked or 'civic.answer("ans-' in asked
    assert "walk" not in asked


def test_the_filters_and_the_file_say_the_same(site: Site, sign_in: Any) -> None:
    browser = sign_in("steward")
    for query, teams in [
        ({"month": PERIODS[1]}, {"walk"}),
        ({"team": "bike"}, {"bike"}),
        ({"dataset": "rides"}, {"bike", "walk"}),
        ({"dataset": "accidents"}, set()),
        ({"dataset": "\x00'\"<", "month": "x" * 300, "team": "é"}, set()),
    ]:
        page = browser.get(f"{PREFIX}/budget", params=query)
        assert page.status_code == 200
        assert {line[1] for line in rows(page.text) if len(line) == 9} == teams, query
        file = browser.get(f"{PREFIX}/budget.csv", params=query)
        assert file.headers["content-type"] == "text/csv; charset=utf-8"
        lines = list(csv.DictReader(io.StringIO(file.content.decode("utf-8-sig"))))
        assert {line["team"] for line in lines} == teams
    walk = next(
        csv.DictReader(io.StringIO(browser.get(f"{PREFIX}/budget.csv?team=walk").content.decode("utf-8-sig")))
    )
    assert (walk["rho_each"], walk["rho"], walk["share_of_month"]) == ("0.005", "0.015", "0.010000")
    assert browser.get(f"{PREFIX}/budget?page=0").status_code == 400


def wait(site: Site, period: str = PERIODS[1]) -> str:
    """A question of the room's that waits; its id."""
    plan = BY_GU | {"where": {"column": "month", "op": "eq", "value": period}}
    return site.made.parts.approving.answer(ROOM, request(plan)).id  # type: ignore[union-attr]


def test_a_waiting_question_is_approved_in_one_click(site: Site, sign_in: Any) -> None:
    approval = wait(site)
    assert "None waits" in sign_in("ben").get(f"{PREFIX}/").text
    browser = sign_in("ann")
    assert "1 waiting for your word" in browser.get(f"{PREFIX}/").text
    page = browser.get(f"{PREFIX}/approvals").text
    assert "Rides in 2026-09, by gu: count" in page and "5.0 %" in page
    answer = browser.post(
        f"{PREFIX}/approvals",
        data={"form": field(page, "form"), "approval": approval, "decision": "approve"},
    )
    assert answer.status_code == 303
    after = browser.get(answer.headers["location"]).text
    assert "You approved it." in after
    with site.made.parts.database.reading() as connection:
        assert site.made.parts.approving.holds.get(connection, approval).state.value == "approved"
    assert site.made.parts.approving.answer(
        ROOM, request(BY_GU | {"where": {"column": "month", "op": "eq", "value": PERIODS[1]}})
    ).charged  # type: ignore[union-attr]


def test_a_post_without_the_forms_own_word_changes_nothing(site: Site, sign_in: Any) -> None:
    approval = wait(site, PERIODS[2])
    ann, lea = sign_in("ann"), sign_in("lea")
    foreign = field(lea.get(f"{PREFIX}/approvals").text, "form")
    good = field(ann.get(f"{PREFIX}/approvals").text, "form")
    body = {"approval": approval, "decision": "approve"}
    for form in (None, "", "x", "é", foreign):
        sent = body if form is None else body | {"form": form}
        refused = ann.post(f"{PREFIX}/approvals", data=sent)
        assert refused.status_code == 403 and "did not come from the page" in refused.text
    # A script in a seat's page, which has this origin, may not even read the word.
    for told in (
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    ):
        assert ann.get(f"{PREFIX}/approvals", headers=told).status_code == 403
        assert ann.post(f"{PREFIX}/approvals", data=body | {"form": good}, headers=told).status_code == 403
    with site.visitor() as stranger:
        assert stranger.post(f"{PREFIX}/approvals", data=body | {"form": good}).status_code == 401
    with site.made.parts.database.reading() as connection:
        assert site.made.parts.approving.holds.get(connection, approval).state.value == "waiting"
    assert ann.post(f"{PREFIX}/approvals", data=body | {"form": good, "decision": "maybe"}).status_code == 400
    assert (
        ann.post(f"{PREFIX}/approvals", data=body | {"form": good, "approval": "apr-\x00"}).status_code == 404
    )
    big = {"form": good, "x": "y" * 20_000}
    assert ann.post(f"{PREFIX}/approvals", data=big).status_code == 400
    assert (
        ann.post(f"{PREFIX}/approvals", data=body | {"form": good, "decision": "refuse"}).status_code == 303
    )
    gone = ann.post(f"{PREFIX}/approvals", data=body | {"form": good})
    assert gone.status_code == 409 and "refused" in gone.text


def test_an_allowance_is_tried_out_before_it_is_set(site: Site, sign_in: Any) -> None:
    browser = sign_in("lea")
    page = browser.get(f"{PREFIX}/approvals").text
    fields = {
        "form": field(page, "form"),
        "team": "bike",
        "dataset": "rides",
        "seats": "4",
        "each": "1",
        "until": "2026-12-31",
    }
    tried = browser.post(f"{PREFIX}/allowances", data=fields | {"do": "try"})
    assert tried.status_code == 200 and "Each of 4 seats may spend ρ 0.01" in tried.text
    assert site.made.parts.allowing.list(CALLERS["lea"].asker) == []
    for wrong in (
        {"seats": "0"},
        {"seats": "²"},
        {"each": "-1"},
        {"each": "9" * 15},
        {"until": "morgen"},
        {"seats": "9" * 40},
    ):
        assert browser.post(f"{PREFIX}/allowances", data=fields | {"do": "set"} | wrong).status_code == 400
    assert browser.post(f"{PREFIX}/allowances", data=fields | {"team": "walk"}).status_code == 403
    again = {name: field(tried.text, name) for name in ("form", "team", "dataset", "seats", "each", "until")}
    done = browser.post(f"{PREFIX}/allowances", data=again | {"do": "set"})
    assert "It is set." in browser.get(done.headers["location"]).text
    (made,) = site.made.parts.allowing.list(CALLERS["lea"].asker)
    assert (made["seats"], made["rho"], made["until"]) == (4, 10_000_000, "2026-12-31T14:59:59Z")
    ann = sign_in("ann")
    assert ann.post(f"{PREFIX}/allowances", data=fields | {"form": "x"}).status_code == 403


def test_every_answer_forbids_scripts_frames_and_keeping(site: Site, sign_in: Any) -> None:
    browser = sign_in("ann")
    with site.visitor() as stranger:
        answers = [
            *(
                browser.get(f"{PREFIX}/{page}")
                for page in ("", "budget", "questions", "approvals", "budget.csv")
            ),
            browser.post(f"{PREFIX}/approvals", data={}),
            stranger.get(f"{PREFIX}/budget"),
            stranger.get(f"{PREFIX}/oauth_callback"),
        ]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "script-src" not in policy and "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"
        if (
            answer.headers["content-type"].startswith("text/html")
            if "content-type" in answer.headers
            else False
        ):
            [style] = re.findall(r"<style>(.*?)</style>", answer.text, re.S)
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
            assert "<script" not in answer.text and "style=" not in answer.text


def test_a_page_speaks_the_language_that_was_chosen_and_keeps_to_it(site: Site, sign_in: Any) -> None:
    browser = sign_in("ann", "ko")
    page = browser.get(f"{PREFIX}/budget").text
    assert '<html lang="ko">' in page and "우리 팀 예산" in page and "2026년 8월" in page
    assert '<html lang="en">' in browser.get(f"{PREFIX}/budget?lang=en").text
    assert '<html lang="en">' in browser.get(f"{PREFIX}/questions").text
    assert '<html lang="en">' in browser.get(f"{PREFIX}/questions?lang=xx").text


HOSTILE = "<img src=x onerror=alert(1)>'\"</script>{{7*7}}"


def test_hostile_names_of_teams_and_persons_stay_text(site: Site, sign_in: Any) -> None:
    asker = Asker(HOSTILE, frozenset({HOSTILE}), asks=True, leads=True)
    site.made.ask(asker, BY_GU | {"by": []}, team=HOSTILE)
    room = replace(asker, is_room=True, leads=False)
    site.made.parts.approving.answer(room, request(BY_GU | {"by": ["sex"]}, team=HOSTILE))
    site.hub.callers["hostile"] = Caller(asker, CALLERS["lea"].scopes)
    for name in ("hostile", "steward"):
        browser = sign_in(name)
        for place in ("", "budget", f"budget?{urlencode({'team': HOSTILE})}", "questions", "approvals"):
            page = browser.get(f"{PREFIX}/{place}").text
            shown = page[page.index("<body") :]
            assert "<img" not in shown and "</script>" not in shown and ">49" not in shown
    assert "&lt;img" in sign_in("steward").get(f"{PREFIX}/budget").text


def test_rows_of_an_open_dataset_are_told_in_words_and_cost_nothing(site: Site, sign_in: Any) -> None:
    site.made.load_sensors()
    asker = Asker("mia", frozenset({"moon"}), asks=True)
    where = {"column": "gu", "op": "eq", "value": "중구"}
    site.made.ask(asker, {"dataset": "sensors", "rows": ["at", "pm10"], "where": where}, team="moon")
    page = sign_in("steward").get(f"{PREFIX}/budget", params={"team": "moon"}).text
    [line] = [line for line in rows(page) if len(line) == 9]
    assert line[3:6] == ["Sensors, only gu 중구, rows as they are: when, PM10", "nothing more", "–"]
    assert not re.search(r"<h2>Sensors", page)
