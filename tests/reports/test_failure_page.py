"""What a person sees of a report that did not reach its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from civic_kernel.errors import RunMemory
from civic_kernel.reports.work import failure_page
from civic_kernel.settings import Settings, Token
from civic_kernel.texts import LANGUAGES, Language
from tests.pictures import Look


@pytest.mark.browser
@pytest.mark.parametrize("language", LANGUAGES)
def test_it_says_where_it_stopped_what_happened_and_what_to_try(
    language: Language, chromium: Browser, look: Look, tmp_path: Path
) -> None:
    settings = Settings("", "site", "safety", language, Token(""))
    fault = RunMemory.say(language)
    begun = {
        "ko": ["매개변수", "준비", "이용을 묻기"],
        "en": ["Parameters", "Getting ready", "Asking about rides"],
    }
    title = {"ko": "자전거는 어디서 타고, 사고는 어디서 잦은가", "en": "Where people ride bikes"}[language]
    written = failure_page(settings, title=title, fault=fault, begun=begun[language], total=14, partial=True)
    path = tmp_path / "index.html"
    path.write_text(written, "utf-8")
    page = chromium.new_page()
    try:
        page.goto(path.as_uri())
        said = page.inner_text("main")
        for part in (fault.message, fault.remedy, begun[language][-1], "partial.ipynb"):
            assert part in said
        look(page, f"failed-report-{language}")
    finally:
        page.close()
