"""What every page of the Hub has in common: the reader's language, the workspace's texts, look and warnings.

JupyterHub has no translation and passes a template no request, so the page handlers themselves are given the
language: each is mixed with `PageMixin` when the Hub builds its table of addresses (hub_config.hub).
"""

from __future__ import annotations

import re
import time
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tornado import web

from hub_config.people import Account
from hub_config.roles import GATEWAY
from hub_config.runtime import current_people, current_settings
from hub_config.settings import PREFIX
from hub_config.texts import (
    Language,
    catalog,
    known_language,
    preferred_language,
    shared_folder,
    text,
)
from hub_config.watcher import last_ended

COOKIE = "civic_lang"
SEOUL = ZoneInfo("Asia/Seoul")
#: Seconds for which the pages tell a person that a program of hers was ended.
TELL_S = 24 * 3600
_PROPERTY = re.compile(r"(--krds-[\w-]+)\s*:\s*([^;]+);")
_USE = re.compile(r"var\((--krds-[\w-]+)\)")


@cache
def make_stylesheet(tokens: Path | None = None) -> str:
    """workspace.css with those KRDS design tokens that it uses, resolved through their references.

    Inlined into each page: no second request, and none of the thousand tokens that nothing here uses."""
    file = tokens or PREFIX / "share" / "civic" / "vendor" / "krds_tokens.css"
    known = dict(_PROPERTY.findall(file.read_text("utf-8")))
    css = (shared_folder("templates") / "workspace" / "workspace.css").read_text("utf-8")
    used: dict[str, str] = {}
    waiting = _USE.findall(css)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used[name] = known[
                name
            ]  # KeyError: a token that KRDS no longer has; a fault of ours, seen at once
            waiting += _USE.findall(known[name])
    return ":root{" + "".join(f"{name}:{value};" for name, value in sorted(used.items())) + "}\n" + css


def notices(account: Account, language: Language, now: float) -> list[str]:
    """What the limits did to this person in the last day, one sentence each."""
    settings = current_settings()
    at = last_ended(settings, account.uid if settings.is_root else 0)
    if at is None or now - at > TELL_S:
        return []
    when = datetime.fromtimestamp(at, SEOUL)
    return [text(language, "limits.ended", time=f"{when:%H:%M}", megabytes=settings.seat_memory)]


class PageMixin:
    """Mixed in front of a JupyterHub page handler.

    A seat's page has the same origin as the Hub's, and a notebook in it may be anybody's. JupyterHub lets it fetch any
    page of the Hub with its reader's cookie, and take from it the number with which forms are sent: a script in a
    notebook could then do at the Hub whatever she may. So a page is given to a browser that opens it as a page and to
    one that knows the number already (Fetch Metadata), and in a group of windows of its own, where none reads it."""

    #: JupyterHub's own check, for these methods as well.
    _xsrf_safe_methods: frozenset[str] = frozenset()

    def check_xsrf_cookie(self) -> None:
        handler: Any = self
        # JupyterHub lets these through, since another origin could not read the answer; a seat's page could.
        if handler.request.headers.get("Sec-Fetch-Mode") == "no-cors":
            raise web.HTTPError(403)
        super().check_xsrf_cookie()  # type: ignore[misc]

    def set_default_headers(self) -> None:
        super().set_default_headers()  # type: ignore[misc]
        handler: Any = self
        handler.set_header("Cross-Origin-Opener-Policy", "same-origin")

    @property
    def language(self) -> Language:
        """What the reader chose on a page, else her own setting, else her browser's."""
        handler: Any = self
        chosen = known_language(handler.get_query_argument("lang", None))
        chosen = chosen or known_language(handler.get_cookie(COOKIE))
        if chosen is None and getattr(handler, "_jupyterhub_user", None):
            account = current_people().find(handler.current_user.name)
            chosen = account.language if account else None
        return chosen or preferred_language(handler.request.headers.get("Accept-Language"))

    @property
    def template_namespace(self) -> dict[str, Any]:
        handler: Any = self
        language = self.language
        if known_language(handler.get_query_argument("lang", None)):
            handler.set_cookie(COOKIE, language, path="/hub/", samesite="Lax", httponly=True)
        namespace: dict[str, Any] = super().template_namespace  # type: ignore[misc]
        account = current_people().find(handler.current_user.name) if handler.current_user else None
        namespace.update(
            language=language,
            t=partial(text, language),
            has_text=lambda key: key in catalog(language),
            stylesheet=make_stylesheet(),
            isolated=current_settings().isolated,
            account=account,
            notices=notices(account, language, time.time()) if account else [],
            home_quota=current_settings().home_quota,
            rooms=current_people().rooms(account.teams) if account and not account.is_room else [],
            # Only pages that were fetched can be fetched again in the other language.
            language_link=handler.request.path if handler.request.method == "GET" else None,
            site_url=current_settings().site_url,
            # The gateway's pages, which know the reader as the Hub does and are told her language.
            pages_url=f"{handler.settings['base_url']}services/{GATEWAY}/",
        )
        return namespace


def with_pages(entry: tuple[Any, ...]) -> tuple[Any, ...]:
    """An entry of Tornado's table, its handler given `PageMixin` if it renders pages."""
    from jupyterhub.apihandlers import APIHandler
    from jupyterhub.handlers import BaseHandler

    pattern, handler, *rest = entry
    if not issubclass(handler, BaseHandler) or issubclass(handler, APIHandler):
        return entry
    return (pattern, type(handler.__name__, (PageMixin, handler), {}), *rest)
