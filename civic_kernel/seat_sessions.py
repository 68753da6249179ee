"""A server extension of every seat and room: the Hub says who has been signed out, and she is out at once.

A seat keeps the Hub's word about a browser for some time, and an open websocket (a kernel's, a terminal's, a shared
notebook's) is asked about once, when it opens. So when a browser is signed out, the Hub calls this: the remembered
words are forgotten, and the person's websockets are closed. JupyterLab then connects again and is refused.

Only the Hub calls it, with the server's own token. What runs in the seat knows that token as well, and gains nothing:
it can sign out those who are in, and could as well end the server.
"""

from __future__ import annotations

import gc
import hmac
import json
import re
from http import HTTPStatus
from typing import Any

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.web import HTTPError
from tornado.websocket import WebSocketHandler

#: RFC 6455, 7.4.1: the one for "your policy does not allow this".
POLICY_VIOLATION = 1008
_TOKEN = re.compile(r"(?:token|bearer)\s+(\S+)", re.IGNORECASE)


class SignedOutHandler(JupyterHandler):
    """POST `{"name": …}`, answered with `{"closed": number of websockets}`; 403 without the server's token."""

    def check_xsrf_cookie(self) -> None:
        """No cookie counts here."""

    async def prepare(self, **_: Any) -> None:
        """Not the base class's, which would ask the Hub who comes while the Hub waits for this answer."""

    def post(self) -> None:
        hub_auth = self.settings["identity_provider"].hub_auth
        sent = _TOKEN.fullmatch(self.request.headers.get("Authorization", ""))
        if sent is None or not hmac.compare_digest(sent[1].encode(), hub_auth.api_token.encode()):
            raise HTTPError(HTTPStatus.FORBIDDEN)
        try:
            name = json.loads(self.request.body)["name"]
        except (ValueError, KeyError, TypeError):
            raise HTTPError(HTTPStatus.BAD_REQUEST) from None
        hub_auth.cache.clear()
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps({"closed": close_websockets(name)}))


def close_websockets(name: str) -> int:
    """Closes every websocket that was opened as `name`; how many those were.

    Found among all living objects: whichever extension opened one, none can be missing from a list that nobody
    keeps. That takes a tenth of a second, for something that happens once a day."""
    closed = 0
    for thing in gc.get_objects():
        if isinstance(thing, WebSocketHandler) and thing.ws_connection is not None and _belongs(thing, name):
            thing.close(POLICY_VIOLATION)
            closed += 1
    return closed


def _belongs(socket: WebSocketHandler, name: str) -> bool:
    """One of an unknown person counts as hers: it is closed rather than left open."""
    return getattr(socket.current_user, "username", name) == name


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "civic_kernel.seat_sessions"}]


def _load_jupyter_server_extension(server: Any) -> None:
    address = url_path_join(server.web_app.settings["base_url"], "civic/signed-out")
    server.web_app.add_handlers(".*$", [(address, SignedOutHandler)])
