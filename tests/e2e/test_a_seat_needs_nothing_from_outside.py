"""At a seat with every other host out of reach: maps, practice data and real data, work taken home."""

from __future__ import annotations

import json
import zipfile

import pytest
from playwright.sync_api import expect

from tests.e2e.test_an_expert_asks_in_jupyterlab import notebook
from tests.hub.seat import Seat

pytestmark = [pytest.mark.hub, pytest.mark.browser]

OUTSIDE = "http://outside.invalid/spy.png"
CELLS = [
    'import civic_kernel as civic\nrides = civic.dataset("bike_rides")\ntype(rides).__name__',
    'import folium\nchart = folium.Map([37.55, 126.99], zoom_start=11)\n'
    'folium.Marker([37.56, 126.97], popup="City hall").add_to(chart)\nchart',
    f"from IPython.display import HTML\nHTML('<p>shown</p><img src={OUTSIDE}>')",
]  # fmt: skip


def test_a_map_a_switch_to_practice_and_back_and_work_taken_home(demonstration, chromium, look, tmp_path):
    seat = Seat(demonstration.url, demonstration.secrets["analyst"])
    content = notebook(CELLS)
    content["metadata"]["kernelspec"] = {"name": "civic", "display_name": "Civic (Python)"}
    seat._open("PUT", "api/contents/mine.ipynb", {"type": "notebook", "content": content})
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    asked = []

    def only_the_hub(route):
        if route.request.url.startswith(demonstration.url):
            route.continue_()
        else:
            asked.append(route.request.url)
            route.abort()

    context.route("**/*", only_the_hub)
    page = context.new_page()
    page.goto(demonstration.link("analyst"))
    page.get_by_role("button").first.click()
    page.wait_for_url("**/hub/home")
    page.goto(f"{demonstration.url}/user/analyst/lab/tree/mine.ipynb?reset")
    cells = page.locator(".jp-NotebookPanel .jp-CodeCell")

    def first_output(words):
        cells.first.locator(".jp-OutputArea-output").get_by_text(words).wait_for(timeout=60_000)

    # The kernel answers which data it uses: it is ready.
    real = page.get_by_role("button", name="Real data")
    real.wait_for(timeout=90_000)
    cells.first.click()
    for _ in CELLS:
        page.keyboard.press("Shift+Enter")
    first_output("Dataset")
    frame = cells.nth(1).frame_locator("iframe")
    frame.locator(".leaflet-tile-pane path").nth(24).wait_for(state="attached", timeout=60_000)
    frame.locator(".leaflet-marker-icon svg").wait_for()
    cells.nth(2).get_by_text("shown", exact=True).wait_for()

    real.click()
    dialog = page.get_by_role("dialog")
    assert "made-up" in dialog.inner_text()
    dialog.get_by_role("button", name="Switch and run all").click()
    first_output("Twin")
    page.get_by_role("button", name="Practice data").click()
    dialog.get_by_text("of its share left").first.wait_for()
    look(page, "lab-real-data", ours=False)
    dialog.get_by_role("button", name="Switch and run all").click()
    first_output("Dataset")
    # The other cells run again too, and what is taken home is what they show by then.
    expect(cells.locator(".jp-InputPrompt").filter(has_text="[*]")).to_have_count(0, timeout=60_000)
    frame.locator(".leaflet-marker-icon svg").wait_for()
    cells.nth(2).get_by_text("shown", exact=True).wait_for()

    with page.expect_download() as download:
        page.get_by_role("button", name="Take home").click()
    taken = tmp_path / "mine.zip"
    download.value.save_as(taken)
    with zipfile.ZipFile(taken) as files:
        assert sorted(files.namelist()) == ["mine.html", "mine.ipynb"]
        assert "Unreviewed" in json.loads(files.read("mine.ipynb"))["cells"][0]["source"]
        at_home = files.read("mine.html").decode()
    (tmp_path / "mine.html").write_text(at_home, "utf-8")
    offline = chromium.new_page()
    requests, said = [], []
    offline.on("request", lambda request: requests.append(request.url))
    offline.on("console", lambda message: said.append(message.text))
    offline.goto((tmp_path / "mine.html").as_uri())
    offline.frame_locator("iframe").locator(".leaflet-marker-icon svg").wait_for()
    assert "Unreviewed work" in offline.locator("main").inner_text()
    assert [one for one in requests if not one.startswith(("file:", "about:"))] == [] and said == []
    offline.close()

    assert asked == []
    # Positive control: the same picture in a page that is not a seat's is asked for, and stopped only here.
    other = context.new_page()
    other.set_content(f"<img src={OUTSIDE}>")
    other.wait_for_load_state()
    assert asked == [OUTSIDE]
    context.close()
