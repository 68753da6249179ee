"""Who asks: asked of the Hub for every token, never believed from a request.

`Identity` is the one thing that tests replace; everything behind it is real.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from data_access.canonical import sha256_hex
from data_access.clock import Clock, SystemClock
from data_access.errors import HubUnavailable, NotAllowed, NotSignedIn
from data_access.flows.answering import Asker
from data_access.flows.releasing import SERVICE

ACCESS = "access:services!service=data"
READ = "custom:civic:read"
ASK = "custom:civic:ask"
FACILITATE = "custom:civic:facilitate"
TEAM_GROUP = "team-"
#: The accounts that are rooms, and whose room each is.
ROOMS_GROUP = "rooms"
ROOM_OF_GROUP = "room-of-"
#: The team that scheduled runs and the published site ask for; no group of people can be it.
SITE_TEAM = "site"
SITE_SERVICE = "reports"
#: How long an answer of the Hub is believed: this is also how long a revoked token still works.
BELIEVED_SECONDS = 10.0
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")


@dataclass(frozen=True)
class Caller:
    asker: Asker
    scopes: frozenset[str]

    def check_any(self, scopes: Sequence[str]) -> None:
        """Raises NotAllowed, naming the first, unless the caller has one of them."""
        if self.scopes.isdisjoint(scopes):
            raise NotAllowed(scope=scopes[0])


class Identity(Protocol):
    def caller(self, token: str) -> Caller:
        """Raises NotSignedIn, NotAllowed (no access to this service) or HubUnavailable."""


class HubIdentity:
    """Asks the Hub's API: whose token it is with that token, and the person's groups with our own."""

    def __init__(self, api_url: str, own_token: str, clock: Clock | None = None) -> None:
        self._http = httpx.Client(base_url=api_url, timeout=5.0)
        self._own = own_token
        self._clock = clock or SystemClock()
        self._known: dict[str, tuple[float, Caller]] = {}
        self._guard = Lock()

    def caller(self, token: str) -> Caller:
        # The cache is keyed by a hash, so that a dump of this process's tables holds no token.
        key = sha256_hex(token.encode())
        now = self._clock.monotonic()
        with self._guard:
            found = self._known.get(key)
            if found is not None and now - found[0] < BELIEVED_SECONDS:
                return found[1]
            for stale in [k for k, (at, _) in self._known.items() if now - at >= BELIEVED_SECONDS]:
                del self._known[stale]
        caller = self._ask(token)
        with self._guard:
            self._known[key] = (now, caller)
        return caller

    def _ask(self, token: str) -> Caller:
        owner = self._get("/user", token)
        if owner is None:
            raise NotSignedIn()
        scopes = frozenset(owner.get("scopes", ()))
        if not scopes & {ACCESS, "access:services"}:
            raise NotAllowed(scope=ACCESS)
        name = str(owner["name"])
        if owner.get("kind") == "service":
            teams = frozenset({SITE_TEAM}) if name == SITE_SERVICE else frozenset[str]()
            return Caller(Asker(f"{SERVICE}{name}", teams, asks=ASK in scopes), scopes)
        model = self._get(f"/users/{quote(name, safe='')}", self._own)
        if model is None:
            # The Hub knows the token but does not tell us about its owner: our own rights are amiss.
            raise HubUnavailable()
        groups = [str(group) for group in model.get("groups", ())]
        # A room that got into a team's own group by mistake is still a room.
        is_room = ROOMS_GROUP in groups
        mark = ROOM_OF_GROUP if is_room else TEAM_GROUP
        teams = frozenset(g.removeprefix(mark) for g in groups if g.startswith(mark)) - {SITE_TEAM}
        asker = Asker(name, teams, is_room=is_room, asks=ASK in scopes, leads=FACILITATE in scopes)
        return Caller(asker, scopes)

    def _get(self, path: str, token: str) -> dict[str, Any] | None:
        try:
            response = self._http.get(path, headers={"Authorization": f"token {token}"})
        except httpx.HTTPError:
            raise HubUnavailable() from None
        if response.status_code in (401, 403, 404):
            return None
        if response.status_code != 200:
            raise HubUnavailable()
        try:
            document = response.json()
        except ValueError:
            raise HubUnavailable() from None
        if not isinstance(document, dict):
            raise HubUnavailable()
        return document


def bearer(authorization: str | None) -> str:
    """The token of `Authorization: token …` or `Bearer …`. Raises NotSignedIn. Never read from a URL."""
    kind, _, token = (authorization or "").partition(" ")
    # RFC 6750's alphabet: anything else is no token, and could not be sent on in a header.
    if kind.lower() not in ("token", "bearer") or not _TOKEN.fullmatch(token.strip()):
        raise NotSignedIn()
    return token.strip()
