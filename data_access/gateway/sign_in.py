"""Signing in to the gateway's pages through the Hub: OAuth 2 with PKCE, and sessions kept in this process.

The browser holds a random word and nothing else; the Hub's token stays here. JupyterHub's own `HubOAuth` would put
the token itself into a cookie and brings the Hub's web framework along, so the two requests are made here (RFC 6749,
4.1; RFC 7636). A restart signs everybody out of these pages, and the Hub's login brings them back unasked.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlencode, urlsplit

import httpx

from data_access.canonical import sha256_hex
from data_access.clock import Clock
from data_access.compose import Settings
from data_access.errors import HubUnavailable

#: How long somebody may take from the page that she asked for to the Hub's answer.
ATTEMPT_SECONDS = 600
#: After so long she is sent through the Hub again, which asks nothing while its own login holds.
SESSION_SECONDS = 8 * 3600
#: The oldest goes where there are more.
MOST_SESSIONS = 5_000
COOKIE = "civic-data"
_ATTEMPT = "civic-data-in-"


class SignInRefused(Exception):
    """The answer of the Hub belongs to no attempt of this browser, or the Hub took it back."""


@dataclass(frozen=True)
class Session:
    token: str = field(repr=False)
    #: Stands in each form, so that another site's form is not taken for one of ours.
    form: str = field(repr=False)
    started: float

    def wrote(self, said: str | None) -> bool:
        """Whether a form that came in was one of this session's."""
        return hmac.compare_digest(self.form.encode(), (said or "").encode("utf-8", "replace"))


class Sessions:
    """By the hash of the browser's word: a dump of this table signs nobody in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[str, Session] = OrderedDict()
        self._guard = Lock()

    def open(self, token: str) -> str:
        """The word for a new session: never one that the browser brought."""
        word = secrets.token_urlsafe(32)
        session = Session(token, secrets.token_urlsafe(32), self._clock.monotonic())
        with self._guard:
            while len(self._known) >= MOST_SESSIONS:
                self._known.popitem(last=False)
            self._known[_key(word)] = session
        return word

    def find(self, word: str | None) -> Session | None:
        if not word:
            return None
        with self._guard:
            found = self._known.get(_key(word))
            if found is not None and self._clock.monotonic() - found.started >= SESSION_SECONDS:
                del self._known[_key(word)]
                return None
            return found

    def close(self, word: str | None) -> None:
        with self._guard:
            self._known.pop(_key(word or ""), None)


@dataclass(frozen=True)
class Attempt:
    """Where to send the browser, and the cookie that ties the answer to it."""

    address: str
    cookie: str
    value: str


class SignIn:
    """`pages` are the only addresses that anybody is led back to."""

    def __init__(self, settings: Settings, clock: Clock, prefix: str, pages: Collection[str]) -> None:
        self._settings = settings
        self._clock = clock
        self._pages = frozenset(pages)
        self._home = f"{prefix}/"
        self._callback = settings.hub_callback or f"{prefix}/oauth_callback"
        # Attempts are kept by the browsers, signed: nobody can fill a table here before signing in.
        self._secret = secrets.token_bytes(32)

    def begin(self, wanted: str) -> Attempt:
        """For somebody who is not signed in and asked for the page `wanted` (path and query)."""
        state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        page = base64.urlsafe_b64encode(self._inside(wanted).encode()).decode()
        signed = f"{int(self._clock.monotonic())}.{state}.{verifier}.{page}"
        query = urlencode(
            {
                "client_id": self._settings.hub_client,
                "redirect_uri": self._callback,
                "response_type": "code",
                "state": state,
                "code_challenge": challenge,
                "code_challenge_method": "S256",
            }
        )
        address = f"{self._settings.hub_base}hub/api/oauth2/authorize?{query}"
        return Attempt(address, cookie_of(state), f"{signed}.{self._mac(signed)}")

    def finish(self, state: str, code: str, cookie: str | None) -> tuple[str, str]:
        """(token, page) for the Hub's answer. Raises SignInRefused or HubUnavailable."""
        verifier, page = self.look_up(state, cookie)
        return self._exchange(code, verifier), page

    def look_up(self, state: str, cookie: str | None) -> tuple[str, str]:
        """(verifier, page) of an attempt. Raises SignInRefused unless it is this browser's and of the last minutes."""
        signed, _, mac = (cookie or "").rpartition(".")
        # Compared as bytes: a cookie may hold any character.
        if not hmac.compare_digest(self._mac(signed).encode(), mac.encode("utf-8", "replace")):
            raise SignInRefused()
        issued, known, verifier, page = signed.split(".")
        if not hmac.compare_digest(known.encode(), state.encode("utf-8", "replace")):
            raise SignInRefused()
        if self._clock.monotonic() - int(issued) > ATTEMPT_SECONDS:
            raise SignInRefused()
        return verifier, self._inside(base64.urlsafe_b64decode(page).decode())

    def _exchange(self, code: str, verifier: str) -> str:
        try:
            answer = httpx.post(
                f"{self._settings.hub_api_url}/oauth2/token",
                data={
                    "client_id": self._settings.hub_client,
                    "client_secret": self._settings.hub_token,
                    "grant_type": "authorization_code",
                    "code": code,
                    "code_verifier": verifier,
                    "redirect_uri": self._callback,
                },
                timeout=10.0,
            )
            if 400 <= answer.status_code < 500:
                raise SignInRefused()
            token = answer.json()["access_token"] if answer.status_code == 200 else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
            raise HubUnavailable() from None
        if not isinstance(token, str):
            raise HubUnavailable()
        return token

    def _inside(self, wanted: str) -> str:
        """`wanted` if it is one of our pages, else their beginning."""
        try:
            parts = urlsplit(wanted)
        except ValueError:
            return self._home
        if parts.scheme or parts.netloc or parts.path not in self._pages:
            return self._home
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def _mac(self, signed: str) -> str:
        return hmac.new(self._secret, signed.encode("utf-8", "replace"), "sha256").hexdigest()


def cookie_of(state: str) -> str:
    """One cookie for each attempt: two windows may sign in at once. A hash, since a state may hold anything."""
    return _ATTEMPT + sha256_hex(state.encode("utf-8", "replace"))[:16]


def _key(word: str) -> str:
    return sha256_hex(word.encode("utf-8", "replace"))
