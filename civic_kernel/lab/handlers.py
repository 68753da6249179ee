"""Addresses under `civic/` of a seat's or a room's server. Everyone who may open the server may use them.

GET  civic/restore             notebooks, or with ?path= the versions of one
GET  civic/restore/look        ?version= its cells as text
POST civic/restore             put one back; what was there is a version too, so it can be undone
GET  civic/buttons             what the buttons in JupyterLab say and where they lead
GET  civic/help                {"wanted": bool}: whether this seat asks for help; POST the same to raise or lower a hand
POST civic/data                {"data": "real" | "twin"}: what kernels that start from now on answer from
GET  civic/take-home           ?path= a ZIP: the notebook, and a page that opens without internet
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urlencode

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import JupyterHandler
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from civic_kernel.errors import CivicError
from civic_kernel.lab import pages
from civic_kernel.lab.history import Version
from civic_kernel.lab.keeping import Keeper
from civic_kernel.lab.place import Place
from civic_kernel.practice import choice_file
from civic_kernel.publish import screen
from civic_kernel.texts import LANGUAGES, Language, keys, text


class Handler(JupyterHandler):
    auth_resource = "contents"

    def initialize(self, keeper: Keeper, place: Place) -> None:
        self.keeper, self.place = keeper, place

    @cached_property
    def nonce(self) -> str:
        return secrets.token_urlsafe(16)  # asked for before `initialize`, for the headers

    @property
    def content_security_policy(self) -> str:
        return pages.policy(self.nonce)

    @property
    def language(self) -> Language:
        """What was chosen on the page, else the seat's."""
        chosen = self.get_argument("lang", "")
        return next((known for known in LANGUAGES if known == chosen), self.place.language)

    def show(self, name: str, here: dict[str, object], **facts: Any) -> None:
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        page = pages.render(
            name,
            self.language,
            nonce=self.nonce,
            home=self.place.home_page,
            base=self.base_url,
            here=urlencode(here) + "&" if here else "",
            **facts,
        )
        self.finish(page)

    def version_asked_for(self) -> Version:
        asked = self.get_argument("version", "")
        found = self.keeper.history.version(int(asked)) if asked.isascii() and asked.isdigit() else None
        if found is None:
            raise web.HTTPError(404)
        return found

    def _said(self, name: str, values: tuple[object, ...]) -> object:
        """The value of `name` in a JSON body, one of `values`."""
        try:
            said = json.loads(self.request.body)[name]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise web.HTTPError(400) from None
        if not any(said is value or (isinstance(said, str) and said == value) for value in values):
            raise web.HTTPError(400)
        return said

    def xsrf(self) -> str:
        return self.xsrf_token.decode("ascii")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """One sentence: the stock page would show the address with what was typed into it."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        key = "gone" if status_code == 404 else "refused" if status_code == 403 else "broken"
        self.finish(text(self.language, "lab", f"error.{key}"))


class RestoreHandler(Handler):
    @web.authenticated
    @authorized
    def get(self) -> None:
        path = self.get_argument("path", "")
        if path:
            self._versions(path)
        else:
            self._notebooks()

    def _notebooks(self) -> None:
        now = time.time()
        found = [
            {
                "path": version.path,
                "words": pages.ago(now - version.taken_at, self.language)
                or pages.day_in_words(version.taken_at, now, self.language),
            }
            for version in self.keeper.history.paths()
        ]
        self.show("notebooks", {}, notebooks=found, failed=self.keeper.failed)

    def _versions(self, path: str) -> None:
        self.keeper.look_at(path)
        versions = self.keeper.history.versions(path)
        if not versions:
            raise web.HTTPError(404)
        now = time.time()
        shown = versions if self.get_argument("all", "") else pages.few(versions)
        self.show(
            "versions",
            {"path": path},
            path=path,
            xsrf=self.xsrf(),
            days=pages.days(self.keeper.history, shown, now, self.language),
            more=len(versions) - len(shown),
            newest=versions[0].id if self.keeper.is_there(path) else 0,
            done=self._done(),
            failed=self.keeper.failed,
        )

    def _done(self) -> dict[str, object] | None:
        if not self.get_argument("done", ""):
            return None
        say = text(self.language, "lab", "restore.done")
        undo = self.get_argument("undo", "")
        return {"words": say, "undo": undo if undo.isascii() and undo.isdigit() else ""}

    @web.authenticated
    @authorized(action="write")
    async def post(self) -> None:
        """Written through the contents manager, as a save is: a room then sees the change at once."""
        version = self.version_asked_for()
        self.keeper.look_at(version.path)  # what is there now can be had back
        was = self.keeper.history.versions(version.path)[0] if self.keeper.is_there(version.path) else None
        try:
            content = json.loads(self.keeper.history.content(version))
        except (LookupError, ValueError):
            raise web.HTTPError(404) from None
        model = {"type": "notebook", "format": "json", "content": content}
        for folder in reversed(PurePosixPath(version.path).parents[:-1]):
            await self._make(folder.as_posix())
        await ensure_async(self.contents_manager.save(model, version.path))
        self.keeper.look_at(version.path)
        query = {"path": version.path, "done": "1", "undo": was.id if was else "", "lang": self.language}
        self.redirect(f"{self.base_url}civic/restore?{urlencode(query)}", status=303)

    async def _make(self, folder: str) -> None:
        if not await ensure_async(self.contents_manager.dir_exists(folder)):
            await ensure_async(self.contents_manager.save({"type": "directory"}, folder))


class LookHandler(Handler):
    @web.authenticated
    @authorized
    def get(self) -> None:
        version = self.version_asked_for()
        try:
            cells = pages.sources(self.keeper.history.content(version))
        except LookupError:
            raise web.HTTPError(404) from None
        self.show(
            "look",
            {"version": version.id},
            path=version.path,
            version=version.id,
            at=pages.moment(version.taken_at, self.language),
            day=pages.day_in_words(version.taken_at, time.time(), self.language),
            cells=cells,
            xsrf=self.xsrf(),
        )


#: Keys of the texts that the buttons need.
SPOKEN = ("button.", "switch.", "take_home.", "dialog.")


class ButtonsHandler(Handler):
    @web.authenticated
    @authorized
    def get(self) -> None:
        language = self.place.language
        words = {key: text(language, "lab", key) for key in keys(language, "lab") if key.startswith(SPOKEN)}
        self.finish(
            {
                "words": words,
                "home": self.place.home_page,
                "workshop": bool(self.place.workshop),
            }
        )


class HelpHandler(Handler):
    """Passed on to the Hub with this server's own token: a page of a seat has no right to call the Hub itself."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        await self._ask("GET", None)

    @web.authenticated
    @authorized(action="write")
    async def post(self) -> None:
        await self._ask("POST", json.dumps({"wanted": self._said("wanted", (True, False))}))

    async def _ask(self, method: str, body: str | None) -> None:
        request = HTTPRequest(
            f"{self.place.hub_api}/civic/help",
            method=method,
            body=body,
            headers={"Authorization": f"token {self.place.token.reveal()}"},
            request_timeout=10,
        )
        try:
            told = json.loads((await AsyncHTTPClient().fetch(request)).body)
            self.finish({"wanted": bool(told["wanted"])})
        except (HTTPClientError, OSError, ValueError, KeyError, TypeError):
            raise web.HTTPError(502) from None


class DataHandler(Handler):
    @web.authenticated
    @authorized(action="write")
    def post(self) -> None:
        file = choice_file()
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_text(str(self._said("data", ("real", "twin"))), "ascii")
        self.set_status(204)
        self.finish()


class TakeHomeHandler(Handler):
    @web.authenticated
    @authorized
    async def get(self) -> None:
        from civic_kernel.publish.unreviewed import make_bundle

        path = self.get_argument("path", "")
        model = await ensure_async(self.contents_manager.get(path, type="notebook", content=True))
        name = PurePosixPath(path).stem
        known = screen.Known(secrets=(self.place.token.reveal(),), paths=(str(self.keeper.root),))
        try:
            bundle = await asyncio.to_thread(make_bundle, model["content"], name, self.language, known)
        except CivicError as refusal:
            self.set_status(409)
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(str(refusal))
            return
        self.set_header("Content-Type", "application/zip")
        self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{quote(name, safe='')}.zip")
        self.set_header("Cache-Control", "no-store")
        self.finish(bundle)
