"""Work that goes home: the notebook and an offline page, both marked, and nothing in them that may not leave."""

from __future__ import annotations

import copy
import html
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser

from civic_kernel.errors import ScreenRefused
from civic_kernel.publish.screen import Known
from civic_kernel.publish.unreviewed import make_bundle
from tests.pictures import Look
from tests.publish.conftest import Made
from tests.reports import standin

KNOWN = Known(secrets=(standin.TOKEN,), paths=("/srv/homes/ann",))


def unpack(bundle: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as files:
        return {name.rpartition(".")[2]: files.read(name).decode() for name in files.namelist()}


def notebook(*outputs: dict[str, Any], source: str = "look()") -> Any:
    cell = nbformat.v4.new_code_cell(source, outputs=[nbformat.from_dict(output) for output in outputs])
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Mine"), cell])


def printed(words: str) -> dict[str, Any]:
    return {"output_type": "stream", "name": "stdout", "text": words}


def shown(markup: str) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {"text/html": markup, "text/plain": "…"}}


def test_a_real_notebook_goes_home_with_its_tables_charts_and_maps(made: Made) -> None:
    files = unpack(make_bundle(made.run.executed, "mine", "ko", KNOWN))
    page = files["html"]
    assert "검토받지 않은 작업" in page and "검토받지 않은 작업" in files["ipynb"]
    assert page.count("<iframe sandbox=") >= 1 and "<svg" in page
    assert "default-src 'none'" in html.unescape(page)
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)
    twice = unpack(make_bundle(json.loads(files["ipynb"]), "mine", "ko", KNOWN))
    assert twice["ipynb"].count("civic-unreviewed") == 1
    assert twice["html"].replace("검토받지", "") != page  # the mark itself is now one of its cells
    assert make_bundle(made.run.executed, "mine", "ko", KNOWN) == make_bundle(
        made.run.executed, "mine", "ko", KNOWN
    )


@pytest.mark.parametrize(
    "output",
    [
        printed(f"my token is {standin.TOKEN}"),
        printed("/srv/homes/ann/secret.csv"),
        shown("<p>-----BEGIN PRIVATE KEY-----</p>"),
        shown(f"<iframe srcdoc='&lt;p&gt;{standin.TOKEN}&lt;/p&gt;'></iframe>"),
    ],
)
def test_an_output_that_may_not_leave_stays_and_both_files_say_or_show_that_it_is_gone(
    output: dict[str, Any],
) -> None:
    raw = notebook(output, printed("and this may go"))
    before = copy.deepcopy(raw)
    files = unpack(make_bundle(raw, "mine", "en", KNOWN))
    for words in files.values():
        assert standin.TOKEN not in words and "/srv/homes" not in words and "PRIVATE KEY" not in words
        assert "and this may go" in words
    assert "1 output was left out" in files["html"]
    assert raw == before  # what lies in the seat is as it was


def test_a_token_in_the_code_itself_is_refused_and_its_cell_named() -> None:
    with pytest.raises(ScreenRefused) as refused:
        make_bundle(notebook(source=f"token = '{standin.TOKEN}'"), "mine", "en", KNOWN)
    assert "cell 2" in str(refused.value) and standin.TOKEN not in str(refused.value)


def test_scripts_in_tables_do_not_go_home_and_an_error_is_told_without_its_traceback() -> None:
    error = {
        "output_type": "error",
        "ename": "NameError",
        "evalue": "x",
        "traceback": ["/srv/homes/ann/a.py"],
    }
    evil = shown(
        "<table onclick=alert(1)><tr><td>9<script>alert(1)</script><img src=x onerror=alert(1)></td></tr></table>"
    )
    files = unpack(make_bundle(notebook(evil, error), "mine", "en", KNOWN))
    assert "<td>9</td>" in files["html"] and "alert" not in files["html"]
    assert (
        "ended with an error: NameError" in files["html"]
        and "/srv/homes" not in files["html"] + files["ipynb"]
    )


@pytest.mark.browser
def test_the_page_opens_offline_and_asks_nobody_for_anything(
    made: Made, chromium: Browser, tmp_path: Path, look: Look
) -> None:
    file = tmp_path / "mine.html"
    file.write_text(unpack(make_bundle(made.run.executed, "bike", "ko", KNOWN))["html"])
    page = chromium.new_page()
    asked: list[str] = []
    page.route(
        "**/*",
        lambda route: (
            route.continue_()
            if route.request.url == file.as_uri()
            else (asked.append(route.request.url), route.abort())
        ),
    )
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    page.frame_locator("iframe").first.locator("path.leaflet-interactive").nth(24).wait_for(state="attached")
    look(page, "taken-home", whole=False)
    assert asked == [] and said == []
    page.close()
