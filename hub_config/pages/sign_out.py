"""Signing out: of this browser (`GET /hub/logout`, the link in every page's head), or of all of them."""

from __future__ import annotations

from http import HTTPStatus

from jupyterhub.handlers.login import LogoutHandler
from tornado import web

from hub_config.runtime import current_cards
from hub_config.signing_in import sessions
from hub_config.signing_in.browser import read_browser


class SignOutHandler(LogoutHandler):  # type: ignore[misc]
    """POST ends every browser's session, for a person who left one open somewhere. Servers go on."""

    async def get(self) -> None:
        # A picture in somebody's notebook may have this address.
        if self.request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
            raise web.HTTPError(HTTPStatus.FORBIDDEN)
        await super().get()

    async def handle_logout(self) -> None:
        """A participant who signs out herself may go on at another laptop without asking anybody."""
        user = self.current_user
        browser = read_browser(self)
        if user and browser:
            current_cards().leave(user.name, browser)

    async def default_handle_logout(self) -> None:
        """What is open in JupyterLab in this browser ends too."""
        if self.current_user:
            await sessions.sign_out_here(self, self.current_user.name)
        await super().default_handle_logout()

    async def render_logout_page(self) -> None:
        self.finish(await self.render_template("logout.html", everywhere=self.request.method == "POST"))

    @web.authenticated
    async def post(self) -> None:
        name = self.current_user.name
        current_cards().forget_browsers(name)
        await sessions.sign_out(self, name)
        await self.get()
