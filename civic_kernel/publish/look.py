"""The look of a page: KRDS tokens, our styles and scripts as inline text, and the policy that names them."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from civic_kernel.errors import VendorMissing
from civic_kernel.settings import read_settings
from civic_kernel.texts import templates_root

_DECLARED = re.compile(r"(--krds-[\w-]+)\s*:\s*([^;]+);")
_NAMED = re.compile(r"var\((--krds-[\w-]+)\)")


@cache
def vendor_root() -> Path:
    """Where set-up puts what comes from npm."""
    return Path(sys.prefix) / "share" / "civic" / "vendor"


def _vendor(name: str) -> str:
    try:
        return (vendor_root() / name).read_text(encoding="utf-8")
    except OSError:
        raise VendorMissing.say(read_settings().language, file=name) from None


@cache
def vendor_texts() -> tuple[str, ...]:
    """Leaflet's script and styles, as `civic_kernel.maps` puts them into a map; known, so not searched."""
    texts = set()
    for name in ("leaflet.js", "leaflet.css"):
        whole = _vendor(name)
        texts.add(whole.strip())
        trimmed = re.sub(r"url\(\s*[\"']?images/[^)]*\)", "none", whole)
        texts.add(re.sub(r"//# sourceMappingURL=\S+", "", trimmed).strip())
    return tuple(sorted(texts, key=len, reverse=True))


def krds(names: Iterable[str]) -> str:
    """A `:root` rule with the KRDS values of `names` and what those refer to; the whole set is 50 kB."""
    known = dict(_DECLARED.findall(_vendor("krds_tokens.css")))
    wanted: dict[str, str] = {}
    waiting = sorted(set(names))
    while waiting:
        name = waiting.pop(0)
        if name not in wanted:
            wanted[name] = known[name].strip()  # KeyError: a token that KRDS does not have; a build fault
            waiting += _NAMED.findall(wanted[name])
    return ":root{" + "".join(f"{name}:{wanted[name]};" for name in sorted(wanted)) + "}"


@cache
def styles() -> str:
    """All of a page's CSS."""
    root = templates_root()
    ours = (root / "tokens.css").read_text("utf-8") + (root / "citizen" / "page.css").read_text("utf-8")
    ours = re.sub(r"/\*.*?\*/", "", ours, flags=re.DOTALL)
    ours = re.sub(r"\s*([{};,])\s*", r"\1", re.sub(r"\s+", " ", ours)).strip()
    return krds(_NAMED.findall(ours)) + ours


@cache
def script() -> str:
    """All of a page's own script."""
    return (templates_root() / "citizen" / "page.js").read_text("utf-8")


def content_policy(scripts: Iterable[str], also: Iterable[str] = ()) -> str:
    """A policy under which nothing can be fetched, and only these very scripts run; and those from `also`, sources
    as a policy names them, for pages of the site's own that have a script file beside them.

    A frame made with `srcdoc` inherits it, so the scripts of the page's maps are among `scripts`. Hashes, not
    `'unsafe-inline'`: a script that somehow got past the screen would stay text. Styles are inline for a
    reason: drawings carry style attributes, and without a way to fetch, CSS can tell nobody anything.
    """
    hashes = [*sorted({f"'sha256-{_digest(text)}'" for text in scripts}), *also]
    return (
        f"default-src 'none'; script-src {' '.join(hashes) or chr(39) + 'none' + chr(39)}; "
        "style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    # A parser sees \n for every kind of line end, so the hash is over that.
    spelled = text.replace("\r\n", "\n").replace("\r", "\n")
    return base64.b64encode(hashlib.sha256(spelled.encode("utf-8")).digest()).decode("ascii")


def inline_scripts(document: str) -> list[str]:
    """The texts of the scripts in an HTML document that a browser would run."""
    return re.findall(r"<script\b[^>]*>(.*?)</script\s*>", document, re.DOTALL | re.IGNORECASE)
