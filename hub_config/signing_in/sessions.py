"""Ending a person's sessions at once, while her server and its kernels go on.

JupyterHub's own sign-out ends one browser's session and only from that browser. Here a facilitator, a steward or the
clock ends them from outside: the Hub's cookie (a new number for the person, so that every cookie of hers is void),
every token that was given to a browser or at a browser's wish, and what her servers remember and keep open.
"""

from __future__ import annotations

import asyncio
import json
from datetime import UTC
from typing import Any

from jupyterhub import orm
from jupyterhub.utils import url_path_join
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from hub_config.runtime import current_accounts, current_cards, current_people

#: A seat that does not answer within this many seconds hangs; what it remembers ends by itself within a minute.
PATIENCE_S = 5.0


async def sign_out(handler_or_app: Any, user_name: str) -> bool:
    """Ends every browser session of a person: at the Hub, in her own server, in rooms, with the gateway. Her servers
    keep running, with the tokens that they were started with.

    True if every server that she was in has said so; where one did not, its cache ends within a minute. True also
    for someone the Hub has never seen."""
    return await _end(getattr(handler_or_app, "app", handler_or_app), user_name, None)


async def sign_out_here(handler: Any, user_name: str) -> bool:
    """As `sign_out`, for the browser that sent this request alone; her other browsers connect again by themselves.
    Its cookie at the Hub is the caller's to clear or to replace."""
    session = handler.get_session_cookie()
    return True if session is None else await _end(handler.app, user_name, session)


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


async def sweep(app: Any) -> list[str]:
    """Signs out everybody who could no longer sign in: a link that was revoked at the command line, a card whose
    date has come, a workshop that is over by the clock. The Hub does this every minute; what was changed on its own
    pages ends at once. Returns the names."""
    gone = []
    for found in app.db.query(orm.User):
        account = current_people().find(found.name)
        if account is not None and account.is_room:
            continue
        if account is None or not app.authenticator.can_stay(found.name):
            if _tokens(app, found, None):
                gone.append(found.name)
        elif any(
            _made(token) < current_accounts().password_set_at(found.name)
            for token in _tokens(app, found, None)
        ):
            gone.append(found.name)
    for name in gone:
        await sign_out(app, name)
    return gone


async def _end(app: Any, user_name: str, session: str | None) -> bool:
    found = orm.User.find(app.db, name=user_name)
    if found is None:
        return True
    told = [_tell(app, spawner, user_name) for spawner in _end_at_the_hub(app, found, session)]
    return all(await asyncio.gather(*told))


def _end_at_the_hub(app: Any, found: Any, session: str | None) -> list[Any]:
    """Voids cookies and tokens (of one browser's session, or all); the running servers that they were for. Without a
    pause, so that nobody can come in between the two halves of it."""
    clients = set()
    for token in _tokens(app, found, session):
        clients.add(token.client_id)
        app.db.delete(token)
    for code in list(found.oauth_codes):
        if session in (None, code.session_id):
            app.db.delete(code)
    if session is None:
        found.cookie_id = orm.new_token()
    app.db.commit()
    # A token that was asked for by hand is the Hub's own client's, and good in every room of its owner.
    anywhere = "jupyterhub" in clients
    return [
        spawner
        for user in app.users.values()
        for spawner in user.spawners.values()
        if spawner.active and (user.name == found.name or anywhere or spawner.oauth_client_id in clients)
    ]


def _tokens(app: Any, found: Any, session: str | None) -> list[Any]:
    """Those of her tokens that a browser has or asked for: all but what her servers were started with."""
    own = [spawner.api_token for spawner in app.users[found].spawners.values() if spawner.api_token]
    kept = {token.id for token in (orm.APIToken.find(app.db, text) for text in own) if token}
    return [t for t in found.api_tokens if t.id not in kept and session in (None, t.session_id)]


def _made(token: Any) -> float:
    """Seconds since 1970; the Hub keeps times in UTC without saying so."""
    return float(token.created.replace(tzinfo=UTC).timestamp())


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
