"""Who asks, asked of a small real server that speaks the Hub's API (`/user`, `/users/{name}`)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from data_access.errors import HubUnavailable, NotAllowed, NotSignedIn
from data_access.gateway.identity import ACCESS, ASK, BELIEVED_SECONDS, FACILITATE, HubIdentity, bearer
from tests.factories import FakeClock

OWN = "gateway-token"


class Hub:
    """Tokens and groups as the Hub would tell them; `asked` counts the questions."""

    def __init__(self) -> None:
        self.tokens: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, list[str]] = {}
        self.raw: bytes | None = None
        self.status = 200
        self.asked: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                token = (self.headers.get("Authorization") or "").removeprefix("token ")
                hub.asked.append(self.path)
                status, document = hub.answer(self.path, token)
                body = hub.raw if hub.raw is not None else json.dumps(document).encode()
                self.send_response(status if hub.status == 200 else hub.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, path: str, token: str) -> tuple[int, Any]:
        if path == "/user":
            return (200, self.tokens[token]) if token in self.tokens else (403, {})
        name = path.removeprefix("/users/")
        if token != OWN or name not in self.groups:
            return 404, {}
        return 200, {"name": name, "groups": self.groups[name]}

    def add_user(self, token: str, name: str, groups: list[str], scopes: list[str]) -> None:
        self.tokens[token] = {"kind": "user", "name": name, "scopes": scopes, "groups": ["team-forged"]}
        self.groups[name] = groups


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_person_has_the_teams_that_the_hub_lists_and_the_tokens_scopes(hub: Hub) -> None:
    hub.add_user(
        "t", "ann", ["team-bike", "role-analyst", "team-walk", "team-site"], [ACCESS, "custom:civic:ask"]
    )
    caller = HubIdentity(hub.address, OWN).caller("t")
    assert caller.asker.name == "ann"
    # No group of people is the site's team, and what a token says of its own groups is not asked.
    assert caller.asker.teams == {"bike", "walk"}
    assert "custom:civic:ask" in caller.scopes


def test_a_room_is_known_as_one_and_asks_for_the_team_whose_room_it_is(hub: Hub) -> None:
    scopes = [ACCESS, "custom:civic:ask", "custom:civic:facilitate"]
    hub.add_user("room", "room-01", ["rooms", "room-of-bike", "room-of-site"], scopes)
    # A person cannot pass for a room's team, and a room that got into a team's own group is still a room.
    hub.add_user("person", "ann", ["room-of-bike"], scopes)
    hub.add_user("astray", "room-02", ["rooms", "team-bike"], scopes)
    identity = HubIdentity(hub.address, OWN)
    room, person, astray = (identity.caller(token).asker for token in ("room", "person", "astray"))
    assert room.is_room and room.teams == {"bike"}
    assert not person.is_room and person.teams == frozenset()
    assert astray.is_room and astray.teams == frozenset()


def test_who_leads_is_what_the_token_may_do_and_not_what_its_owner_is(hub: Hub) -> None:
    hub.add_user("page", "lea", ["team-bike", "role-facilitator"], [ACCESS, ASK, FACILITATE])
    hub.add_user("seat", "lea", ["team-bike", "role-facilitator"], [ACCESS, ASK])
    identity = HubIdentity(hub.address, OWN)
    assert (identity.caller("page").asker.leads, identity.caller("seat").asker.leads) == (True, False)
    assert identity.caller("seat").asker.asks


def test_the_reports_service_asks_for_the_site_and_other_services_for_nobody(hub: Hub) -> None:
    for name in ("reports", "cull"):
        hub.tokens[name] = {"kind": "service", "name": name, "scopes": ["access:services"]}
    identity = HubIdentity(hub.address, OWN)
    assert identity.caller("reports").asker.teams == {"site"}
    assert identity.caller("cull").asker.teams == frozenset()


def test_a_person_with_a_services_name_is_not_the_service(hub: Hub) -> None:
    hub.add_user("t", "reports", [], [ACCESS])
    caller = HubIdentity(hub.address, OWN).caller("t")
    assert caller.asker.teams == frozenset() and caller.asker.name == "reports"


def test_a_token_without_access_to_this_service_is_refused(hub: Hub) -> None:
    hub.add_user("t", "ann", ["team-bike"], ["custom:civic:ask", "access:services!service=reports"])
    with pytest.raises(NotAllowed):
        HubIdentity(hub.address, OWN).caller("t")


def test_a_revoked_token_works_for_no_longer_than_the_hubs_word_is_believed(hub: Hub) -> None:
    clock = FakeClock()
    hub.add_user("t", "ann", ["team-bike"], [ACCESS])
    identity = HubIdentity(hub.address, OWN, clock)
    identity.caller("t")
    asked = len(hub.asked)
    del hub.tokens["t"]
    clock.elapsed += BELIEVED_SECONDS - 0.1
    identity.caller("t")
    assert len(hub.asked) == asked
    clock.elapsed += 0.2
    with pytest.raises(NotSignedIn):
        identity.caller("t")


def test_a_team_that_was_left_is_gone_after_the_same_time(hub: Hub) -> None:
    clock = FakeClock()
    hub.add_user("t", "ann", ["team-bike"], [ACCESS])
    identity = HubIdentity(hub.address, OWN, clock)
    assert identity.caller("t").asker.teams == {"bike"}
    hub.groups["ann"] = []
    clock.elapsed += BELIEVED_SECONDS
    assert identity.caller("t").asker.teams == frozenset()


def test_a_hub_that_is_ill_signs_nobody_in(hub: Hub) -> None:
    hub.add_user("t", "ann", ["team-bike"], [ACCESS])
    for status, raw in ((500, None), (200, b"no json"), (200, b"[]")):
        hub.status, hub.raw = status, raw
        with pytest.raises(HubUnavailable):
            HubIdentity(hub.address, OWN).caller("t")
    with pytest.raises(HubUnavailable):
        HubIdentity("http://127.0.0.1:9", OWN).caller("t")


def test_a_gateway_whose_own_token_is_refused_says_so_and_does_not_blame_the_asker(hub: Hub) -> None:
    hub.add_user("t", "ann", ["team-bike"], [ACCESS])
    with pytest.raises(HubUnavailable):
        HubIdentity(hub.address, "wrong").caller("t")


def test_a_token_is_nowhere_in_the_memory_of_the_cache(hub: Hub) -> None:
    hub.add_user("very-secret", "ann", [], [ACCESS])
    identity = HubIdentity(hub.address, OWN)
    identity.caller("very-secret")
    assert "very-secret" not in repr(vars(identity))


@pytest.mark.parametrize(
    "header", [None, "", "token", "token ", "token a b", "token a\nb", "Digest x", "token é"]
)
def test_what_is_no_token_is_not_sent_on(header: str | None) -> None:
    with pytest.raises(NotSignedIn):
        bearer(header)


def test_both_words_for_a_token_are_read() -> None:
    assert bearer("token abc") == bearer("Bearer abc") == "abc"
