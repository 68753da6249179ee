"""/hub/watch/<room>: a room's notebooks to look at, for its observers and its members. There is no way to write.

Three answers: the page around it, which runs a small script; in its frame the notebook, which runs none and has
an origin of its own (`sandbox`), so that even a mistake in the cleaning finds nothing to take; and its version, by
which the script knows when to show it anew. Who looks at a room never touches its server, and hence no document that
its members have open: an observer has no right there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from hub_config.members.people import Account, Room
from hub_config.pages.teams import SEOUL
from hub_config.rooms.watching import View
from hub_config.runtime import current_people, current_teams, current_watching

FRAMED = (
    "sandbox; default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
AROUND = (
    "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; img-src data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class _Watcher(BaseHandler):  # type: ignore[misc]
    def _room(self, name: str) -> tuple[Room, Account]:
        """A room that the reader may look at. Another one and none at all are the same 404: who is in which team is
        not everybody's to find out."""
        room, reader = current_teams().room(name), current_people().find(self.current_user.name)
        if room is None or reader is None or room.team not in (*reader.teams, *reader.watches):
            raise web.HTTPError(404)
        return room, current_people().account(name)

    async def _view(self, name: str) -> tuple[Room, View]:
        room, account = self._room(name)
        path = self.get_query_argument("path", "")
        if len(path) > 1000 or "\x00" in path:
            raise web.HTTPError(404)
        return room, await current_watching().look(account, path)

    async def _show(self, template: str, **facts: object) -> None:
        html: Any = await self.render_template(template, **facts)
        self.finish(html)


class WatchHandler(_Watcher):
    own_policy = AROUND

    @web.authenticated
    async def get(self, name: str) -> None:
        room, view = await self._view(name)
        reader = current_people().account(self.current_user.name)
        team = current_teams().find(room.team)
        await self._show(
            "watch.html",
            room=room,
            view=view,
            team=team,
            is_member=room.team in reader.teams,
            moment=_moment,
        )


class FrameHandler(_Watcher):
    own_policy = FRAMED

    @web.authenticated
    async def get(self, name: str) -> None:
        room, view = await self._view(name)
        await self._show("watched.html", room=room, view=view)


class VersionHandler(_Watcher):
    """`version`, `path` and, from 0, the `changed` cell or null."""

    @web.authenticated
    async def get(self, name: str) -> None:
        self.check_xsrf_cookie()  # not for a seat's script; the pages have this in PageMixin
        _, view = await self._view(name)
        self.finish({"version": view.version, "path": view.path, "changed": view.changed})


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, SEOUL):%Y-%m-%d %H:%M}"
