"""Copies changed memberships to the running Hub within a second, whoever made them: a page or the command line.

The command line is another process, with the database in common and no right in the Hub. So the Hub looks for new
rows in the table of changes, which each change writes in its own transaction. What was missed (a row of a transaction
that was open while a later one was seen) follows within a minute, when the authenticator copies a person's groups anew.
"""

from __future__ import annotations

import asyncio
from typing import Any

from jupyterhub import orm
from tornado.ioloop import PeriodicCallback

from hub_config.runtime import current_people, current_teams
from hub_config.signing_in import sessions

#: How long a change stays unseen at most. The question is one look at the end of a primary key.
EVERY_MS = 1000


class Membership:
    """Made before JupyterHub copies all groups at its start: what changes meanwhile is then copied twice, not
    never."""

    def __init__(self, app: Any) -> None:
        self._app = app
        newest = current_teams().changes(newest=1)
        self._seen = newest[0].id if newest else 0
        self._leaving: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        PeriodicCallback(self.follow, EVERY_MS).start()

    def follow(self) -> None:
        """Copies what changed since the last time. A page calls it after its own change, and need not wait."""
        for change in current_teams().changes(after=self._seen):
            self._seen = change.id
            if change.what == "made":
                for room in current_teams().find(change.team).rooms:
                    self._copy(room)
            elif change.what in ("member", "observer", "removed"):
                self._copy(change.subject)
            if change.what in ("observer", "removed"):
                for room in current_teams().find(change.team).rooms:
                    leaving = asyncio.ensure_future(sessions.leave(self._app, room, change.subject))
                    self._leaving.add(leaving)
                    leaving.add_done_callback(self._leaving.discard)

    def _copy(self, name: str) -> None:
        account, user = current_people().find(name), orm.User.find(self._app.db, name)
        if (
            account is not None and user is not None
        ):  # else she has not signed in, and gets them when she does
            self._app.users[user].sync_groups(account.groups)
