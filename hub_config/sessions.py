"""Ending a person's sessions at once, while her server and its kernels go on.

JupyterHub's own sign-out ends one browser's session and only from that browser. Here a facilitator, a steward or the
clock ends them from outside: the Hub's cookie (a new number for the person, so that every cookie of hers is void),
every token that was given to a browser or at a browser's wish, and what her servers remember and keep open.
"""

from __future__ import annotations

import json
from typing import Any

from jupyterhub import orm
from jupyterhub.utils import url_path_join
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from hub_config.runtime import current_cards

#: A seat that does not answer within this many seconds hangs; what it remembers ends by itself within a minute.
PATIENCE_S = 5.0


async def sign_out(handler_or_app: Any, user_name: str) -> bool:
    """Ends every browser session of a person: at the Hub, in her own server, in rooms, with the gateway. Her servers
    keep running, with the tokens that they were started with.

    True if every server that she was in has said so; where one did not, its cache ends within a minute. True also
    for someone the Hub has never seen."""
    app = getattr(handler_or_app, "app", handler_or_app)
    entered = _end_at_the_hub(app, user_name)
    if entered is None:
        return True
    told = [await _tell(app, spawner, user_name) for spawner in entered]
    return all(told)


async def leave(app: Any, account: str, user_name: str) -> None:
    """A person who may no longer enter the server of `account` (a room's): what it remembers of her is forgotten, and
    her websockets there are closed. Her other sessions go on. After her rights have changed, not before: JupyterLab
    asks again at once."""
    found = orm.User.find(app.db, name=account)
    for spawner in app.users[found].spawners.values() if found else ():
        if spawner.active:
            await _tell(app, spawner, user_name)


async def move(handler_or_app: Any, seat: str, number: str | None = None) -> bool:
    """The facilitator lets the waiting browser in (`Cards.admit`) and the former one is signed out. False, and
    nothing changed, if none waits, or several do and `number` does not say which."""
    if not current_cards().admit(seat, number):
        return False
    await sign_out(handler_or_app, seat)
    return True


def _end_at_the_hub(app: Any, user_name: str) -> list[Any] | None:
    """Voids cookies and tokens; the running servers that she was in. Without a pause, so that nobody can come in
    between the two halves of it."""
    found = orm.User.find(app.db, name=user_name)
    if found is None:
        return None
    user = app.users[found]
    own = [spawner for spawner in user.spawners.values() if spawner.active]
    kept = {
        token.id for token in (orm.APIToken.find(app.db, s.api_token) for s in own if s.api_token) if token
    }
    clients = set()
    for token in list(found.api_tokens):
        if token.id not in kept:
            clients.add(token.client_id)
            app.db.delete(token)
    for code in list(found.oauth_codes):
        app.db.delete(code)
    found.cookie_id = orm.new_token()
    app.db.commit()
    rooms = [
        spawner
        for other in app.users.values()
        for spawner in other.spawners.values()
        if spawner.active and spawner.oauth_client_id in clients
    ]
    return [*own, *(spawner for spawner in rooms if spawner not in own)]


async def _tell(app: Any, spawner: Any, user_name: str) -> bool:
    if spawner.server is None:
        return True  # on its way up: it has nothing to forget yet
    request = HTTPRequest(
        url_path_join(spawner.server.url, "civic/signed-out"),
        method="POST",
        headers={"Authorization": f"token {spawner.api_token}", "Content-Type": "application/json"},
        body=json.dumps({"name": user_name}),
        request_timeout=PATIENCE_S,
        connect_timeout=PATIENCE_S,
    )
    try:
        await AsyncHTTPClient().fetch(request)
    except (HTTPClientError, OSError) as fault:
        app.log.warning(
            "the server of %s was not told of a sign-out: %s", spawner.user.name, type(fault).__name__
        )
        return False
    return True
