"""Signing in over HTTP as a browser would, for the demo's stewards and the tests: no back door of its own."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from typing import Any

from hub_config.errors import SignInRefused


class Session:
    """A signed-in person. `url` is the workspace's, without a slash at the end."""

    def __init__(self, url: str, secret: str) -> None:
        """Raises SignInRefused (status 403: not a good link; 429: too many tries)."""
        self.url = url
        self._jar = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self._jar),
        )
        self._open(urllib.request.Request(f"{url}/hub/login", headers={"Sec-Fetch-Mode": "navigate"}))
        body = urllib.parse.urlencode({"code": secret, "_xsrf": self._xsrf()}).encode("ascii")
        self._open(urllib.request.Request(f"{url}/hub/login?next=%2Fhub%2Fhome", body))
        self.name = str(self.api("GET", "user")["name"])

    def api(self, method: str, path: str, body: object = None) -> Any:
        """A call of the Hub's REST interface with this person's cookie; the decoded JSON, or None."""
        data = None if body is None else json.dumps(body).encode("utf-8")
        request = urllib.request.Request(f"{self.url}/hub/api/{path}", data, method=method)
        # The interface wants proof that a page of its own asks, not a foreign one with our cookie.
        request.add_header("X-XSRFToken", self._xsrf())
        request.add_header("Referer", f"{self.url}/hub/home")
        request.add_header("Content-Type", "application/json")
        answer = self._open(request)
        return json.loads(answer) if answer else None

    def token(self, scopes: list[str], *, lifetime_s: int, note: str) -> str:
        """A token of this person with these scopes of hers, which the Hub forgets after `lifetime_s`."""
        body = {"note": note, "expires_in": lifetime_s, "scopes": scopes}
        return str(self.api("POST", f"users/{self.name}/tokens", body)["token"])

    def _xsrf(self) -> str:
        # One at /hub/, set on its pages, and none elsewhere.
        return next(
            (str(c.value) for c in self._jar if c.name == "_xsrf" and c.path.startswith("/hub")),
            "",
        )

    def _open(self, request: urllib.request.Request) -> bytes:
        try:
            with self._opener.open(request, timeout=60) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as refusal:
            refusal.close()
            raise SignInRefused(status=refusal.code) from None


def make_link(url: str, secret: str) -> str:
    """The address that signs its bearer in."""
    return f"{url}/hub/login#k={secret}"
