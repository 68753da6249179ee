"""What `make demo` does after set-up beyond one report: five pages on the site, each of which can be checked."""

from __future__ import annotations

import pytest

from civic_kernel.verify.page import check_page
from hub_config.demo import REPORTS, Prepared, Runner, publish

# Four runs and releases, each a process with imports of its own.
pytestmark = [pytest.mark.hub, pytest.mark.root, pytest.mark.timeout(900)]


def test_five_pages_stand_on_the_site_and_check(demonstration):
    with Prepared(demonstration.settings, 0, quiet=True) as workspace:
        first = publish(workspace, Runner(demonstration.settings, quiet=True), REPORTS)
    assert first == demonstration.page, "the one that was there is the same page"
    public = demonstration.home / "public"
    pages = sorted((public / "reports").glob("*/*/index.html"))
    assert len(REPORTS) == 5 and len(pages) == 2 * len(REPORTS)
    for language in ("ko", "en"):
        listed = (public / language / "index.html").read_text("utf-8")
        for page in pages:
            assert page.parent.parent.name in listed
    for page in pages:
        assert check_page(page).wrong == []
