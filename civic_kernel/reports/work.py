"""One report from its notebook to its page, in a folder that appears whole.

FOLDER/run/            the run (civic_kernel.reports.record)
FOLDER/page/           what would be published: {ko,en}/index.html, method pages, CSVs, answers, record
or, where it failed,
FOLDER/page/index.html what a person is told: where it stopped, what happened, what to try
FOLDER/partial.ipynb   the notebook with what its cells had shown until then, if any had begun

Everything is made in a folder beside it and renamed at the end: whoever is killed in the middle, nobody sees half.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from civic_kernel.errors import CivicError
from civic_kernel.reports.outcome import Bounds
from civic_kernel.reports.runner import Progress, Request, run_report
from civic_kernel.settings import Settings, warm_socket
from civic_kernel.texts import Language, templates_root, text

if TYPE_CHECKING:
    from civic_kernel.publish.pages import Sources

PAGE, RUN, PARTIAL = "page", "run", "partial.ipynb"


@dataclass(frozen=True)
class Public:
    """What a page needs beside its run: the gateway's public documents, and the author's name in public records."""

    sources: Sources
    author: str


@dataclass(frozen=True)
class Report:
    """One report of a batch: its title in both languages, the parameters, and how the run is bounded."""

    request: Request
    title: Mapping[Language, str]
    bounds: Bounds
    only_forked: bool = False


def read_public(settings: Settings) -> Public:
    """Asked of the gateway once for a whole batch. Raises GatewayUnreachable, BadAnswer or a refusal."""
    from civic_kernel.publish.gateway import PublicGateway

    gateway = PublicGateway(settings.gateway_url, settings.token, settings.language)
    return Public(gateway.sources(), gateway.public_name())


def make_report(
    report: Report, folder: Path, settings: Settings, public: Public, progress: Progress | None = None
) -> None:
    """Run it, make its page, and put both into `folder`, in place of what may be there.

    Raises what run_report and build_release raise; `folder` then holds the page that says so.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    seen = _Seen(progress)
    try:
        try:
            run_report(
                report.request,
                staged / RUN,
                settings,
                progress=seen,
                bounds=report.bounds,
                partial=staged / PARTIAL,
                only_forked=report.only_forked,
            )
            _make_page(staged, settings, public, report.bounds)
        except CivicError as fault:
            shutil.rmtree(staged / PAGE, ignore_errors=True)
            _tell(staged, report, settings, seen, fault)
            raise
        finally:
            if (staged / PAGE).is_dir():
                _put(staged, folder)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _put(staged: Path, folder: Path) -> None:
    if folder.exists():
        # What failed before: out of sight first, since a rename goes onto an empty folder only.
        old = Path(tempfile.mkdtemp(prefix=".old-", dir=folder.parent))
        os.rename(folder, old / "old")
        os.rename(staged, folder)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(staged, folder)


class _Seen:
    """The cells that began, for the page of a run that fails."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self.done, self.total = 0, 0
        self.titles: list[str] = []

    def __call__(self, done: int, total: int, title: str) -> None:
        self.done, self.total = done, total
        self.titles.append(title)
        if self._progress is not None:
            self._progress(done, total, title)


# --- the page of a whole run ---


def _make_page(staged: Path, settings: Settings, public: Public, bounds: Bounds) -> None:
    from civic_kernel import warm

    template = warm_socket()
    if template is not None:
        try:
            _write_page(staged / PAGE, _forked_page(template, staged / RUN, settings, public, bounds))
            return
        except (warm.NoTemplate, warm.Refused):
            pass  # made here instead: it is a matter of time alone
    from civic_kernel.publish.pages import build_release
    from civic_kernel.reports.record import read_run

    build_release(
        read_run(staged / RUN, settings.language),
        staged / PAGE,
        public.sources,
        author=public.author,
        known=_known(settings),
        language=settings.language,
    )


def _forked_page(
    template: str, run: Path, settings: Settings, public: Public, bounds: Bounds
) -> dict[str, bytes]:
    """In a process of its own beside the runs': the libraries for pages are imported there, the work is done on another
    core, and markup that is made to choke a parser chokes that one."""
    from civic_kernel.reports import forked

    parts = {
        "record": "run.json",
        "source": "notebook.ipynb",
        "schema": "schema.json",
        "executed": "executed.ipynb",
    }
    known = _known(settings)
    order = {
        "run": {name: (run / file).read_text("utf-8") for name, file in parts.items()},
        "policies": public.sources.policies,
        "parties": public.sources.parties,
        "author": public.author,
        "secrets": known.secrets,
        "paths": known.paths,
        "people": known.people,
    }
    return forked.make_page(template, order, settings, bounds)


def _known(settings: Settings) -> Any:
    from civic_kernel.publish.screen import Known

    return Known(secrets=(settings.token.reveal(),) if settings.token else (), paths=(str(Path.home()),))


def _write_page(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise ValueError("a page's file outside of it")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


# --- the page of one that failed ---


def _tell(staged: Path, report: Report, settings: Settings, seen: _Seen, fault: CivicError) -> None:
    page = staged / PAGE
    page.mkdir()
    if (staged / RUN / "executed.ipynb").is_file():
        # It ran, and its page may not leave: the work is still the person's.
        os.replace(staged / RUN / "executed.ipynb", staged / PARTIAL)
        shutil.rmtree(staged / RUN)
    rendered = failure_page(
        settings,
        title=report.title[settings.language],
        fault=fault,
        begun=seen.titles,
        total=seen.total,
        partial=(staged / PARTIAL).is_file(),
    )
    (page / "index.html").write_text(rendered, "utf-8")


def failure_page(
    settings: Settings, *, title: str, fault: CivicError, begun: list[str], total: int, partial: bool
) -> str:
    """For people: which cell, what happened, what to try. `begun` are the cells' names in the order of running."""
    import jinja2

    from civic_kernel.publish import look

    root = templates_root()
    language = settings.language
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([root / "report", root / "citizen"]),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("failed.html.j2").render(
        t=lambda key, **facts: text(language, "report", key, **facts),
        language=language,
        styles=look.styles(),
        script="",
        policy=look.content_policy([]),
        title=title,
        fault=fault,
        begun=begun,
        total=total,
        partial=partial,
    )
