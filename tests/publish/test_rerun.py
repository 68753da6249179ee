"""Anybody runs a page's notebook again from its signed answers, and finds what does not come out the same."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import nbformat
import pytest

from civic_kernel.errors import NotPublishable, RunFailed
from civic_kernel.publish.record import RECORD_NAME, list_files
from civic_kernel.publish.tables import json_bytes
from civic_kernel.verify.page import check_page
from civic_kernel.verify.rerun import rerun
from tests.publish.conftest import Made


def change(folder: Path, place: str, data: bytes) -> None:
    """Another file, and a record that lists it: what a publisher could do who signs whatever stands there."""
    (folder / place).write_bytes(data)
    record = json.loads((folder / RECORD_NAME).read_text("utf-8"))
    (folder / RECORD_NAME).unlink()
    files = list_files(folder)
    (folder / RECORD_NAME).write_bytes(json_bytes({**record, "files": files}))


def notebook_with(folder: Path, source: str) -> bytes:
    """The page's notebook with one more code cell before its last."""
    path = next((folder / "notebook").glob("*.ipynb"))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(4, nbformat.v4.new_code_cell(source))
    return nbformat.writes(notebook).encode("utf-8")


def test_the_notebook_gives_the_same_bytes_without_gateway_account_or_network(
    made: Made, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CIVIC_GATEWAY_URL", "JUPYTERHUB_API_TOKEN", "CIVIC_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    asked = len(made.gateway.asked)
    steps: list[str] = []
    found = rerun(copied / "ko" / "index.html", "en", progress=lambda done, total, title: steps.append(title))
    assert found.same_numbers and found.pages_different == [] and found.tables == 5 and found.numbers > 200
    assert "The map" in steps and len(made.gateway.asked) == asked


@pytest.mark.parametrize("closed", [True, False], ids=["as it is run", "control: an open room"])
def test_a_notebook_that_is_run_again_reaches_nothing(
    copied: Path, monkeypatch: pytest.MonkeyPatch, closed: bool
) -> None:
    if not closed:
        monkeypatch.setattr("civic_kernel.verify.rerun.ROOMS", ("open",))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0.2)
        port = listener.getsockname()[1]
        # Knocks, then ends the run: the rest of the report costs two seconds and adds nothing.
        knock = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)"
        change(copied, "notebook/bike_routes.ipynb", notebook_with(copied, f"{knock}\n1 / 0"))
        with pytest.raises(RunFailed):
            rerun(copied, "en")
        try:
            listener.accept()[0].close()
            heard = True
        except TimeoutError:
            heard = False
    assert heard is not closed


def test_a_notebook_that_makes_other_numbers_is_found_and_the_cell_named(copied: Path) -> None:
    source = "import civic_kernel.methods.rates as r\nplain = r.accident_rates\n" + (
        "def more(*a, **k):\n    t = plain(*a, **k)\n    t.loc[t['gu'] == '중구', 'rate'] += 1\n    return t\n"
        "r.accident_rates = more"
    )
    change(copied, "notebook/bike_routes.ipynb", notebook_with(copied, source))
    found = rerun(copied, "en")
    assert not found.same_numbers
    assert {(one.row, one.column) for one in found.different} == {("중구", "rate")}
    (first, *_) = found.different
    assert int(first.again) == int(first.published) + 1


def test_a_question_that_no_signed_answer_answers_stops_the_rerun(copied: Path) -> None:
    place = next((copied / "notebook").glob("*.told.json"))
    told = json.loads(place.read_text("utf-8"))
    told["asked"] = told["asked"][:1]
    change(copied, place.relative_to(copied).as_posix(), json_bytes(told))
    with pytest.raises(RunFailed):
        rerun(copied, "en")


def test_an_answer_to_another_question_is_not_taken_for_this_one(copied: Path) -> None:
    """A list of questions that lies: the accidents get the answer of the rides."""
    place = next((copied / "notebook").glob("*.told.json"))
    told = json.loads(place.read_text("utf-8"))
    told["asked"][1]["answer_id"] = told["asked"][0]["answer_id"]
    change(copied, place.relative_to(copied).as_posix(), json_bytes(told))
    with pytest.raises(RunFailed):
        rerun(copied, "en")


def test_a_page_that_does_not_say_what_its_run_was_told_is_refused(copied: Path) -> None:
    next((copied / "notebook").glob("*.told.json")).unlink()
    with pytest.raises(NotPublishable):
        rerun(copied, "en")


def test_what_a_run_was_told_names_no_budget_and_nothing_of_today(made: Made) -> None:
    told: dict[str, Any] = json.loads(next((made.folder / "notebook").glob("*.told.json")).read_text("utf-8"))
    assert {line["answer_id"] for line in told["asked"]} == {
        a["answer_id"] for a in made.run.record["answers"]
    }
    for detail in told["datasets"].values():
        assert "teams" not in detail and "signers" not in detail and detail["data_version"] is None
    assert check_page(made.folder).wrong == []


def test_an_altered_page_is_not_run(copied: Path, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from civic_kernel.reports.cli import report

    marker = tmp_path / "ran"
    path = next((copied / "notebook").glob("*.ipynb"))
    path.write_bytes(notebook_with(copied, f"open({str(marker)!r}, 'w').close()"))
    done = CliRunner().invoke(report, ["check", str(copied), "--rerun", "--json"])
    document = json.loads(done.stdout)
    assert not document["good"] and "rerun" not in document and not marker.exists()
