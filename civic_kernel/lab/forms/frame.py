"""What the addresses of the forms share: who asks, in which language, and how a refusal is shown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

import jinja2

from civic_kernel.calling import open_http
from civic_kernel.client import Client
from civic_kernel.errors import CivicError
from civic_kernel.lab.handlers import Handler
from civic_kernel.publish.look import krds
from civic_kernel.settings import Settings, read_settings
from civic_kernel.texts import Language, keys, templates_root, text

if TYPE_CHECKING:
    import httpx

Result = TypeVar("Result")
_NAMED = re.compile(r"var\((--krds-[\w-]+)\)")
#: Seconds for which a page tries again before it says so; a person presses the button sooner.
RETRY_SECONDS = 3.0


def policy(nonce: str) -> str:
    """Content-Security-Policy of these pages: our own script and forms, and what the script fetches from here. Styles
    stand in drawings as well, and can tell nobody anything where nothing is fetched from elsewhere.
    """
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


@cache
def stylesheet() -> str:
    root = templates_root()
    css = "".join((root / p).read_text("utf-8") for p in ("workspace/workspace.css", "forms/forms.css"))
    return krds(_NAMED.findall(css)) + css


@cache
def script() -> str:
    return (templates_root() / "forms" / "forms.js").read_text("utf-8")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates_root() / "forms"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


@cache
def _shared_http(base_url: str) -> httpx.Client:
    """One for the whole server: a new one for each look at a price would read the system's certificates again."""
    return open_http(base_url)


class FormHandler(Handler):
    """`show` renders a template of `templates/forms`; a refusal of a service is shown in its own words."""

    @property
    def content_security_policy(self) -> str:
        return policy(self.nonce)

    @cached_property
    def settings_here(self) -> Settings:
        return read_settings()

    def fields(self) -> dict[str, list[str]]:
        """What the address or the form has, without what belongs to the page itself."""
        own = ("_xsrf", "lang", "part")
        return {name: self.get_arguments(name) for name in self.request.arguments if name not in own}

    def one(self, name: str, otherwise: str = "") -> str:
        return str(self.get_argument(name, otherwise))

    def client(self) -> Client:
        """Asks as this server: its own token, which may ask and nothing more."""
        settings = self.settings_here
        if not settings.gateway_url or not settings.token:
            return Client(
                settings.gateway_url, settings.token, language=self.language
            )  # which says what is missing
        return Client(
            settings.gateway_url,
            settings.token,
            settings.team,
            settings.purpose,
            self.language,
            http=_shared_http(settings.gateway_url),
            retry_seconds=RETRY_SECONDS,
            wait_seconds=0.0,
        )

    def http_of(self, base_url: str) -> httpx.Client:
        return _shared_http(base_url)

    async def aside(self, act: Callable[..., Result], *given: Any, **named: Any) -> Result:
        """`act` in a thread: a service may take a minute, and this server has one loop for all that its owner does."""
        return await asyncio.to_thread(act, *given, **named)

    def purpose_words(self, purpose: str) -> str:
        """A purpose as people say it; a policy may have one that we know no words for."""
        key = f"purpose.{purpose}"
        return text(self.language, "forms", key) if key in keys(self.language, "forms") else purpose

    def show(self, name: str, here: Any = (), **facts: Any) -> None:
        """The page `name`; `here` are the fields that the link to the other language keeps."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        kept = urlencode(list(here))
        page = (
            _environment()
            .get_template(f"{name}.html.j2")
            .render(
                language=self.language,
                t=partial(text, self.language, "forms"),
                css=stylesheet(),
                script=script(),
                nonce=self.nonce,
                home=self.place.home_page,
                base=self.base_url,
                here=kept + "&" if kept else "",
                xsrf=self.xsrf(),
                purpose_words=self.purpose_words,
                **facts,
            )
        )
        self.finish(page)

    def show_refusal(self, refusal: CivicError, back: str, **facts: Any) -> None:
        self.set_status(409)
        self.show("refused", refusal=refusal_words(refusal, self.language), back=back, **facts)

    def go(self, address: str, fields: list[tuple[str, str]]) -> None:
        """After a POST: the page that shows what came of it, so that reloading repeats nothing."""
        query = urlencode([*fields, ("lang", self.language)])
        self.redirect(f"{self.base_url}civic/{address}?{query}", status=303)


def refusal_words(refusal: CivicError, language: Language) -> dict[str, str]:
    """Message and remedy. What a form's reader can do differs from what a notebook's can, for a few codes."""
    ours = f"remedy.{refusal.code}"
    remedy = text(language, "forms", ours) if ours in keys(language, "forms") else refusal.remedy
    return {"message": refusal.message or refusal.code, "remedy": remedy}
