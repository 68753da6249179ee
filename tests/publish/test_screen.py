"""What must not leave does not: a corpus of secrets and one of hostile markup, each with what may pass."""

from __future__ import annotations

import re
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from civic_kernel.errors import ScreenRefused
from civic_kernel.publish import screen
from civic_kernel.publish.blocks import ANSWER_MIME, BLOCK_MIME
from civic_kernel.publish.screen import Known, check_notebook, reason_in_drawing, reason_in_text
from tests.publish.conftest import Made

TOKEN = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"
KNOWN = Known(
    secrets=(TOKEN, "short-gateway-token"),
    paths=("/rooms/room-07",),
    people=("kim.minji", "jisoo"),
    public=frozenset({"a" * 64}),
)

SECRETS = {
    "a token of this run": f"answer {TOKEN}",
    "in base64": "OWY4ZTdkNmM1YjRhMzkyODE3MDZmNWU0ZDNjMmIxYTA=",
    "backwards": TOKEN[::-1],
    "an unknown hex token": "0123456789abcdef0123456789abcdef",
    "in capitals": "0123456789ABCDEF0123456789ABCDEF",
    "another hash of 64": "b" * 64,
    "a header": "Authorization: token abcdefghijkl",
    "a setting": "api_key = 'Zm9vYmFyYmF6cXV4'",
    "a web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sig",
    "a private key": "-----BEGIN PRIVATE KEY-----",
    "a home": "saved to /home/jisoo2/report.csv",
    "a temporary file": "see /tmp/tmpab12/x.ipynb",
    "the state folder": "/var/lib/civic/0123/vault",
    "a Windows path": r"C:\Users\me\data.xlsx",
    "a short home": "~/data/rides.csv",
    "a file address": "file:///etc/hostname",
    "a known folder": "from /rooms/room-07",
    "a machine": "http://127.0.0.1:8012/v1",
    "a mailbox": "write to minji@example.org",
    "a person": "by Kim.Minji",
    "a traceback": 'Traceback (most recent call last):\n  File "x.py", line 3',
    "a frame of one": 'File "/x.py", line 3, in <module>',
}
HARMLESS = [
    "2025년 10월부터 2026년 9월까지 약 123,877번 탔습니다(122,917에서 124,837 사이).",
    "About 9,800 rides and/or walks, 50/50, at 12:30, ratio 3/4.",
    "a" * 64,
    "ans-ujxbpevramnl777q6fuxp47kan",
    "token economy, secretary, password-free",
    "</p><br/><a href='../data/rides.csv'>CSV</a>",
]


#: Something for each sieve, and what letters have for twins where case is ignored.
PIECES = (
    *("eyJabcdefgh.eyJabcdefgh", "-----BEGIN EC PRIVATE KEY", "ghp_abcdefghijklmnop", "AKIAABCDEFGHIJKLMNOP"),
    *("toKen: abcdefghijkl", "ſecret = abcdefghijkl", "bearer abcdefghijkl", "authorızatİon=abcdefghijkl"),
    *("apikey: abcdefghijkl", "API_KEY=abcdefghijkl", "api-key: 'abcdefghijkl", "password:abcdefghijkl"),
    *("Passwd = abcdefghijkl", "a\u0307token=abcdefghijkl"),
    *("Traceback (most recent call last)", 'File "x", line 3', "Cell In[3]", "gateway_url", "<ipython-input"),
    *(
        "/home/x",
        "/Users/x",
        "~x/",
        "~/x",
        "C:\\x",
        "file://",
        "127.0.0.1:80",
        "10.2.3.4:80",
        "192.168.1.1:443",
    ),
    *("localhost:99", "a@b.kr", " ", "\n", "x", "1", "가"),
)


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=4).map("".join), st.booleans())
def test_no_sieve_passes_over_what_its_expression_finds(words: str, swapped: bool) -> None:
    words = words.swapcase() if swapped else words
    for sieve in screen._SIEVES:
        if sieve.folded:
            plain = re.compile(rf"\b(?:{sieve.pattern.pattern})", re.IGNORECASE)
            assert sieve.finds(words, screen._fold(words)) or not plain.search(words)
        else:
            assert sieve.finds(words, screen._fold(words)) == bool(sieve.pattern.search(words))


def test_each_sieve_finds_something() -> None:
    for sieve in screen._SIEVES:
        assert any(sieve.finds(words, screen._fold(words)) for words in PIECES), sieve.pattern.pattern


@pytest.mark.parametrize("words", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_found(words: str) -> None:
    assert reason_in_text(f"Before. {words} After.", KNOWN) is not None


@pytest.mark.parametrize("words", HARMLESS)
def test_plain_words_pass(words: str) -> None:
    assert reason_in_text(words, KNOWN) is None


SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{}</svg>'
HOSTILE_SVG = [
    "<script>alert(1)</script>",
    '<rect onload="alert(1)"/>',
    '<rect ONCLICK="x"/>',
    '<a href="javascript:alert(1)"><text>x</text></a>',
    '<image href="https://example.org/x.png"/>',
    '<use href="https://example.org/x.svg#a"/>',
    "<foreignObject><iframe></iframe></foreignObject>",
    '<rect style="fill:url(https://example.org/x)"/>',
    '<rect fill="url(//example.org/x)"/>',
    "<style>@import 'https://example.org/x.css';</style>",
    "<style>rect{background:url(https://example.org/x)}</style>",
    '<animate attributeName="href" values="javascript:alert(1)"/>',
    '<set attributeName="onclick" to="alert(1)"/>',
    '<text formaction="x">y</text>',
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml-stylesheet href='x'?>",
    "<style>a{",
]
MAP = "<!DOCTYPE html><html><head><title>t</title></head><body>{}</body></html>"
HOSTILE_MAP = [
    '<script src="https://example.org/x.js"></script>',
    '<link rel="stylesheet" href="https://example.org/x.css">',
    '<img src="https://example.org/x.png">',
    '<iframe src="https://example.org"></iframe>',
    '<form action="https://example.org"><button>x</button></form>',
    '<meta http-equiv="refresh" content="0;url=https://example.org">',
    '<base href="https://example.org/">',
    '<p onmouseover="x()">y</p>',
    '<a href="java\tscript:alert(1)">x</a>',
    "<script>fetch('https://example.org')</script>",
    "<script>new WebSocket('wss://example.org')</script>",
    "<script>navigator.sendBeacon('/x', 1)</script>",
    "<script>top.location = 'https://example.org'</script>",
    "<script>location.href = 'https://example.org'</script>",
    "<script>eval('1')</script>",
    "<script>new Function('return 1')()</script>",
    "<script>L.tileLayer('https://example.org/{z}')</script>",
    "<script>document.createElement('script')</script>",
    "<style>@import url(https://example.org/x.css)</style>",
    "<script>var x = 1",
]


@pytest.mark.parametrize("part", HOSTILE_SVG)
def test_a_chart_with_hostile_markup_is_refused(part: str) -> None:
    assert reason_in_drawing(SVG.format(part), "chart") is not None


@pytest.mark.parametrize("part", HOSTILE_MAP)
def test_a_map_with_a_way_out_is_refused(part: str) -> None:
    assert reason_in_drawing(MAP.format(part), "map") is not None


def test_our_own_drawings_pass(made: Made) -> None:
    forms = set()
    for cell in made.run.executed.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {}).get(BLOCK_MIME, {})
            for markup in (data.get("drawing") or {}).values():
                forms.add(data["form"])
                assert reason_in_drawing(markup, data["form"]) is None
    assert forms == {"chart", "map"}


def notebook(output: dict[str, Any], **metadata: Any) -> nbformat.NotebookNode:
    cell = nbformat.v4.new_code_cell("1", outputs=[nbformat.from_dict(output)])
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("x"), cell], metadata=metadata)


def shown(**data: Any) -> dict[str, Any]:
    named = {kind.replace("__", "/"): content for kind, content in data.items()}
    return {"output_type": "display_data", "data": named, "metadata": {}}


def block(**parts: Any) -> dict[str, Any]:
    figure = {
        "kind": "figure",
        "form": "table",
        "name": "x",
        "title": {"ko": "제목", "en": "title"},
        "drawing": None,
        "answers": ["ans-x"],
        "made_up": False,
        "table": {"columns": [], "rows": [], "digits": 0},
    }
    return {"output_type": "display_data", "data": {BLOCK_MIME: {**figure, **parts}}, "metadata": {}}


REFUSED_OUTPUTS = {
    "an error": {"output_type": "error", "ename": "E", "evalue": "v", "traceback": []},
    "a token that was printed": {"output_type": "stream", "name": "stdout", "text": TOKEN},
    "a path that was logged": {"output_type": "stream", "name": "stderr", "text": "/home/jisoo2/x"},
    "a widget": {
        "output_type": "display_data",
        "data": {"application/vnd.jupyter.widget-view+json": {"model_id": "x"}},
        "metadata": {},
    },
    "a script": shown(application__javascript="alert(1)"),
    "a picture that cannot be read": shown(image__png="iVBORw0KGgo="),
    "a figure of made-up rows": block(made_up=True),
    "a figure of somebody's own numbers": block(answers=[]),
    "a script in a title": block(title={"ko": "<script>alert(1)</script>", "en": "x"}),
    "a token in a table": block(table={"columns": [], "rows": [[TOKEN]], "digits": 0}),
    "a person in an alternative": block(alt={"ko": "jisoo", "en": "x"}),
}


@pytest.mark.parametrize("output", REFUSED_OUTPUTS.values(), ids=REFUSED_OUTPUTS.keys())
def test_an_output_that_may_not_leave_names_its_cell(output: dict[str, Any]) -> None:
    with pytest.raises(ScreenRefused) as caught:
        check_notebook(notebook(output), KNOWN, "en")
    assert "cell 2" in str(caught.value) and TOKEN not in str(caught.value)


def test_widget_state_is_refused() -> None:
    with pytest.raises(ScreenRefused):
        check_notebook(notebook(shown(text__plain="1"), widgets={"state": {}}), KNOWN)


def test_blocks_answers_and_plain_words_pass() -> None:
    for output in (shown(text__plain="nine"), block(), shown(**{ANSWER_MIME.replace("/", "__"): {"x": 1}})):
        check_notebook(notebook(output), KNOWN)


@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=3).map("".join), max_size=6))
def test_many_words_at_once_are_refused_as_each_alone_would_be(cells: list[str]) -> None:
    alone = any(screen._TAG.search(words) or reason_in_text(words, KNOWN) for words in cells)
    output = notebook(block(table={"columns": [], "rows": [[words] for words in cells], "digits": 0}))
    if alone:
        with pytest.raises(ScreenRefused):
            check_notebook(output, KNOWN)
    else:
        check_notebook(output, KNOWN)


def test_two_cells_of_a_table_are_not_read_as_one_secret() -> None:
    cells = ["password", ": abcdefghijkl"]
    assert reason_in_text("\n".join(cells), KNOWN) == "token"
    check_notebook(notebook(block(table={"columns": [], "rows": [cells], "digits": 0})), KNOWN)
