"""Servers of workshops that are over are stopped, whoever ended it: the facilitator, the command line or the clock."""

from __future__ import annotations

import asyncio
from typing import Any

from tornado.ioloop import PeriodicCallback

from hub_config.roles import is_seat
from hub_config.runtime import current_workshops
from hub_config.signing_in.sessions import sign_out

EVERY_MS = 20_000


class Closing:
    """`start()` looks now and then; `now()` at once. A server that is on its way up or down is taken next time."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._task: asyncio.Task[None] | None = None
        self._asked = False

    def start(self) -> None:
        PeriodicCallback(self.now, EVERY_MS).start()

    def now(self) -> None:
        # Whoever asks while servers are being stopped is heard afterwards, not at the next round.
        self._asked = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def _work(self) -> None:
        while self._asked:
            self._asked = False
            await self._close()

    async def _close(self) -> None:
        # Of the few that run: the table of those that are over only grows.
        running = [user for user in self._app.users.values() if is_seat(user.name) and user.spawner.ready]
        over = set(current_workshops().over()) if running else set()
        for user in running:
            if user.name not in over:
                continue
            try:
                await sign_out(self._app, user.name)
                await user.stop()
                await self._app.proxy.delete_user(user)
            except Exception:
                # One server that cannot be stopped must not keep the others; it is tried again.
                self._app.log.exception("the server of %s could not be stopped", user.name)
