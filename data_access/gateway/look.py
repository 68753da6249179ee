"""How the gateway's pages look, and what a browser may do with them."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from data_access.clock import SEOUL
from data_access.texts import Language, templates_root, text

_DECLARED = re.compile(r"(--krds-[\w-]+)\s*:\s*([^;]+);")
_NAMED = re.compile(r"var\((--krds-[\w-]+)\)")


@cache
def stylesheet() -> str:
    """The Hub pages' styles and our own, in front of them the KRDS tokens that they use. Inlined: no second request."""
    tokens = Path(sys.prefix) / "share" / "civic" / "vendor" / "krds_tokens.css"
    known = dict(_DECLARED.findall(tokens.read_text("utf-8")))
    root = templates_root()
    css = "".join(
        (root / place).read_text("utf-8") for place in ("workspace/workspace.css", "gateway/gateway.css")
    )
    used: dict[str, str] = {}
    waiting = _NAMED.findall(css)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used[name] = known[name]
            waiting += _NAMED.findall(known[name])
    return ":root{" + "".join(f"{name}:{value};" for name, value in sorted(used.items())) + "}\n" + css


@cache
def headers() -> dict[str, str]:
    """No script at all, no style but ours, nothing fetched, nothing kept, and no window of another page that holds on
    to this one: a seat's page has the same origin, and a notebook in it may be anybody's.
    """
    digest = base64.b64encode(hashlib.sha256(stylesheet().encode("utf-8")).digest()).decode("ascii")
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


@cache
def environment() -> Environment:
    """Everything that is put into a page is escaped; a name that nobody gave is a fault and not an empty place."""
    made = Environment(
        loader=FileSystemLoader(templates_root() / "gateway"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["per_cent"] = per_cent
    made.filters["moment"] = moment
    return made


def render(template: str, language: Language, **facts: object) -> str:
    """`template` in `language`; in it `t(key, …)` is a sentence of gateway.po."""
    say: Callable[..., str] = partial(text, language, "gateway")
    page = environment().get_template(template)
    return page.render(t=say, language=language, stylesheet=stylesheet(), **facts)


def per_cent(part: int | str | Decimal, whole: int = 1) -> str:
    """`12.5 %`; what is there and would round to nothing is `< 0.1 %`."""
    if whole <= 0:
        return "–"
    share = Decimal(part) * 100 / whole
    return "< 0.1 %" if 0 < share < Decimal("0.1") else f"{share:.1f} %"


def moment(written: str) -> str:
    """`2026-11-23 13:05`, in Seoul, from the one written form of a moment."""
    return datetime.fromisoformat(written).astimezone(SEOUL).strftime("%Y-%m-%d %H:%M")
