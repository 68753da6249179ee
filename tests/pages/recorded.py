"""What the reports were told once, kept beside the tests, so that every page can be made again in a few seconds.

    python -m tests.pages.recorded

asks anew: the whole made-up city behind a real gateway, every notebook once. Needed where a notebook asks another
question; a change of method, chart or template shows against what is kept. Nothing here is secret: it is what a
release carries, from a city that does not exist.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from civic_kernel.reports.heard import Heard

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
FOLDER = Path(__file__).parent / "recorded"
#: In a smaller city there are too few accidents to tell three gu from the rest.
RIDES = 2_000_000


@dataclass(frozen=True)
class Recorded:
    """One report's run record, and what it was told."""

    name: str
    record: Mapping[str, Any]
    told: Mapping[str, Any]
    answers: Mapping[str, Any]
    policies: list[Mapping[str, Any]]
    parties: Mapping[str, Any]

    @property
    def notebook(self) -> Path:
        return NOTEBOOKS / f"{self.name}.ipynb"


def reports() -> list[str]:
    """The notebooks that declare parameters: tutorials do not, and are no pages."""
    return sorted(path.name.removesuffix(".schema.json") for path in NOTEBOOKS.glob("*.schema.json"))


def read(name: str) -> Recorded:
    with gzip.open(FOLDER / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        return Recorded(name, **json.load(file))


def keep(name: str, run: Mapping[str, Any], release: Path) -> None:
    """Of a run and the release folder made from it."""

    def whole(place: str) -> Any:
        return json.loads((release / place).read_text("utf-8"))

    document = {
        "record": {part: run[part] for part in ("report", "parameters", "team", "purpose", "finished_at")},
        "told": whole(f"notebook/{name}.told.json"),
        "answers": {
            path.stem: whole(f"answers/{path.name}") for path in sorted((release / "answers").iterdir())
        },
        "policies": [whole(f"policies/{path.name}") for path in sorted((release / "policies").iterdir())],
        "parties": whole("parties.json"),
    }
    FOLDER.mkdir(exist_ok=True)
    data = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    # Without a moment in it: the same answers are the same file.
    (FOLDER / f"{name}.json.gz").write_bytes(gzip.compress(data, 9, mtime=0))


class _Ear:
    """A channel whose other end is in the same process: what a run says is heard at once."""

    def __init__(self) -> None:
        self.heard = Heard(lambda _: None)

    def send(self, said: dict[str, Any]) -> None:
        self.heard.hear(json.loads(json.dumps(said)))


def execute(recorded: Recorded) -> str:
    """The notebook of today with the answers of then; as text, with its outputs. Raises AssertionError where a cell
    fails, as where it asks what was not asked then."""
    import nbformat

    from civic_kernel.reports import inside
    from civic_kernel.reports.runner import with_last_cell

    request = {
        "notebook": nbformat.writes(with_last_cell(recorded.notebook.read_bytes())),
        "parameters": recorded.record["parameters"],
        "team": recorded.record["team"],
        "purpose": recorded.record["purpose"],
        "language": recorded.told["language"],
        "evidence": {"answers": recorded.answers, "parties": recorded.parties, "told": recorded.told},
    }
    ear = _Ear()
    inside.execute(request, ear)  # type: ignore[arg-type]  # it is only told, never asked
    done = ear.heard.outcome(None)
    assert not done.failed, f"{recorded.name}: {done.failed}; python -m tests.pages.recorded asks anew"
    return nbformat.writes(done.executed)


def execute_all(names: list[str]) -> dict[str, str]:
    """Two at once, each in a process of its own, forked from one that has imported what notebooks use."""
    context = get_context("forkserver")
    context.set_forkserver_preload(
        ["civic_kernel.reports.inside", "civic_kernel.maps", "geopandas", "scipy.stats"]
    )
    with ProcessPoolExecutor(2, mp_context=context, max_tasks_per_child=1) as pool:
        return dict(zip(names, pool.map(execute, [read(name) for name in names]), strict=True))


def main() -> None:
    from civic_kernel.client import Client
    from civic_kernel.publish.pages import Sources, build_release
    from civic_kernel.reports.record import read_run
    from civic_kernel.reports.runner import Request, run_report
    from civic_kernel.settings import Settings, Token
    from data_access.compose import Settings as VaultSettings
    from data_access.compose import compose
    from data_access.demo import prepare as demo
    from data_access.gateway.workspace import workspace_app
    from tests.factories import FakeIdentity, make_caller
    from tests.gateway.serving import served

    with tempfile.TemporaryDirectory(prefix="civic-recorded-") as folder:
        home = Path(folder) / "home"
        demo.install_catalog(home / "catalog")
        database = f"sqlite:///{home / 'db' / 'vault.sqlite'}"
        parts = compose(VaultSettings(home=home, database_url=database, isolated=False), create=True)
        try:
            demo.prepare(parts, rides=RIDES, seed=2017, progress=lambda *said: print(*said, flush=True))
            callers = {"recorded": make_caller("reports", ["site"], "ask", "read")}
            with served(workspace_app(parts, FakeIdentity(callers))) as address:
                token = Token("recorded")
                settings = Settings(f"{address}/services/data", "site", "published_report", "ko", token)
                client = Client(settings.gateway_url, token, "site", "published_report")
                sources = Sources(client.get("/v1/policies"), client.get("/v1/parties"))
                client.close()
                for name in reports():
                    print(name, flush=True)
                    out = Path(folder) / name
                    run_report(Request(NOTEBOOKS / f"{name}.ipynb", {}), out / "run", settings)
                    run = read_run(out / "run")
                    build_release(run, out / "release", sources, author="service-reports")
                    keep(name, run.record, out / "release")
        finally:
            parts.close()


if __name__ == "__main__":
    main()
