"""A notebook that somebody made to harm who opens it, opened in JupyterLab by a steward."""

import json

import pytest
from playwright.sync_api import expect

from hub_config.members.people import open_people
from hub_config.members.teams import Teams
from tests.hub.notebooks import open_notebook
from tests.hub.seat import Seat

pytestmark = [pytest.mark.hub, pytest.mark.slow, pytest.mark.browser]

PLANTED = "window.planted = 1; fetch('/hub/api/user').then(() => { window.planted = 2 })"


def hostile():
    shows = [
        {"text/html": f"<b>a table</b><script>{PLANTED}</script>"},
        {"text/html": f'<img src="x" onerror="{PLANTED}"><svg onload="{PLANTED}"></svg>'},
        {"text/html": f"<iframe srcdoc='<script>{PLANTED.replace('window', 'parent')}</script>'></iframe>"},
        {"image/svg+xml": f"<svg xmlns='http://www.w3.org/2000/svg'><script>{PLANTED}</script></svg>"},
        {"application/javascript": PLANTED},
        {"text/markdown": f"<img src=x onerror='{PLANTED}'> [press](javascript:{PLANTED.replace(' ', '')})"},
        {"text/latex": f"$\\href{{javascript:{PLANTED.replace(' ', '')}}}{{x}}$"},
    ]
    outputs = [{"output_type": "display_data", "data": data, "metadata": {}} for data in shows]
    cells = [
        {
            "cell_type": "code",
            "id": "c0",
            "metadata": {"trusted": True},  # what a notebook says of itself counts for nothing
            "source": "",
            "outputs": outputs,
            "execution_count": 1,
        },
        {
            "cell_type": "markdown",
            "id": "c1",
            "metadata": {},
            "source": f'# the end\n<script>{PLANTED}</script><img src=x onerror="{PLANTED}">',
        },
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def member(hub):
    """The steward, in a team besides."""
    people = open_people(hub.settings)
    teams = Teams(people._engine, hub.settings)
    teams.put("river", "city-steward", "member", by="test")
    yield
    teams.remove("river", "city-steward", by="test")
    people.close()


@pytest.mark.parametrize("owner", ["city-steward", "room-01"])
def test_a_script_planted_in_a_notebook_that_a_steward_opens_does_not_run(hub, signed_in, member, owner):
    page = signed_in("city-steward")
    Seat(hub.url, hub.secrets["city-steward"], owner=owner)
    home = hub.settings.home / ("rooms" if owner == "room-01" else "homes") / owner
    file = home / "from-somebody.ipynb"
    file.write_text(json.dumps(hostile()))
    file.chmod(0o644)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    open_notebook(page, hub, owner, "from-somebody.ipynb")
    expect(page.get_by_role("heading", name="the end")).to_be_visible(timeout=60_000)
    expect(page.locator(".jp-OutputArea").first).to_contain_text("a table")
    # The control: a script that runs would be seen.
    assert page.evaluate("typeof planted") == "undefined"
    page.evaluate(PLANTED)
    page.wait_for_function("planted === 2")
    assert [url for url in asked if url.endswith("/hub/api/user")] == [f"{hub.url}/hub/api/user"]
