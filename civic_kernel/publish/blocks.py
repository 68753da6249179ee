"""What a notebook may put on a citizen's page: a message, a figure, the "my gu" choice. Nothing else.

A block carries both languages from one run, so that the Korean and the English page cannot disagree. It
shows itself in the notebook (`text/html`) and hands the exporter plain data
(`application/vnd.civic.block+json`). The exporter writes the markup: a notebook that could hand over HTML
would make the screen a parser of everything that HTML can do.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from civic_kernel.errors import AltTextMissing, FrameUnsuitable, NotPublishable
from civic_kernel.settings import read_settings
from civic_kernel.texts import LANGUAGES, Language, text
from civic_kernel.wire import OPEN

if TYPE_CHECKING:
    import pandas as pd

BLOCK_MIME: Final = "application/vnd.civic.block+json"
ANSWER_MIME: Final = "application/vnd.civic.answer+json"
TOLD_MIME: Final = "application/vnd.civic.told+json"

#: A text in both languages.
Words = Mapping[Language, str]
#: One row of the "my gu" choice → its sentence in both languages.
Sentence = Callable[["pd.Series[Any]"], Words]
#: Language → a drawing: SVG text, or an object of `civic_kernel.charts` or `.maps`.
Draw = Callable[[Language], Any]

_NAME = re.compile(r"[a-z][a-z0-9-]{1,40}")
#: What tools and hurried people write instead of a description. Compared without spaces, dots and case.
_PLACEHOLDERS = frozenset(
    re.sub(r"[\s.…]", "", word).casefold()
    for word in (
        *("alt", "alt text", "image", "chart", "figure", "map", "graph", "todo", "tbd", "n/a", "placeholder"),
        *(
            "no description has been provided for this image",
            "description",
            "lorem ipsum",
            "picture of a chart",
        ),
        *(
            "대체 텍스트",
            "그림",
            "차트",
            "지도",
            "그래프",
            "이미지",
            "설명",
            "설명 없음",
            "추후 작성",
            "작성 예정",
        ),
    )
)
_LEAST_ALT: Final = 20


@dataclass(frozen=True)
class Block:
    """One publishable piece. `data` is JSON; its shape is documented at the function that makes it."""

    data: dict[str, Any]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        language = read_settings().language
        return {
            BLOCK_MIME: self.data,
            "text/html": _in_notebook(self.data, language),
            "text/plain": _headline(self.data, language),
        }


def message(*, ko: str, en: str) -> Block:
    """The page's headline sentence: the finding in plain words. `{"kind":"message","text":{ko,en}}`"""
    return Block({"kind": "message", "text": _both({"ko": ko, "en": en}, "message")})


def figure(
    draw: Draw | None,
    *,
    name: str,
    title: Words,
    subtitle: Words,
    alt: Words | None,
    table: pd.DataFrame,
    columns: Mapping[str, Words],
    uncertainty: Words,
    sources: Sequence[pd.DataFrame] = (),
    digits: int = 0,
) -> Block:
    """A chart, a map, or (with `draw=None`) a table alone, with everything that a reader is owed beside it.

    `name` (lower-case letters, digits, hyphens) names its CSV. `title` says the finding, `subtitle` what is
    counted, where and when; `alt` is written by hand for somebody who does not see the drawing. `table` holds
    the same values; its columns not named in `columns` stay out, except `m_low`, `m_high` and `withheld`
    of a named measure `m`. `sources` are the answers that a joined or computed table came from (left out, the
    table itself must know). `digits` are the decimals of measures that are no whole numbers.

    Raises AltTextMissing for an absent or placeholder text alternative, FrameUnsuitable for a frame that does
    not know its answers, or lacks a column; NotPublishable for a bad name.
    """
    if not _NAME.fullmatch(name):
        raise _unfit("blockname")
    if draw is not None:
        _check_alt(name, alt, title)
    drawing = {language: _drawing(draw(language)) for language in LANGUAGES} if draw else None
    forms = {part["form"] for part in drawing.values()} if drawing else {"table"}
    return Block(
        {
            "kind": "figure",
            "form": forms.pop(),
            "name": name,
            "title": _both(title, name),
            "subtitle": _both(subtitle, name),
            "alt": _both(alt, name) if alt is not None else None,
            "uncertainty": _both(uncertainty, name),
            "drawing": drawing and {language: part["markup"] for language, part in drawing.items()},
            "table": _table(table, columns, digits, _exact_columns([*sources, table])),
            **_provenance(sources or [table], table),
        }
    )


def my_gu(table: pd.DataFrame, *, key: str, sentence: Sentence, figure: Block) -> Block:
    """ "내 구 찾기": one sentence for each row of `table`, leading to that row of `figure`'s table."""
    choices = [
        {"key": str(row[key]), "sentence": _both(sentence(row), "my_gu")}
        for _, row in table.iterrows()
        if str(row[key]) != "other"
    ]
    return Block({"kind": "my_gu", "column": key, "figure": figure.data["name"], "choices": choices})


def emit_answers(client: Any) -> None:
    """Show every answer that `client` got during the run, and what it was told besides (civic_kernel.told); the runner
    appends a cell that calls this.

    The answers travel as output of the notebook and by no other way (a file beside it was rejected): whoever
    reads the executed notebook sees everything that the page was made from.
    """
    from IPython.display import publish_display_data

    for body in client.answers:
        publish_display_data({ANSWER_MIME: body, "text/plain": body["answer_id"]})
    statements = {body["answer_id"]: body["statement"] for body in client.answers}
    # The run's language, which a notebook may have changed on the client since.
    told = client.told.document(statements, read_settings().language)
    publish_display_data({TOLD_MIME: told, "text/plain": ""})


# --- inside ---


def _unfit(key: str, **facts: object) -> NotPublishable:
    language = read_settings().language
    return NotPublishable.say(language, reason=text(language, "report", f"publish.{key}", **facts))


def _both(words: Words, where: str) -> dict[str, str]:
    found: dict[str, str] = {str(one): str(words.get(one, "")).strip() for one in LANGUAGES}
    if not all(found.values()):
        raise _unfit("words", name=where)
    return found


def _check_alt(name: str, alt: Words | None, title: Words) -> None:
    for language in LANGUAGES:
        written = (alt or {}).get(language, "").strip()
        bare = re.sub(r"[\s.…]", "", written).casefold()
        if len(written) < _LEAST_ALT or bare in _PLACEHOLDERS or written == title.get(language, "").strip():
            raise AltTextMissing.say(read_settings().language, figure=name)


def _drawing(drawn: Any) -> dict[str, str]:
    """SVG text and documents for a frame are all that a page can hold."""
    markup = str(getattr(drawn, "svg", None) or getattr(drawn, "document", None) or drawn)
    start = markup.lstrip()[:15].lower()
    if start.startswith("<svg"):
        return {"form": "chart", "markup": markup}
    if start.startswith("<!doctype html"):
        return {"form": "map", "markup": markup}
    raise _unfit("drawing")


def _exact_columns(frames: Sequence[pd.DataFrame]) -> dict[str, str]:
    """Column → role of the figures that stand alone, since they are of the open lane: no interval marks them."""
    from civic_kernel.frames import KEY

    origins = [origin for frame in frames if (origin := frame.attrs.get(KEY))]
    # A gu that is a key of one source and stands in the rows of another is the key of what they make together.
    keys = {name for origin in origins for name in origin.get("keys", ())}
    found = {n: "value" for origin in origins for n in origin.get("values", ()) if n not in keys}
    return found | {
        n: "measure" for origin in origins if origin.get("lane") == OPEN for n in origin["measures"]
    }


def _table(
    frame: pd.DataFrame, columns: Mapping[str, Words], digits: int, exact: Mapping[str, str]
) -> dict[str, Any]:
    plain = frame.reset_index() if any(frame.index.names) else frame
    names: list[str] = []
    heads: list[dict[str, Any]] = []
    for name, label in columns.items():
        if name not in plain.columns:
            raise FrameUnsuitable.say(
                read_settings().language, column=name, known=", ".join(map(str, plain.columns))
            )
        measured = f"{name}_low" in plain.columns
        names.append(name)
        role = "measure" if measured else exact.get(name, "key")
        heads.append({"name": name, "role": role, "label": _both(label, name)})
        for end in ("low", "high") if measured else ():
            names.append(f"{name}_{end}")
            heads.append({"name": names[-1], "role": end, "measure": name, "label": _both(label, name)})
    if "withheld" in plain.columns:
        names.append("withheld")
        heads.append({"name": "withheld", "role": "flag", "label": {"ko": "가림", "en": "Withheld"}})
    rows = [
        [_cell(value, digits) for value in row] for row in plain[names].itertuples(index=False, name=None)
    ]
    return {"columns": heads, "rows": rows, "digits": digits}


def _cell(value: Any, digits: int) -> Any:
    """A JSON value of a pandas cell. Rounded here, so that page, table and CSV show the very same number."""
    import pandas as pd

    if pd.isna(value):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float):
        return round(value, digits) if digits else round(value)
    return value if isinstance(value, bool | int) else str(value)


def _provenance(frames: Sequence[pd.DataFrame], table: pd.DataFrame) -> dict[str, Any]:
    """Which signed answers the values came from. A frame that does not know is somebody's own numbers.

    The words for the privacy unit ride along, so that a figure about recorded accidents never says "person".
    """
    from civic_kernel.frames import KEY, origin_of

    origins = [origin_of(frame) for frame in frames]
    answers = {identity for origin in origins for identity in origin["answer_id"].split(", ")}
    return {
        "answers": sorted(answers),
        # The table too: naming real answers as its sources must not wash a twin's figures clean.
        "made_up": any(bool(origin.get("made_up")) for origin in [*origins, table.attrs.get(KEY, {})]),
    }


def _headline(data: Mapping[str, Any], language: Language) -> str:
    match data["kind"]:
        case "message":
            return str(data["text"][language])
        case "figure":
            return str(data["title"][language])
        case _:
            return "\n".join(choice["sentence"][language] for choice in data["choices"])


def _in_notebook(data: Mapping[str, Any], language: Language) -> str:
    """How a block looks in JupyterLab; the page's own markup is written by the exporter."""
    said = html.escape(_headline(data, language))
    if data["kind"] == "message":
        return f"<p><strong>{said}</strong></p>"
    if data["kind"] != "figure":
        return "<ul>" + "".join(f"<li>{line}</li>" for line in said.split("\n")) + "</ul>"
    below = html.escape(data["subtitle"][language])
    drawn = (data["drawing"] or {}).get(language, "")
    if data["form"] == "map":
        title = html.escape(data["alt"][language], quote=True)
        drawn = (
            f'<iframe sandbox="allow-scripts" title="{title}" style="width:100%;height:480px;border:0" '
            f'srcdoc="{html.escape(drawn, quote=True)}"></iframe>'
        )
    unsure = html.escape(data["uncertainty"][language])
    return (
        f"<figure><figcaption><strong>{said}</strong><br>{below}</figcaption>{drawn}<p>{unsure}</p></figure>"
    )
