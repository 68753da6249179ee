"""`civic demo report` and `civic demo up`: the whole way on the made-up city, one step after another.

Each step is a verb that a person could type herself; this module only says in which order, as which system
user, and shows how far it is. It starts nothing that it does not end.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hub_config.cli import _refusals as refusals
from hub_config.client import make_link
from hub_config.errors import StepFailed
from hub_config.home import REPORTS_USER, SITE_USER, prepare, user_ids, warm_socket
from hub_config.members.people import People, open_people
from hub_config.settings import PREFIX, PYTHON, Settings, checkout_path
from hub_config.starting.running import Workspace, find_running, start
from hub_config.texts import text

TEAM = "bike"
#: Name, role, Korean and English display name. The stewards' names stand in the register of parties.
PEOPLE = (
    ("expert", "expert", "전문가 한별", "Expert Hanbyeol"),
    ("analyst", "analyst", "시민단체 분석가 다온", "CSO analyst Daon"),
    ("facilitator", "facilitator", "진행자 새봄", "Facilitator Saebom"),
    ("steward-city", "city_steward", "시청 담당자 가람", "City steward Garam"),
    ("steward-cso", "cso_steward", "시민단체 담당자 누리", "CSO steward Nuri"),
)
LINK_DAYS = 7
#: The notebooks that are published, by name; `make report` publishes the first.
REPORTS = ("bike_routes", "meal_cards", "fine_dust", "donations", "parks")
#: Runs beside each other: a demonstration has two cores, and each run keeps one busy.
AT_ONCE = 2


@dataclass(frozen=True)
class Runner:
    """Runs verbs as the system user that each belongs to."""

    settings: Settings
    quiet: bool

    def say(self, step: int, key: str) -> None:
        if not self.quiet:
            sentence = text(self.settings.language, f"demo.step.{key}")
            click.echo(f"[{step}/{_STEPS}] {sentence}", err=True)

    def tell(self, line: str) -> None:
        if not self.quiet:
            click.echo(f"      {line}", err=True)

    def verb(
        self,
        *words: str,
        user: str | None = None,
        extra: Mapping[str, str] | None = None,
        silent: bool = False,
    ) -> Any:
        """The JSON document of `civic WORDS --json`. Raises StepFailed with the verb's own sentence.

        A verb tells how far it is, unless `silent`: two at once would speak between each other's lines.
        """
        environment = _environment(self.settings, extra or {})
        identity: dict[str, Any] = {}
        if user is not None and self.settings.is_root:
            uid, gid = user_ids(user)
            identity = {"user": uid, "group": gid, "extra_groups": []}
        done = subprocess.run(
            # -P: the current folder must not come first on the path of a process of another user.
            [PYTHON, "-P", "-m", "civic_kernel.cli", *words, "--json"],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if self.quiet or silent else None,
            check=False,
            **identity,
        )
        try:
            document = json.loads(done.stdout)
        except ValueError:
            document = {}
        if done.returncode != 0:
            raise StepFailed(step=" ".join(words[:2]), reason=str(document.get("message", "")))
        return document


_STEPS = 7


def publish_report(settings: Settings, rides: int, quiet: bool) -> Path:
    """The main job, from nothing to the Korean page on the citizen site; that page's absolute path."""
    with Prepared(settings, rides, quiet) as workspace:
        return publish(workspace, Runner(settings, quiet))


class Prepared:
    """The prepared workspace: started here and stopped at the end, unless it was running already."""

    def __init__(self, settings: Settings, rides: int, quiet: bool) -> None:
        self._settings, self._rides, self._quiet = settings, rides, quiet
        self._ours: Workspace | None = None

    def __enter__(self) -> Workspace:
        running = find_running(self._settings)
        if running is not None:
            return running
        runner = Runner(self._settings, self._quiet)
        runner.say(1, "prepare")
        prepare(self._settings)
        runner.verb("demo-city", "prepare", "--rides", str(self._rides))
        runner.say(2, "people")
        _add_people(self._settings)
        runner.say(3, "start")
        self._ours = start(self._settings, lambda _sentence: None)
        return self._ours

    def __exit__(self, *_: object) -> None:
        if self._ours is not None:
            self._ours.stop()


def publish(workspace: Workspace, runner: Runner, reports: Sequence[str] = REPORTS[:1]) -> Path:
    """Run, release, approve and put on the site; the Korean page of the first of `reports`. Raises StepFailed."""
    settings = workspace.settings
    home: Path = settings.home
    extra = {
        "CIVIC_GATEWAY_URL": settings.gateway_url,
        "CIVIC_TOKEN_FILE": str(home / "reports.token"),
        "CIVIC_WARM_SOCKET": str(warm_socket(settings)),
        "CIVIC_TEAM": "site",
        "CIVIC_PURPOSE": "published_report",
        "HOME": str(home / "runs"),
    }
    releases = home / "runs" / "releases"
    # Where the users that run it can read it.
    notebooks = (checkout_path() or PREFIX / "share" / "civic") / "notebooks"

    def run(name: str) -> Path:
        out = home / "runs" / name.replace("_", "-")
        _forget(out)
        runner.verb(
            *("report", "run", str(notebooks / f"{name}.ipynb"), "--out", str(out)),
            user=REPORTS_USER,
            extra=extra,
            silent=len(reports) > 1,
        )
        runner.tell(json.loads((out / "schema.json").read_bytes())["label"][settings.language])
        return out

    def release(out: Path) -> str:
        made = runner.verb("publish", str(out), "--to", str(releases), user=REPORTS_USER, extra=extra)
        return str(made["release_id"])

    # Leaving the pool waits for what runs, so that nothing goes on after a failure that is told.
    with ThreadPoolExecutor(AT_ONCE) as pool:
        runner.say(4, "run")
        runs = list(pool.map(run, reports))
        runner.say(5, "release")
        made = list(pool.map(release, runs))
    runner.say(6, "approve")
    runner.verb("demo-city", "approve", *made)
    _witness(settings, runner)
    runner.say(7, "site")
    built = runner.verb(
        *("site", "build", "--from", str(releases), "--to", str(home / "public")),
        *("--staging", str(home / "site")),
        user=SITE_USER,
        extra={"CIVIC_GATEWAY_URL": settings.site_url},
    )
    slugs = {line["release_id"]: str(line["slug"]) for line in built["listed"]}
    if not set(made) <= set(slugs):
        kept_off = [line["reason"] for line in built["refused"] if line["release_id"] in made]
        raise StepFailed(step="site build", reason=", ".join(kept_off))
    return home / "public" / "reports" / slugs[made[0]] / "ko" / "index.html"


def _witness(settings: Settings, runner: Runner) -> None:
    """Both sides' computers sign the chain's head, as they do at each release. Here both are this machine, which a
    real party's never is."""
    folder = settings.home / "demo"
    for side in ("city", "cso"):
        key, keep = folder / "keys" / f"{side}.witness.demo.pem", folder / f"heads-{side}.jsonl"
        runner.verb("audit", "witness", settings.site_url, "--key", str(key), "--keep", str(keep))


def _forget(run: Path) -> None:
    """An earlier run of the demonstration: its answers are stored with the gateway and cost nothing again."""
    shutil.rmtree(run, ignore_errors=True)


def _environment(settings: Settings, extra: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the caller's but the language of her terminal: these verbs run as other users."""
    environment = {
        "PATH": f"{PREFIX}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "ko_KR.UTF-8" if settings.language == "ko" else "C.UTF-8",
        "HOME": "/nonexistent",
        "TZ": "Asia/Seoul",
        "CIVIC_LANGUAGE": settings.language,
        "PYTHONUTF8": "1",
        **{name: value for name, value in settings.environment().items() if value},
        **extra,
    }
    checkout = checkout_path()
    if checkout is not None:
        environment["PYTHONPATH"] = str(checkout)
    return environment


def _add_people(settings: Settings) -> None:
    people = open_people(settings)
    try:
        known = set(people.names())
        if TEAM not in people.teams():
            people.add_team(TEAM, "자전거 모임", "Bike group")
            people.add_room(TEAM)
        for name, role, korean, english in PEOPLE:
            if name not in known:
                people.add_person(
                    name,
                    display_ko=korean,
                    display_en=english,
                    language=settings.language,
                    roles=[role],
                    teams=[TEAM] if role in ("expert", "analyst", "facilitator") else [],
                )
    finally:
        people.close()


def _links(settings: Settings, people: People) -> list[tuple[str, str]]:
    """Display name and a fresh link of each person of the demonstration."""
    made = []
    for name, *_ in PEOPLE:
        secret = people.add_link(name, lifetime_s=LINK_DAYS * 86_400)
        link = make_link(settings.workspace_url, secret)
        made.append((people.account(name).display(settings.language), link))
    return made


@click.group()
def demo() -> None:
    """시연 · The demonstration on the made-up city."""


_rides = click.option(
    "--rides", default=2_000_000, show_default=True, help="Size of the made-up city, in rides a year."
)
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")


@demo.command()
@_rides
@_json
@refusals
def report(settings: Settings, rides: int, as_json: bool) -> None:
    """Do the whole job once without a browser; the last line is the Korean page's path."""
    page = publish_report(settings, rides, quiet=as_json)
    click.echo(json.dumps({"page": str(page)}) if as_json else str(page))


@demo.command()
@_rides
@_json
@refusals
def up(settings: Settings, rides: int, as_json: bool) -> None:
    """Publish the reports, print everybody's links, and stay up until Ctrl-C."""
    with Prepared(settings, rides, as_json) as workspace:
        page = publish(workspace, Runner(settings, as_json), REPORTS)
        people = open_people(settings)
        try:
            links = _links(settings, people)
        finally:
            people.close()
        if as_json:
            document = {
                "workspace": settings.workspace_url,
                "site": settings.site_url,
                "page": str(page),
                "links": [{"name": name, "link": link} for name, link in links],
            }
            click.echo(json.dumps(document, ensure_ascii=False))
        else:
            _tell(settings, page, links)
        _stay(workspace)


def _stay(workspace: Workspace) -> None:
    """Until Ctrl-C, SIGTERM, or the workspace's own end."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    while workspace.is_running() and not stop.wait(0.3):
        pass


def _tell(settings: Settings, page: Path, links: Sequence[tuple[str, str]]) -> None:
    language = settings.language
    click.echo(text(language, "up.workspace", url=settings.workspace_url))
    for name, link in links:
        click.echo(f"  {name}: {link}")
    click.echo(text(language, "up.site", url=settings.site_url))
    click.echo(text(language, "demo.page", path=page))
    if not settings.isolated:
        click.echo(text(language, "banner.shared"))
    click.echo(text(language, "up.until"))
