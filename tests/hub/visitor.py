"""Somebody at a browser without script: cookies, forms, redirects."""

import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.cookiejar import CookieJar


@dataclass(frozen=True)
class Answer:
    status: int
    url: str
    text: str
    #: Where a redirect that was not followed leads.
    location: str = ""


#: A computer of her own for each visitor: tries are counted by address.
_ADDRESSES = (f"127.{a}.{b}.{c}" for a in range(1, 200) for b in range(256) for c in range(1, 255))


class Computer(urllib.request.HTTPHandler):
    def __init__(self, address):
        super().__init__()
        self.address = address or next(_ADDRESSES)

    def http_open(self, request):
        return self.do_open(http.client.HTTPConnection, request, source_address=(self.address, 0))


class Standing(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        """Stays where it is."""


class Visitor:
    def __init__(self, hub_url, language="ko", follow=True, address=None):
        self.hub_url = hub_url
        self.headers = {"Accept-Language": language, "Sec-Fetch-Mode": "navigate"}
        self._jar = CookieJar()
        handlers = [Computer(address), urllib.request.HTTPCookieProcessor(self._jar)]
        handlers += [] if follow else [Standing]
        self._opener = urllib.request.build_opener(*handlers)

    def cookies(self):
        return list(self._jar)

    def get(self, path, **headers):
        return self._open(urllib.request.Request(f"{self.hub_url}{path}", headers=self.headers | headers))

    def submit(self, path, fields, token=None, **headers):
        """A form to `path`, with the token of the sign-in page unless another is given."""
        if token is None:
            token = re.search(r'name="_xsrf" value="([^"]+)"', self.get("/hub/login").text)[1]
        body = urllib.parse.urlencode({"_xsrf": token, **fields}).encode()
        return self._open(
            urllib.request.Request(f"{self.hub_url}{path}", body, headers=self.headers | headers)
        )

    def sign_in(self, **fields):
        return self.submit("/hub/login", fields)

    def call(self, method, path):
        """The Hub's REST interface with her cookie, as a script of one of its pages does."""
        token = next(cookie.value for cookie in self._jar if cookie.name == "_xsrf")
        headers = {
            "X-XSRFToken": token,
            "Referer": f"{self.hub_url}/hub/home",
            "Content-Type": "application/json",
        }
        return self._open(
            urllib.request.Request(f"{self.hub_url}/hub/api/{path}", b"{}", headers, method=method)
        )

    def name(self):
        """Who the Hub takes her for, or None."""
        answer = self.get("/hub/api/user", **{"Sec-Fetch-Mode": "navigate"})
        found = re.search(r'"name": "([^"]+)"', answer.text)
        return found[1] if found and answer.status == 200 else None

    def _open(self, request):
        try:
            with self._opener.open(request, timeout=30) as answer:
                return Answer(answer.status, answer.url, answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as refused:
            with refused:
                told = refused.read().decode("utf-8", "replace")
                return Answer(refused.code, refused.url, told, refused.headers.get("Location", ""))
