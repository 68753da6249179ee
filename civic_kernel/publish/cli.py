"""`civic publish` makes a release of a run; `civic site build` puts approved releases before citizens."""

from __future__ import annotations

import getpass
import json
from contextlib import suppress
from pathlib import Path

import click

from civic_kernel.settings import public_site, read_settings
from civic_kernel.texts import text


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Where release folders lie; the release gets one under its id.",
)
@click.option("--gateway", help="The gateway's address. Default: CIVIC_GATEWAY_URL.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def publish(run: Path, folder: Path, gateway: str | None, as_json: bool) -> None:
    """실행 결과를 공개 기록으로 냅니다 · Make a release of a run and hand in its record."""
    from civic_kernel.publish.gateway import PublicGateway
    from civic_kernel.publish.printing import Paper
    from civic_kernel.publish.release import make_release
    from civic_kernel.publish.screen import Known
    from civic_kernel.reports.record import read_run

    settings = read_settings()
    source = PublicGateway(gateway or settings.gateway_url, settings.token, settings.language)
    people = []
    with suppress(Exception):  # a seat's uid has no passwd entry
        people.append(getpass.getuser())
    known = Known(
        secrets=(settings.token.reveal(),) if settings.token else (),
        paths=(str(run.resolve()), str(folder.resolve()), str(Path.home())),
        # "root" is nobody's name, and a word of every style sheet.
        people=tuple(name for name in people if name != "root"),
    )
    paper = Paper()
    identity, made = make_release(
        read_run(run, settings.language),
        folder,
        source,
        author=source.public_name(),
        known=known,
        language=settings.language,
        paper=paper,
        address=public_site(),
    )
    if paper.lacking is not None:
        click.echo(text(settings.language, "report", f"print.{paper.lacking}"), err=True)
    if as_json:
        document = {"release_id": identity, "state": "waiting", "folder": str(made)}
        click.echo(json.dumps({**document, "printed": paper.lacking is None}))
    else:
        click.echo(text(settings.language, "report", "release.waiting", release=identity))


@click.group()
def site() -> None:
    """시민 사이트를 짓습니다 · Build the citizens' site."""


@site.command()
@click.option(
    "--gateway", help="The gateway's address; its public app is enough. Default: CIVIC_GATEWAY_URL."
)
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Where release folders lie.",
)
@click.option(
    "--to",
    "public",
    type=click.Path(path_type=Path),
    required=True,
    help="The site's folder (CIVIC_HOME/public).",
)
@click.option(
    "--staging",
    type=click.Path(path_type=Path),
    required=True,
    help="A folder on the same file system that nobody serves (CIVIC_HOME/site).",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
def build(gateway: str | None, folder: Path, public: Path, staging: Path, as_json: bool) -> None:
    """승인된 보고서를 사이트에 싣습니다 · Put every approved release on the site."""
    from civic_kernel.errors import NotPublishable
    from civic_kernel.publish.gateway import PublicGateway
    from civic_kernel.publish.site import build_site
    from civic_kernel.verify.records import read_records

    settings = read_settings()
    source = PublicGateway(gateway or settings.gateway_url, settings.token, settings.language)
    records = read_records(gateway or settings.gateway_url, settings.language)
    folders = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    try:
        parties = source.sources().parties
        built = build_site(
            source.releases(), folders, parties, public, staging, records=records, address=public_site()
        )
    except ValueError:
        reason = text(settings.language, "report", "publish.register")
        raise NotPublishable.say(settings.language, reason=reason) from None
    if as_json:
        listed = [{"release_id": line.id, "slug": line.record["slug"]} for line in built.listed]
        refused = [{"release_id": identity, "reason": reason} for identity, reason in built.refused]
        click.echo(json.dumps({"listed": listed, "refused": refused}))
        return
    for identity, reason in built.refused:
        why = text(settings.language, "report", f"publish.{reason}")
        click.echo(text(settings.language, "citizen", "site.refused", release=identity, reason=why), err=True)
    click.echo(text(settings.language, "citizen", "site.built", count=len(built.listed)))
