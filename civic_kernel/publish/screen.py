"""What may leave a run. Refuses, never mends: a page from which something was cut would look clean.

Three sieves, each blind to what the others catch:
1. `check_notebook`: kinds of output. Only blocks and answers reach a page; an error, a widget or a script
   anywhere in the notebook means that the run was not what its author thinks, so nothing is published.
2. `check_text`: secrets and traces of a machine or a person, in everything that will be a file.
3. `check_markup`: what drawings may contain. SVG by an allow-list; a map's document by naming every way out
   of it. The page's policy (`default-src 'none'`) holds as well: two walls, since parsers differ.
"""

from __future__ import annotations

import base64
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

from civic_kernel.errors import ScreenRefused
from civic_kernel.publish.blocks import ANSWER_MIME, BLOCK_MIME, TOLD_MIME
from civic_kernel.texts import LANGUAGES, Language, text


@dataclass(frozen=True)
class Known:
    """What this run knows and a page must not.

    `secrets`: tokens. `paths`: folders of the run. `people`: user names of the asker and of this machine.
    `public`: hashes that are meant to be published and would otherwise look like tokens.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)
    paths: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    public: frozenset[str] = frozenset()

    def with_public(self, hashes: Iterable[str]) -> Known:
        return Known(self.secrets, self.paths, self.people, self.public | frozenset(hashes))


_KINDS = frozenset({BLOCK_MIME, ANSWER_MIME, TOLD_MIME, "text/plain", "text/html", "text/markdown"})


@dataclass(frozen=True)
class _Sieve:
    """`pattern` can only match where one of `needles` stands (as `_fold` writes it), which is found ten times as fast:
    a page has half a million characters that are looked at twice. None: the pattern is fast by itself."""

    reason: str
    pattern: re.Pattern[str]
    needles: tuple[str, ...] | None
    #: Whether it looks in the folded words, where case is not to be ignored any more.
    folded: bool

    def finds(self, words: str, folded: str) -> bool:
        if self.needles is not None and not any(needle in folded for needle in self.needles):
            return False
        return self.pattern.search(folded if self.folded else words) is not None


def _sieve(reason: str, pattern: str, *needles: str, folded: bool = False) -> _Sieve:
    return _Sieve(reason, re.compile(pattern, re.MULTILINE), needles or None, folded)


#: A run of 32 and more. Greedy and from the left, so a match is the whole run.
_HEX = re.compile(r"[0-9a-fA-F]{32,}")
#: Whether there is one at all is asked of bytes, in which each such character is an x and every other a blank: eight
#: times as fast as the pattern, which begins anew at every digit of a map.
_HEX_BYTES = bytes(ord("x") if byte in b"0123456789abcdefABCDEF" else ord(" ") for byte in range(256))
_KEYS = ("ghp", "gho", "ghs", "glpat", "xoxa", "xoxb", "xoxp", "sk", "pypi")
_WORDS_FOR_SECRETS = (
    "authorization",
    "apikey",
    "api_key",
    "api-key",
    "password",
    "passwd",
    "secret",
    "token",
)
#: Behind such a word: that something is its value.
_GIVEN = r"\b[\"']?\s*[:=]\s*[\"']?(?:token |bearer )?[a-z0-9+/_.-]{12,}"
_FOLDERS = "bin|boot|data|dev|etc|home|lib|media|mnt|opt|proc|root|run|srv|sys|tmp|usr|var|work|Users|Volumes|private"
_SIEVES = (
    _sieve("token", r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}"),  # a signed web token
    _sieve("token", r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    _sieve(
        "token",
        rf"\b(?:{'|'.join(_KEYS)})[-_][A-Za-z0-9_-]{{16,}}",
        *(f"{key}{joint}" for key in _KEYS for joint in "-_"),
    ),
    _sieve("token", r"AKIA(?<!\wAKIA)[0-9A-Z]{16}\b"),
    *(_sieve("token", rf"{word}(?<!\w{word}){_GIVEN}", folded=True) for word in _WORDS_FOR_SECRETS),
    _sieve("token", r"(?i:\bbearer\s+[A-Za-z0-9+/_.=-]{12,})", "bearer"),
    _sieve("traceback", r"Traceback \(most recent call last\)"),
    _sieve("traceback", r"\bFile \"[^\"\n]+\", line \d+", 'file "'),
    _sieve("traceback", r"^Cell In\s?\[\d+\]", "cell in"),
    _sieve("traceback", r"\bgateway_url\b", "gateway_url"),
    _sieve("traceback", r"<ipython-input"),
    _sieve(
        "path",
        rf"/(?<![\w.:/<-]/)(?:{_FOLDERS})/[\w.~+-]+",
        *(f"/{folder.casefold()}/" for folder in _FOLDERS.split("|")),
    ),
    _sieve("path", r"~(?<![\w/]~)(?:[a-z_][\w-]*/|/[\w.])"),
    _sieve("path", r"\b[A-Za-z]:\\+[\w.~-]+", ":\\"),
    _sieve("path", r"\bfile:/{2,}", "file://"),
    # What it begins with before the look behind it: a search for plain characters goes quickly past the coordinates of
    # a map, half of which begin with 127.
    _sieve("address", r"127(?<!\w127)(?:\.\d{1,3}){3}:\d{2,5}\b"),
    _sieve("address", r"10(?<!\w10)(?:\.\d{1,3}){3}:\d{2,5}\b"),
    _sieve("address", r"192\.168(?<!\w192\.168)(?:\.\d{1,3}){2}:\d{2,5}\b"),
    _sieve("address", r"localhost(?<!\wlocalhost):\d{2,5}\b"),
    _sieve("address", r"@(?<=[\w.+-]@)[\w-]+\.[a-z]{2,}"),
)


def reason_in_text(words: str, known: Known) -> str | None:
    """The kind of thing that must not leave and is in `words` (`token`, `path`, …), or None."""
    for secret in known.secrets:
        if secret and any(form in words for form in _spellings(secret)):
            return "token"
    has_long_hex = b"x" * 32 in words.encode("utf-8", "replace").translate(_HEX_BYTES)
    if has_long_hex and any(found.group().lower() not in known.public for found in _HEX.finditer(words)):
        return "token"
    if any(len(path) > 3 and path in words for path in known.paths):
        return "path"
    folded = _fold(words)
    for sieve in _SIEVES:
        if sieve.finds(words, folded):
            return sieve.reason
    for person in known.people:
        if len(person) < 3 or _fold(person) not in folded:
            continue
        if re.search(rf"(?<!\w){re.escape(person)}(?!\w)", words, re.IGNORECASE):
            return "person"
    return None


def _fold(words: str) -> str:
    """Written alike if a pattern that ignores case takes it for alike: more so than `str.casefold`, to which the
    Turkish letters i are letters of their own. Nothing is lost: what stood apart still does."""
    return words.replace("\u0130", "i").casefold().replace("\u0131", "i")


#: Words are escaped wherever they are written; a tag in them is still a sign of an attempt.
_TAG = re.compile(r"<\s*[a-zA-Z!/]|javascript:", re.IGNORECASE)


def check_text(words: str, where: str, known: Known, language: Language = "ko") -> None:
    reason = reason_in_text(words, known)
    if reason is not None:
        refuse(reason, where, language)


def check_notebook(notebook: Mapping[str, Any], known: Known, language: Language = "ko") -> None:
    """Raises ScreenRefused at the first output that may not leave; names the cell, never its text."""
    if "widgets" in notebook.get("metadata", {}):
        refuse("widget", text(language, "report", "screen.notebook"), language)
    for number, cell in enumerate(notebook["cells"], start=1):
        where = text(language, "report", "screen.cell", number=number)
        for output in cell.get("outputs", []):
            match output["output_type"]:
                case "error":
                    refuse("traceback", where, language)
                case "stream":
                    check_text(_joined(output["text"]), where, known, language)
                case "display_data" | "execute_result" | "update_display_data":
                    _check_bundle(output, where, known, language)
                case _:
                    refuse("kind", where, language)


def _check_bundle(output: Mapping[str, Any], where: str, known: Known, language: Language) -> None:
    for kind, content in output["data"].items():
        if "widget" in kind:
            refuse("widget", where, language)
        if kind not in _KINDS:
            refuse("kind", where, language)
        if kind == BLOCK_MIME:
            _check_block(content, where, known, language)
        elif kind == ANSWER_MIME:
            continue  # signed words of the gateway; verified, then written, by civic_kernel.publish.pages
        elif kind == TOLD_MIME:
            continue  # becomes a file of the release, and is looked at there
        elif kind == "text/html":
            if BLOCK_MIME not in output["data"]:  # beside a block it is the block again, for JupyterLab
                check_text(_joined(content), where, known, language)
        else:
            check_text(_joined(content), where, known, language)


def _check_block(data: Mapping[str, Any], where: str, known: Known, language: Language) -> None:
    if data.get("made_up"):
        refuse("made_up", where, language)
    if data["kind"] == "figure" and not data["answers"]:
        refuse("unsourced", where, language)
    drawings = data.get("drawing") or {}
    for markup in drawings.values():
        # A drawing of a twin says so in itself; beside a table of real answers that is all there is to see.
        if any(text(spoken, "kernel", "figure.made_up") in markup for spoken in LANGUAGES):
            refuse("made_up", where, language)
        reason = reason_in_drawing(markup, data["form"])
        if reason is not None:
            refuse(reason, where, language)
        check_text(without_vendor(markup), where, known, language)
    strings = list(_strings({key: part for key, part in data.items() if key != "drawing"}))
    together = "\n".join(strings)
    # Hundreds of short ones at once: a line break hides nothing, since to every pattern it is as good as an end. What
    # is found may go across one, and then each is looked at by itself.
    if _TAG.search(together) or reason_in_text(together, known) is not None:
        for words in strings:
            if _TAG.search(words):
                refuse("markup", where, language)
            check_text(words, where, known, language)


def refuse(reason: str, where: str, language: Language) -> None:
    raise ScreenRefused.say(language, finding=text(language, "report", f"screen.{reason}"), where=where)


# --- drawings ---


def _names(listed: str) -> frozenset[str]:
    return frozenset(listed.split())


_SVG_TAGS = _names(
    """
    svg g path rect circle ellipse line polyline polygon text tspan title desc defs clippath pattern
    lineargradient stop marker
    """
)
_SVG_ATTRIBUTES = _names(
    """
    id class x y x1 y1 x2 y2 dx dy cx cy r rx ry width height d points transform viewbox xmlns version role
    fill fill-opacity fill-rule stroke stroke-width stroke-dasharray stroke-linecap stroke-linejoin
    stroke-opacity stroke-miterlimit opacity font-size font-weight font-family font-style text-anchor
    dominant-baseline alignment-baseline clip-path clip-rule style preserveaspectratio focusable lang
    xml:lang offset stop-color stop-opacity gradientunits patternunits patterntransform vector-effect
    paint-order letter-spacing baseline-shift shape-rendering tabindex marker-end marker-start refx refy
    orient markerwidth markerheight clippathunits overflow
    """
)
#: Ways in which CSS fetches or runs: everything but a reference inside the same document.
_CSS_WAY_OUT = re.compile(
    r"url\(\s*[\"']?\s*(?!#|data:image/|[\"']?\s*\))|@import|expression\s*\(|-moz-binding|\\", re.I
)
#: Ways in which a script leaves its frame. Leaflet's own text is known by its hash and not searched.
_SCRIPT_WAY_OUT = re.compile(
    r"\bfetch\s*\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|\bimport\s*\(|\bWorker\s*\("
    r"|\beval\s*\(|(?-i:\bFunction\s*\()|document\.(?:write|cookie|domain)|localStorage|sessionStorage|indexedDB"
    r"|\b(?:parent|top|opener)\s*\.\s*(?!left|top\b)\w|window\.open|location\s*[.=]|new\s+Image\b"
    r"|javascript:|tileLayer\s*\(|createElement\(\s*[\"'](?:script|link|iframe|img|object|embed)",
    re.IGNORECASE,
)
_MAP_TAGS_REFUSED = _names(
    """
    iframe frame frameset object embed applet base form portal link audio video source track picture img
    image input textarea foreignobject use animate set noscript template
    """
)
_ADDRESS_ATTRIBUTES = _names(
    """
    src href srcset xlink:href action formaction data poster ping background srcdoc manifest codebase
    """
)


def reason_in_drawing(markup: str, form: str) -> str | None:
    """`script`, `markup` or `network` where a drawing holds what it may not, else None."""
    reader = _SvgReader() if form == "chart" else _MapReader()
    try:
        reader.feed(markup)
        reader.close()
    except AssertionError:  # html.parser's own word for markup that it cannot read
        return "markup"
    return reader.reason


class _Reader(HTMLParser, ABC):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.reason: str | None = None
        self._inside: str | None = None
        self._words: list[str] = []

    def found(self, reason: str) -> None:
        self.reason = self.reason or reason

    def attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            spelled = re.sub(r"[\x00-\x20]", "", value or "").lower()
            if (
                name.startswith("on")
                or "javascript:" in spelled
                or "vbscript:" in spelled
                or spelled.startswith("data:text")
            ):
                self.found("script")
            elif (name == "style" and _CSS_WAY_OUT.search(value or "")) or (
                name in _ADDRESS_ATTRIBUTES and not spelled.startswith("#")
            ):
                self.found("network")

    def handle_endtag(self, tag: str) -> None:
        if self._inside == tag:
            self._leave(tag, "".join(self._words))
            self._inside, self._words = None, []

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._words.append(data)

    @abstractmethod
    def _leave(self, tag: str, words: str) -> None:
        """What stood inside `tag`, once it is closed."""

    def close(self) -> None:
        super().close()
        if self._inside:
            self.found("markup")

    def unknown_decl(self, data: str) -> None:
        self.found("markup")

    def handle_pi(self, data: str) -> None:
        self.found("markup")


class _SvgReader(_Reader):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.found("script")
        if tag == "style":
            self._inside = tag
        elif tag not in _SVG_TAGS:
            self.found("markup")
        self.attributes(attrs)
        for name, value in attrs:
            if name not in _SVG_ATTRIBUTES and not name.startswith(("aria-", "data-", "on")):
                self.found("markup")
            if value and re.search(r"url\((?!\s*[\"']?#)", value):
                self.found("network")

    def _leave(self, tag: str, words: str) -> None:
        if _CSS_WAY_OUT.search(words):
            self.found("network")


class _MapReader(_Reader):
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._inside = tag
        elif tag == "meta":
            named = {name: (value or "").lower() for name, value in attrs}
            if named.get("http-equiv", "content-security-policy") != "content-security-policy":
                self.found("network")  # a meta refresh is a request
        elif tag in _MAP_TAGS_REFUSED:
            self.found("network")
        self.attributes(attrs)

    def _leave(self, tag: str, words: str) -> None:
        if tag == "style":
            if _CSS_WAY_OUT.search(without_vendor(words)):
                self.found("network")
        elif _SCRIPT_WAY_OUT.search(without_vendor(words)):
            self.found("network")


# --- small parts ---


def without_vendor(markup: str) -> str:
    """`markup` without Leaflet's own script and styles, which set-up installs from a hash-pinned package."""
    from civic_kernel.publish.look import vendor_texts

    for vendored in vendor_texts():
        markup = markup.replace(vendored, "")
    return markup


def _spellings(secret: str) -> tuple[str, ...]:
    raw = secret.encode()
    return (
        secret,
        quote(secret, safe=""),
        raw.hex(),
        secret[::-1],
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    )


def _joined(content: Any) -> str:
    return content if isinstance(content, str) else "".join(content)


def _strings(value: Any) -> Iterable[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, part in value.items():
                yield str(key)
                yield from _strings(part)
        case list():
            for part in value:
                yield from _strings(part)
        case _:
            return
