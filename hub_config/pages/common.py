"""What every page of the Hub has in common: the reader's language, the workspace's texts, look and warnings, and what
a browser may do with it.

JupyterHub has no translation and passes a template no request, so the page handlers themselves are given the
language: each is mixed with `PageMixin` when the Hub builds its table of addresses (hub_config.hub).
"""

from __future__ import annotations

import re
import secrets
import time
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from jinja2.ext import Extension
from tornado import web

from hub_config.limits.watcher import last_ended
from hub_config.members.people import Account
from hub_config.roles import GATEWAY
from hub_config.runtime import current_people, current_settings, current_workshops
from hub_config.settings import PREFIX
from hub_config.texts import (
    Language,
    catalog,
    known_language,
    preferred_language,
    shared_folder,
    text,
)

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


class WithNonce(Extension):
    """Gives each `<script>` and `<style>` that stands in a template's source the page's nonce.

    In the source and not in what is sent: a tag that came in with a value gets none and is not run. Written by hand in
    each template, the first one that lacked it would stand still without a word."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return re.sub(r"<(script|style)(?=[\s>])", r'<\1 nonce="{{ nonce }}"', source)


class PageMixin:
    """Mixed in front of a JupyterHub page handler.

    A seat's page has the same origin as the Hub's, and a notebook in it may be anybody's. JupyterHub lets it fetch any
    page of the Hub with its reader's cookie, and take from it the number with which forms are sent: a script in a
    notebook could then do at the Hub whatever she may. So a page is given to a browser that opens it as a page and to
    one that knows the number already (Fetch Metadata, which browsers send on https and to this machine only), and in
    a group of windows of its own, where none reads it."""

    @property
    def nonce(self) -> str:
        """One for each request; an error page that replaces a half-made page keeps it."""
        if not hasattr(self, "_nonce"):
            self._nonce = secrets.token_urlsafe(16)
        return self._nonce

    @property
    def content_security_policy(self) -> str:
        """Runs and fetches nothing but what the page's own template holds or asks of this address. A handler may have
        another one, `own_policy`, with `{nonce}` for the page's."""
        own = getattr(self, "own_policy", None)
        if own is not None:
            return str(own).format(nonce=self.nonce)
        return "; ".join(
            (
                "default-src 'none'",
                f"script-src 'nonce-{self.nonce}'",
                f"style-src 'nonce-{self.nonce}'",
                "img-src 'self' data:",
                "connect-src 'self'",
                "form-action 'self'",
                "base-uri 'none'",
                "frame-ancestors 'none'",
            )
        )

    def set_default_headers(self) -> None:
        super().set_default_headers()  # type: ignore[misc]
        handler: Any = self
        handler.set_header("Cross-Origin-Opener-Policy", "same-origin")
        handler.set_header("Cross-Origin-Resource-Policy", "same-origin")
        handler.set_header("X-Content-Type-Options", "nosniff")
        handler.set_header("Referrer-Policy", "same-origin")
        handler.set_header("Cache-Control", "no-store")  # the next person at this laptop may press Back

    def render_template(self, name: str, sync: bool = False, **facts: Any) -> Any:
        """JupyterHub's, but for a script that fetches. Error pages (`sync`) hold no number and go to everyone.

        Not at the door of every address: what the Hub answers there to machines must reach them, such as the 424 by
        which an open JupyterLab notices that its server was closed."""
        handler: Any = self
        mode = handler.request.headers.get("Sec-Fetch-Mode", "navigate")
        if mode != "navigate" and not sync:
            if (
                mode == "no-cors"
            ):  # JupyterHub's check lets it through: another origin could not read the answer
                raise web.HTTPError(403)
            handler.check_xsrf_cookie()
        return super().render_template(name, sync=sync, **facts)  # type: ignore[misc]

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
            nonce=self.nonce,
            stylesheet=make_stylesheet(),
            isolated=current_settings().isolated,
            account=account,
            notices=notices(account, language, time.time()) if account else [],
            home_quota=current_settings().home_quota,
            rooms=current_people().rooms(account.teams) if account and not account.is_room else [],
            watched=current_people().rooms(account.watches) if account else [],
            language_link=self._language_link("en" if language == "ko" else "ko"),
            known_workshops=current_workshops(),
            site_url=current_settings().site_url,
            # The gateway's pages, which know the reader as the Hub does and are told her language.
            pages_url=f"{handler.settings['base_url']}services/{GATEWAY}/",
        )
        return namespace

    def _language_link(self, other: Language) -> str | None:
        """This page in the other language, with what else its address says: where to go after signing in would be
        lost with it. Only pages that were fetched can be fetched again."""
        request = self.request  # type: ignore[attr-defined]
        if request.method != "GET":
            return None
        rest = [pair for pair in parse_qsl(request.query, keep_blank_values=True) if pair[0] != "lang"]
        return f"{request.path}?{urlencode([*rest, ('lang', other)])}"


def with_pages(entry: tuple[Any, ...]) -> tuple[Any, ...]:
    """An entry of Tornado's table, its handler given `PageMixin` if it renders pages."""
    from jupyterhub.apihandlers import APIHandler
    from jupyterhub.handlers import BaseHandler

    pattern, handler, *rest = entry
    if not issubclass(handler, BaseHandler) or issubclass(handler, APIHandler):
        return entry
    return (pattern, type(handler.__name__, (PageMixin, handler), {}), *rest)
