"""/hub/limits: what a seat may use, who sees to it on this machine, what the home holds, and making room in it."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from tornado import web

from hub_config.home import home_folder
from hub_config.limits import space
from hub_config.limits.watcher import Holder, holder
from hub_config.members.people import Account
from hub_config.runtime import current_people, current_settings
from hub_config.starting.processes import MAX_PROCESSES

#: No script, no frame, nothing from elsewhere; forms go only to the Hub.
POLICY = (
    "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


@cache
def _holder() -> Holder:
    """Found once: finding it makes the group anew."""
    return holder(current_settings())


class LimitsHandler(BaseHandler):  # type: ignore[misc]
    """GET shows; POST `file` (several) deletes these files of one's own home."""

    own_policy = POLICY

    def _account(self) -> Account:
        account = current_people().find(self.current_user.name)
        if account is None or account.is_room:
            raise web.HTTPError(403)
        return account

    @web.authenticated
    async def get(self) -> None:
        account, settings = self._account(), current_settings()
        home = home_folder(settings, account.name, is_room=False)
        held = await asyncio.to_thread(space.measure, settings, home, account.uid)
        most = settings.home_quota * space.MEGABYTE
        page: Any = await self.render_template(
            "limits.html",
            limits=settings,
            processes=MAX_PROCESSES,
            holder=_holder().value,
            holder_key=f"limits.holder.{_holder().value}",
            held=held and _megabytes(held.bytes),
            is_full=bool(most) and (held is None or held.bytes > most),
            files=[(path, _megabytes(size)) for path, size in held.largest] if held else [],
        )
        self.finish(page)

    @web.authenticated
    async def post(self) -> None:
        account, settings = self._account(), current_settings()
        home = home_folder(settings, account.name, is_room=False)
        chosen = self.get_body_arguments("file", strip=False)
        await asyncio.to_thread(space.delete, settings, home, account.uid, chosen)
        self.redirect(f"{self.hub.base_url}limits")


def _megabytes(count: int) -> str:
    return f"{count / space.MEGABYTE:,.1f}"
