"""The start page of a person: her seat, her notebooks, her team's rooms, and the ways that need no notebook."""

from __future__ import annotations

from jupyterhub.handlers import BaseHandler
from jupyterhub.utils import url_path_join
from tornado import web

from hub_config.pages.notebooks import recent_notebooks
from hub_config.runtime import current_people, current_settings


class HomePage(BaseHandler):  # type: ignore[misc]
    """`/home`. A part of another module is a template of its own that home.html includes."""

    @web.authenticated
    async def get(self) -> None:
        user = self.current_user
        if user.running:
            await user.spawner.poll_and_notify()  # one that died since is not shown as open
        account = current_people().find(user.name)
        self.finish(
            await self.render_template(
                "home.html",
                user=user,
                default_server=user.spawner,
                url=url_path_join(self.hub.base_url, "spawn", user.escaped_name),
                own_url=url_path_join(self.base_url, "user", user.escaped_name),
                notebooks=recent_notebooks(current_settings(), account) if account else [],
            )
        )


class AbsentPage(BaseHandler):  # type: ignore[misc]
    """What JupyterHub has and this workspace has not: tokens made by hand, sharing by code, an administrator's table.

    Each would be a second way to a right whose one home is the workspace's tables. The same answer to everyone: no
    page for anonymous readers tells which addresses there would be."""

    async def get(self) -> None:
        self.set_status(404)
        self.finish(await self.render_template("absent.html"))

    post = get
