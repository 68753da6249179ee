"""The vault side's verbs: `civic data|policy|demo-city …`.

Run as root, a verb becomes `civic-vault` before it opens anything: what root creates in the vault, the gateway
could not read. Every refusal is one sentence and what to do next; `--json` prints one document and nothing
else.
"""

from __future__ import annotations

import functools
import json
import os
import pwd
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from data_access.errors import CivicError, InternalFault, LedgerUnavailable
from data_access.texts import Language, text

if TYPE_CHECKING:
    from data_access.parties import Register, Signature
    from data_access.policy import OpenPolicy, Policy

    Signatures = tuple[Signature, ...]

VAULT_USER = "civic-vault"

F = TypeVar("F", bound=Callable[..., Any])


def language() -> Language:
    """Of the person at the terminal: `LC_ALL`/`LANG`; English unless they say Korean."""
    chosen = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "ko" if chosen.lower().startswith("ko") else "en"


def become_vault() -> None:
    """From root to the vault's user, for good. A machine without that user stays as it is (no isolation)."""
    if os.geteuid() != 0:
        return
    try:
        user = pwd.getpwnam(VAULT_USER)
    except KeyError:
        return
    os.initgroups(VAULT_USER, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ.update(HOME=user.pw_dir, USER=VAULT_USER, LOGNAME=VAULT_USER)


def verb(function: F, *, as_vault: bool = True) -> F:
    """A verb that refuses in sentences, with the refusal's own exit code, and prints JSON on demand."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
    @functools.wraps(function)
    def run(*args: Any, as_json: bool, **kwargs: Any) -> None:
        if as_vault:
            become_vault()
        try:
            document = function(*args, **kwargs)
        except CivicError as refusal:
            _refuse(refusal, as_json)
        except (click.ClickException, click.exceptions.Exit, SystemExit):
            raise
        except Exception:
            # The text of a foreign exception may hold a value, so it is not shown.
            _refuse(InternalFault(), as_json)
        else:
            if as_json:
                click.echo(json.dumps(document, ensure_ascii=False))
            elif isinstance(document, dict) and "say" in document:
                click.echo(document["say"])
            else:
                click.echo(json.dumps(document, ensure_ascii=False, indent=1))

    return run  # type: ignore[return-value]


def _refuse(refusal: CivicError, as_json: bool) -> None:
    spoken = language()
    message = text(spoken, "errors", f"{refusal.code}.message", **refusal.facts)
    remedy = text(spoken, "errors", f"{refusal.code}.remedy", **refusal.facts)
    if as_json:
        click.echo(
            json.dumps({"code": refusal.code, "message": message, "remedy": remedy}, ensure_ascii=False)
        )
    else:
        click.echo(f"{message}\n→ {remedy}", err=True)
    sys.exit(refusal.exit_code)


@contextmanager
def workspace(create: bool = False) -> Iterator[Any]:
    """The composed vault side. Imported here, since `civic --help` must not wait for DuckDB."""
    from data_access.compose import compose, read_settings

    settings = read_settings()
    if not create and not (settings.home / "db").exists() and settings.database_url.startswith("sqlite"):
        raise LedgerUnavailable()
    parts = compose(settings, create=create)
    try:
        yield parts
    finally:
        parts.close()


def show_progress(stage: str, fraction: float) -> None:
    """One line a stage, on standard error, redrawn only at a terminal."""
    if sys.stderr.isatty():
        click.echo(f"\r{stage:<18} {fraction:4.0%}", nl=fraction >= 1.0, err=True)
    elif fraction in (0.0, 1.0):
        click.echo(f"{stage} {'…' if fraction < 1 else 'done'}", err=True)


@click.group()
def data() -> None:
    """Load operators' files into the vault."""


@data.command("load")
@click.argument("dataset")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--tables", type=click.Path(path_type=Path), help="Folder of the public tables (default: the files')."
)
@click.option(
    "--until",
    type=click.DateTime(["%Y-%m"]),
    metavar="YYYY-MM",
    help="The last month that the files cover whole (default: the last one that is over). How much the row bound "
    "leaves out of a month is published once, so a month whose files are still to come must wait.",
)
@verb
def data_load(
    dataset: str, files: tuple[Path, ...], tables: Path | None, until: datetime | None
) -> dict[str, Any]:
    """Take FILES as the next version of DATASET. A bad file changes nothing."""
    from data_access.flows.loading import load

    with workspace() as parts:
        with parts.database.reading() as connection:
            force = parts.governing.in_any_lane(connection, dataset)
        version = load(
            parts.vault,
            force.entry,
            files,
            lineage=force.policy.lineage,
            policy=force.policy,
            by="operator",
            tables=tables,
            until=until.strftime("%Y-%m") if until else None,
            progress=show_progress,
        )
        published = parts.lost.publish(dataset)
    return {
        "dataset": dataset,
        "version": version.number,
        "lost_share_published": list(published),
        "say": text(language(), "cli", "loaded", dataset=dataset, version=version.number),
    }


@click.group()
def policy() -> None:
    """Check, sign, verify and activate policies."""


@policy.command("check")
@click.argument("file", type=click.Path(path_type=Path))
@verb
def policy_check(file: Path) -> dict[str, Any]:
    """Whether FILE is a well-formed policy, and the hash that both sides sign."""
    from data_access.flows.governing import read_policy

    found, _ = read_policy(file)
    return {
        "dataset": found.dataset,
        "version": found.version,
        "hash": found.hash(),
        "promise": (promise := found.promise()),
        "say": text(language(), "cli", "policy_checked", dataset=found.dataset, hash=found.hash())
        + ("\n" + text(language(), "cli", "policy_promise", **promise) if promise else ""),
    }


def signs(function: F) -> F:
    """A verb that adds a signature to FILE's .sigs.json, as whoever calls it: the key is hers."""
    for option in (
        click.option("--passphrase/--no-passphrase", default=True, help="Ask for the key's passphrase."),
        click.option("--key", required=True, type=click.Path(path_type=Path), help="The private key (PEM)."),
        click.argument("file", type=click.Path(path_type=Path)),
    ):
        function = option(function)
    return function


def _sign(
    file: Path, key: Path, passphrase: bool, found: Policy | OpenPolicy | Register, others: Signatures
) -> str:
    """Asks for the passphrase, signs, replaces an earlier signature of the same key; the key's id."""
    from data_access.parties import SigningKey
    from data_access.parties.keys import signatures_path, write_signatures

    secret = click.prompt("passphrase", hide_input=True, default="") if passphrase else None
    try:
        mine = SigningKey.read(key, secret or None).sign(found.document())
    except (OSError, ValueError):
        raise click.ClickException(text(language(), "cli", "key_unreadable")) from None
    kept = tuple(signature for signature in others if signature.key_id != mine.key_id)
    write_signatures(signatures_path(file), (*kept, mine))
    click.echo(text(language(), "cli", "signed", hash=found.hash(), key=mine.key_id))
    return mine.key_id


@policy.command("sign")
@signs
def policy_sign(file: Path, key: Path, passphrase: bool) -> None:
    """Add one signature to the policy in FILE. Runs as whoever calls it: the key is hers."""
    from data_access.flows.governing import read_policy

    try:
        found, signatures = read_policy(file)
    except CivicError as refusal:
        _refuse(refusal, False)
    # Before the key is opened: a year of a budget sounds otherwise than a month of it.
    if promise := found.promise():
        click.echo(text(language(), "cli", "policy_promise", **promise))
    _sign(file, key, passphrase, found, signatures)


@policy.command("sign-register")
@signs
def policy_sign_register(file: Path, key: Path, passphrase: bool) -> None:
    """Add one signature to the register of parties in FILE. Runs as whoever calls it: the key is hers."""
    from data_access.parties import read_register

    spoken = language()
    try:
        register, signatures = read_register(file)
    except CivicError as refusal:
        _refuse(refusal, False)
    # Before the key is opened: whoever signs says who may sign from now on, and reads each of them here.
    click.echo(text(spoken, "cli", "register_says", version=register.version, keys=len(register.keys)))
    for each in register.keys:
        whose = getattr(register.party(each.party).title, spoken) if each.party else "-"
        use = text(spoken, "cli", f"register_use.{each.use}")
        about = {"use": use, "party": whose, "person": each.person or "-", "until": each.valid_until}
        click.echo(text(spoken, "cli", "register_key", key=each.id, **about))
    mine = _sign(file, key, passphrase, register, signatures)
    if register.key(mine) is None:
        click.echo(text(spoken, "cli", "register_stranger"), err=True)


@policy.command("keygen")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--passphrase/--no-passphrase", default=True, help="Protect the key with a passphrase.")
def policy_keygen(file: Path, passphrase: bool) -> None:
    """Make a signing key in FILE (never overwriting one) and print its public part for the register."""
    import base64

    from data_access.parties import SigningKey

    secret = click.prompt("passphrase", hide_input=True, confirmation_prompt=True) if passphrase else None
    key = SigningKey.generate()
    try:
        key.write(file, secret)
    except OSError:
        raise click.ClickException(text(language(), "cli", "key_not_written")) from None
    click.echo(json.dumps({"id": key.id, "public": base64.b64encode(key.public).decode("ascii")}))


@policy.command("verify")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--register", "register_file", required=True, type=click.Path(path_type=Path))
@verb
def policy_verify(file: Path, register_file: Path) -> dict[str, Any]:
    """Whether both sides have signed exactly this text, by keys of the register. Needs no workspace."""
    from data_access.clock import SystemClock
    from data_access.flows.governing import read_policy
    from data_access.parties import check_register, read_register
    from data_access.policy import check_signed

    found, signatures = read_policy(file)
    register, given = read_register(register_file)
    now = SystemClock().now()
    check_register(register, given, None, now)
    check_signed(found, signatures, register, now)
    return {
        "dataset": found.dataset,
        "hash": found.hash(),
        "say": text(language(), "cli", "policy_verified", dataset=found.dataset, hash=found.hash()),
    }


@policy.command("activate")
@click.argument("file", type=click.Path(path_type=Path))
@verb
def policy_activate(file: Path) -> dict[str, Any]:
    """Let a signed policy take effect, and make its private view where data are loaded."""
    from data_access.errors import NoData
    from data_access.flows.governing import read_policy
    from data_access.flows.loading import make_missing_view

    found, signatures = read_policy(file)
    with workspace() as parts:
        changed = parts.governing.activate(found, signatures)
        with suppress(NoData):  # the first load makes it
            make_missing_view(parts.vault, parts.governing.catalog[found.dataset], found)
        parts.lost.publish(found.dataset)
    key = "policy_activated" if changed else "policy_active_already"
    return {
        "dataset": found.dataset,
        "changed": changed,
        "say": text(language(), "cli", key, dataset=found.dataset),
    }


@policy.command("register")
@click.argument("file", type=click.Path(path_type=Path))
@verb
def policy_register(file: Path) -> dict[str, Any]:
    """Accept a register of parties that both sides have signed."""
    from data_access.parties import read_register

    register, signatures = read_register(file)
    with workspace(create=True) as parts:
        parts.governing.accept_register(register, signatures)
    return {"hash": register.hash(), "say": text(language(), "cli", "register_accepted")}


@click.group()
def demo() -> None:
    """The demonstration's own steps (`civic up` and `make report` call them)."""


def city_options(function: F) -> F:
    """Which of all made-up cities."""
    # The bounds of data_access.demo.city, whose import would make `--help` wait for numpy.
    size = click.IntRange(2_000, 100_000_000)
    for option in (
        click.option("--seed", default=2017, show_default=True, type=click.IntRange(min=0)),
        click.option(
            "--rides", default=2_000_000, show_default=True, type=size, help="Size of the made-up city."
        ),
    ):
        function = option(function)
    return function


@demo.command("make")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@city_options
@click.option(
    "--form",
    default="csv",
    show_default=True,
    type=click.Choice(["csv", "parquet"]),
    help="Rides as the city's portal writes them (cp949 and UTF-8), or as Parquet.",
)
@functools.partial(verb, as_vault=False)
def demo_make(folder: Path, rides: int, seed: int, form: Literal["csv", "parquet"]) -> dict[str, Any]:
    """Write the made-up city's files into FOLDER: the same rides for the same size and seed."""
    from data_access.demo.city import build_city

    try:
        files = build_city(folder, rides=rides, seed=seed, form=form, progress=show_progress)
    except OSError:
        raise click.ClickException(text(language(), "cli", "city_not_written")) from None
    made = text(language(), "cli", "city_made", rides=f"{rides:,}", folder=str(folder))
    return {"rides": rides, "seed": seed, "files": [str(path) for path in files.rides], "say": made}


@demo.command("prepare")
@city_options
@verb
def demo_prepare(rides: int, seed: int) -> dict[str, Any]:
    """Make the city, sign its policies with the demo keys, load its rides."""
    from data_access.compose import read_settings
    from data_access.demo.prepare import install_catalog, prepare

    install_catalog(read_settings().catalog_folder)
    with workspace(create=True) as parts:
        prepare(parts, rides=rides, seed=seed, progress=show_progress)
    return {"rides": rides, "say": text(language(), "cli", "demo_prepared")}


@demo.command("approve")
@click.argument("releases", nargs=-1, required=True)
@verb
def demo_approve(releases: tuple[str, ...]) -> dict[str, Any]:
    """Sign RELEASES with the demo stewards' keys. Only a release that says `demonstration` takes them."""
    from data_access.canonical import canonical_bytes
    from data_access.demo.parties import demo_keys
    from data_access.errors import ApprovalByOther

    with workspace() as parts:
        keys = demo_keys(parts.settings.home / "demo" / "keys")
        states = {}
        for release in releases:
            record = canonical_bytes(parts.releasing.get(release)["record"])
            for key in (keys.city, keys.cso, keys.charity):
                # Of the CSO and the charity, the one that signed for the data.
                with suppress(ApprovalByOther):
                    parts.releasing.approve(release, key.sign_bytes(record))
            states[release] = parts.releasing.get(release)["state"]
    return {
        "states": states,
        "say": text(language(), "cli", "demo_approved", release=", ".join(releases)),
    }
