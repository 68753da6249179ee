"""Notebooks of a seat or a room: made, read, and opened in a browser."""

import urllib.error

from playwright.sync_api import expect

KERNEL = {"name": "civic", "display_name": "Civic (Python)", "language": "python"}


def make_notebook(seat, path, *sources):
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{n}",
            "metadata": {},
            "source": s,
            "outputs": [],
            "execution_count": None,
        }
        for n, s in enumerate(sources)
    ]
    content = {"cells": cells, "metadata": {"kernelspec": KERNEL}, "nbformat": 4, "nbformat_minor": 5}
    seat._open("PUT", f"api/contents/{path}", {"type": "notebook", "content": content})


def cells(seat, path):
    """None while it is being written."""
    try:
        return seat.get(f"api/contents/{path}")["content"]["cells"]
    except urllib.error.HTTPError as half:
        half.close()
        return None


def open_notebook(page, hub, owner, path):
    page.goto(f"{hub.url}/hub/spawn/{owner}")
    page.wait_for_url(lambda url: "oauth2/authorize" in url or f"/user/{owner}/" in url, timeout=60_000)
    if "oauth2/authorize" in page.url:
        page.click("#enter")
    page.wait_for_url(f"**/user/{owner}/**", timeout=60_000)
    page.goto(f"{hub.url}/user/{owner}/lab/tree/{path}?reset")
    expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=60_000)


def editor(page, number):
    return page.locator(".jp-Notebook .jp-Cell").nth(number).locator(".cm-content")
