"""Who asks: asked of the Hub with the very token that came, never believed from a request."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol

from civic_kernel.errors import HubUnavailable, NotAllowed, NotSignedIn
from civic_kernel.settings import Token
from civic_kernel.texts import Language, text

ACCESS = "access:services!service=reports"
ASK = "custom:civic:ask"
#: All of our own rights that a run's token may carry. A notebook holds it while it runs, and whoever wrote the notebook
#: is not always whoever runs it: a token that can approve, load or lead is not handed to one.
MAY_CARRY = frozenset({ASK, "custom:civic:read"})
OURS = "custom:civic:"
#: How long an answer of the Hub is believed: this is also how long a revoked token still works.
BELIEVED_SECONDS = 10.0
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{1,512}")


@dataclass(frozen=True)
class Caller:
    """Whose token it is, and whether a run may ask with it."""

    name: str
    token: Token
    scopes: frozenset[str]

    def check_may_run(self, language: Language) -> None:
        """Raises NotAllowed for a token that may not ask, or may do more than ask."""
        if ASK not in self.scopes:
            raise refusal(NotAllowed, language, "runs.may_not_ask")
        if {scope for scope in self.scopes if scope.startswith(OURS)} - MAY_CARRY:
            raise refusal(NotAllowed, language, "runs.may_too_much")


class Identity(Protocol):
    def caller(self, authorization: str | None, language: Language) -> Caller:
        """Raises NotSignedIn, NotAllowed (no access to this service) or HubUnavailable."""


class HubIdentity:
    """Asks the Hub's API whose token it is, with that token."""

    def __init__(self, api_url: str) -> None:
        import httpx

        # trust_env=False: a proxy from the environment would be handed the tokens.
        self._http = httpx.Client(base_url=api_url, timeout=5.0, trust_env=False)
        self._known: dict[str, tuple[float, str, frozenset[str]]] = {}
        self._guard = Lock()

    def caller(self, authorization: str | None, language: Language) -> Caller:
        token = bearer(authorization, language)
        # Keyed by a hash, so that a dump of this process's tables holds no token.
        key, now = hashlib.sha256(token.encode()).hexdigest(), time.monotonic()
        with self._guard:
            self._known = {k: one for k, one in self._known.items() if now - one[0] < BELIEVED_SECONDS}
            found = self._known.get(key)
        if found is None:
            name, scopes = self._ask(token, language)
            found = (now, name, scopes)
            with self._guard:
                self._known[key] = found
        return Caller(found[1], Token(token), found[2])

    def _ask(self, token: str, language: Language) -> tuple[str, frozenset[str]]:
        import httpx

        try:
            response = self._http.get("/user", headers={"Authorization": f"token {token}"})
            document: Any = response.json() if response.status_code == 200 else None
        except (httpx.HTTPError, ValueError):
            raise refusal(HubUnavailable, language, "runs.hub") from None
        if response.status_code in (401, 403, 404):
            raise NotSignedIn.say(language)
        if not isinstance(document, dict) or not isinstance(document.get("name"), str):
            raise refusal(HubUnavailable, language, "runs.hub")
        scopes = frozenset(str(scope) for scope in document.get("scopes", ()))
        if not scopes & {ACCESS, "access:services"}:
            raise refusal(NotAllowed, language, "runs.no_access")
        # A service and a person of one name are two.
        kind = "" if document.get("kind") == "user" else "service:"
        return kind + document["name"], scopes


def bearer(authorization: str | None, language: Language) -> str:
    """The token of `Authorization: token …` or `Bearer …`. Raises NotSignedIn. Never read from a URL or a cookie."""
    kind, _, token = (authorization or "").partition(" ")
    # RFC 6750's alphabet: anything else is no token, and could not be sent on in a header.
    if kind.lower() not in ("token", "bearer") or not _TOKEN.fullmatch(token.strip()):
        raise NotSignedIn.say(language)
    return token.strip()


def refusal(kind: Any, language: Language, key: str) -> Any:
    """A failure of one of the gateway's kinds, in this service's own words."""
    return kind(text(language, "report", key), text(language, "report", f"{key}.remedy"))
