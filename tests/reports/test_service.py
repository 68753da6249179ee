"""The service that runs reports for people: real HTTP, a real template, a stand-in for the Hub and the gateway."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from civic_kernel.errors import NotSignedIn
from civic_kernel.reports.outcome import Bounds
from civic_kernel.reports.service.app import reports_app
from civic_kernel.reports.service.desk import Desk, Place
from civic_kernel.reports.service.identity import ASK, Caller, bearer
from civic_kernel.settings import Settings, Token
from civic_kernel.texts import Language
from tests.gateway.serving import served
from tests.reports import standin
from tests.reports.conftest import Write

pytestmark = pytest.mark.usefixtures("warm")
ANN, BEN = standin.TOKEN, "be20c0ffee" * 3
ASKS = """
import civic_kernel as civic
rides = civic.dataset("bike_rides")
rides.by(rides.start_gu).agg(rides=civic.count()).ask({"rho": "0.01"}, quiet=True)
"""
SAID = """
from civic_kernel.publish import blocks
blocks.message(ko=f"{year}년에는 그랬습니다.", en=f"So it was in {year}.")
"""


class FakeHub:
    """Knows tokens; everything behind it is real."""

    def __init__(self) -> None:
        self.scopes = {ANN: ("ann", {ASK}), BEN: ("ben", {ASK})}

    def caller(self, authorization: str | None, language: Language) -> Caller:
        token = bearer(authorization, language)
        if token not in self.scopes:
            raise NotSignedIn.say(language)
        name, scopes = self.scopes[token]
        return Caller(name, Token(token), frozenset(scopes))


@dataclass
class Service:
    url: str
    hub: FakeHub
    folder: Path
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=200))

    def ask(self, method: str, path: str, body: Any = None, token: str = ANN) -> httpx.Response:
        headers = {"Authorization": f"token {token}", "Accept-Language": "en"}
        return self.http.request(method, self.url + path, json=body, headers=headers)

    def order(self, wanted: dict[str, Any], token: str = ANN, **more: Any) -> httpx.Response:
        body = {"key": "a key of mine", "pay": "0.12", **wanted, **more}
        return self.ask("POST", "/v1/runs", body, token)

    def end(self, identity: str, token: str = ANN) -> dict[str, Any]:
        """The batch once nothing of it waits or runs."""
        return self.until(identity, lambda d: d["state"] not in ("waiting", "running"), token)

    def until(self, identity: str, good: Any, token: str = ANN) -> dict[str, Any]:
        end = time.monotonic() + 200
        while True:
            document: dict[str, Any] = self.ask("GET", f"/v1/runs/{identity}", token=token).json()
            if good(document):
                return document
            assert time.monotonic() < end, document
            time.sleep(0.05)


@contextmanager
def serving(
    folder: Path, notebooks: Path, settings: Settings, width: int = 2, most: int = 100
) -> Iterator[Service]:
    hub = FakeHub()
    place = Place(notebooks, folder, settings.gateway_url, Bounds(200, 300 << 20))
    desk = Desk(place, width, most)
    try:
        with served(reports_app(desk, hub, "/services/reports/")) as address:
            service = Service(f"{address}/services/reports", hub, folder)
            with service.http:
                yield service
    finally:
        desk.close()


@pytest.fixture
def wanted() -> dict[str, Any]:
    return {"report": "small", "parameters": {}, "team": "site", "purpose": "safety"}


def test_a_batch_is_priced_once_watched_and_read(
    write: Write, settings: Settings, gateway: standin.Gateway, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    notebook = write(ASKS, SAID)
    wanted["each"] = {"year": [2024, 2025, 2026]}
    with serving(tmp_path / "batches", notebook.parent, settings) as service:
        [offered] = service.ask("GET", "/v1/reports").json()["reports"]
        assert offered["name"] == "small" and "year" in offered["schema"]["properties"]
        price = service.ask("POST", "/v1/runs/price", wanted).json()
        months = len(standin.MONTHS)
        assert (price["runs"], price["whole"], price["rho"]) == (3, True, 10_000_000 * months)
        [question] = price["questions"]
        assert question["words"] == "Rides by District: rides" or "rides" in question["words"]
        assert "±" in question["precision"] and question["rho"] == 10_000_000
        assert gateway.asked == [], "a price touches no data"

        refused = service.order(wanted, pay=price["rho"] - 1)
        assert refused.status_code == 409 and refused.json()["code"] == "price_above"
        ordered = service.order(wanted, pay=price["rho"])
        assert ordered.status_code == 202 and gateway.releases == {}
        identity = ordered.json()["id"]
        assert service.order(wanted, pay=price["rho"]).json()["id"] == identity, "the same order twice is one"
        other = service.order({**wanted, "purpose": "health"}, pay=price["rho"])
        assert other.json()["code"] == "key_reused"

        ended = service.end(identity)
        assert ended["state"] == "done" and ended["done"] == 3, ended
        assert [run["parameters"]["year"] for run in ended["runs"]] == [2024, 2025, 2026]
        assert all(run["done"] == run["total"] == 5 for run in ended["runs"])
        page = service.ask("GET", f"/v1/runs/{identity}/{ended['runs'][1]['page']}")
        assert "So it was in 2025." in page.text
        assert page.headers["content-security-policy"] == "sandbox allow-scripts"
        [line] = service.ask("GET", "/v1/runs").json()["runs"]
        assert line["id"] == identity and line["runs"] == 3
        # Nobody else sees it, or learns that it is there; and no file but the page's comes out.
        for path in ("", "/pages/1/en/index.html"):
            assert service.ask("GET", f"/v1/runs/{identity}{path}", token=BEN).json()["code"] == "unknown_run"
        assert service.ask("GET", "/v1/runs", token=BEN).json() == {"runs": []}
        for path in ("../run/run.json", "..%2f..%2fbatch.json", "%2fetc%2fpasswd", "", "ko"):
            assert service.ask("GET", f"/v1/runs/{identity}/pages/1/{path}").status_code == 404
        written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert ANN.encode() not in written, "a token lies in no file"


def test_what_cannot_be_run_is_refused_before_anything_starts(
    write: Write, settings: Settings, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    notebook = write(ASKS)
    with serving(tmp_path / "batches", notebook.parent, settings) as service:

        def code(token: str = ANN, **changed: Any) -> tuple[int, str]:
            answer = service.order({**wanted, **changed}, token)
            return answer.status_code, answer.json()["code"]

        assert code(token="nobody's") == (401, "not_signed_in")
        assert code(report="../small") == (404, "unknown_report")
        assert code(parameters={"month": 1}) == (400, "parameter_unknown")
        assert code(parameters={"year": "2026"}) == (400, "parameter_invalid")
        assert code(each={"gu": ["x"]}) == (400, "parameter_unknown")
        assert code(each={"year": list(range(2000, 2101))}) == (400, "malformed_request")
        assert code(pay="much") == (400, "malformed_request")
        assert code(surprise=1) == (400, "malformed_request")
        # A token that can do more than ask is not handed to a notebook; one that may not ask runs none.
        for more in ("custom:civic:approve:city", "custom:civic:load:cso", "custom:civic:release"):
            service.hub.scopes[BEN] = ("ben", {ASK, more})
            assert code(token=BEN) == (403, "not_allowed")
        service.hub.scopes[BEN] = ("ben", {"custom:civic:read"})
        assert code(token=BEN) == (403, "not_allowed")
        huge = service.ask("POST", "/v1/runs", {**wanted, "parameters": {"year": "x" * 70_000}})
        assert huge.status_code == 413
        assert service.ask("PUT", "/v1/runs").status_code == 404
        assert list((tmp_path / "batches").iterdir()) == []


def test_a_batch_is_cancelled_and_resumed_and_two_persons_take_turns(
    write: Write, settings: Settings, gateway: standin.Gateway, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    gateway.tokens.add(BEN)
    notebook = write(ASKS, SAID)
    with serving(tmp_path / "batches", notebook.parent, settings, width=1) as service:
        gateway.held = {ANN}
        ann = service.order({**wanted, "each": {"year": [2001, 2002, 2003]}}).json()["id"]
        service.until(ann, lambda d: d["runs"][0]["done"] == 3)
        ben = service.order({**wanted, "parameters": {"year": 2004}}, BEN).json()["id"]
        # Behind the one that runs, not behind all of somebody's batch.
        assert service.ask("GET", f"/v1/runs/{ben}", token=BEN).json()["place"] == 0
        assert service.ask("GET", f"/v1/runs/{ann}").json()["place"] == 1
        assert service.ask("DELETE", f"/v1/runs/{ann}", token=BEN).status_code == 404

        began = time.monotonic()
        assert service.ask("DELETE", f"/v1/runs/{ann}").status_code == 200
        ended = service.end(ann)
        assert time.monotonic() - began < 20, "a run that waits for an answer is ended all the same"
        assert ended["state"] == "cancelled"
        assert {run["code"] for run in ended["runs"]} == {"run_cancelled"}
        told = service.ask("GET", f"/v1/runs/{ann}/{ended['runs'][0]['page']}").text
        assert "The run was stopped." in told and "step 1" in told
        kept = service.ask("GET", f"/v1/runs/{ann}/{ended['runs'][0]['partial']}")
        assert kept.headers["content-disposition"].startswith("attachment")
        assert len(kept.json()["cells"]) == 5

        gateway.held = set()
        assert service.end(ben, BEN)["state"] == "done"
        assert service.ask("POST", f"/v1/runs/{ann}/resume").status_code == 202
        ended = service.end(ann)
        assert ended["state"] == "done" and ended["done"] == 3
        assert "So it was in 2002." in service.ask("GET", f"/v1/runs/{ann}/{ended['runs'][1]['page']}").text
        done = service.ask("POST", f"/v1/runs/{ann}/resume").json()
        assert done["state"] == "done", "what is done is not run again"


def test_a_service_that_starts_again_keeps_what_is_done_and_says_what_was_cut_off(
    write: Write, settings: Settings, gateway: standin.Gateway, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    notebook = write(ASKS, SAID)
    with serving(tmp_path / "batches", notebook.parent, settings, width=1) as service:
        identity = service.order({**wanted, "each": {"year": [2001, 2002]}}).json()["id"]
        service.until(identity, lambda d: d["done"] == 1)
        # As kill -9 leaves it: its last state on the disk, and a folder that was being made.
        left = tmp_path / "killed"
        shutil.copytree(tmp_path / "batches", left)
    (left / identity / ".2-half" / "page").mkdir(parents=True)
    (left / identity / ".2-half" / "page" / "index.html").write_text("<p>half")
    with serving(left, notebook.parent, settings) as service:
        found = service.ask("GET", f"/v1/runs/{identity}").json()
        assert [run["state"] for run in found["runs"]] == ["done", "failed"] and found["state"] == "partly"
        assert found["runs"][1]["code"] == "run_interrupted" and found["runs"][1]["page"] is None
        assert service.ask("GET", f"/v1/runs/{identity}/{found['runs'][0]['page']}").status_code == 200
        assert service.ask("GET", f"/v1/runs/{identity}/pages/2/index.html").status_code == 404
        assert not (left / identity / ".2-half").exists()
        service.ask("POST", f"/v1/runs/{identity}/resume")
        assert service.end(identity)["state"] == "done"


def test_one_person_cannot_fill_the_queue(
    write: Write, settings: Settings, gateway: standin.Gateway, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    notebook = write(ASKS)
    gateway.held = {ANN}
    with serving(tmp_path / "batches", notebook.parent, settings, most=2) as service:
        assert service.order({**wanted, "each": {"year": [2001, 2002]}}).status_code == 202
        more = service.order({**wanted, "parameters": {"year": 2003}}, key="one too many")
        assert more.status_code == 409 and more.json()["code"] == "runs_full"
