"""`civic ledger`, `civic audit`, `civic trace`: for anybody, from public files alone, without account or workspace.

SOURCE is the citizen site's address, the gateway's, or a folder of copied records (`records/` on the site). Left
out, it is CIVIC_GATEWAY_URL, else the records of the workspace that is set up here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from civic_kernel.errors import AuditBroken, SettingInvalid
from civic_kernel.settings import public_records, read_settings
from civic_kernel.texts import Language, text

if TYPE_CHECKING:
    from civic_kernel.verify.chain import Findings

_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
_source = click.argument("source", required=False)
_since = click.option(
    "--since",
    "since",
    multiple=True,
    help="A head that you kept: SEQ:HASH, a head.json, or the file of `civic audit witness --keep`.",
)


@click.group()
def ledger() -> None:
    """프라이버시 예산의 장부 · The privacy budget: every period, every charge."""


@click.group()
def audit() -> None:
    """서명된 기록의 사슬 · The chain of signed events."""


@ledger.command("show")
@_source
@_json
def ledger_show(source: str | None, as_json: bool) -> None:
    """예산과 차감을 차례로 보입니다 · Budgets and charges, in order. Shows, and checks nothing."""
    from civic_kernel.verify.records import read_records

    language = read_settings().language
    records = read_records(_where(source, language), language)
    if as_json:
        click.echo(json.dumps(records.ledger, ensure_ascii=False))
        return
    for entry in records.ledger.get("periods", ()):
        spent = sum(line["nano"] for line in entry["charges"])
        facts = {name: _rho(nano) for name, nano in (("spent", spent), ("budget", entry["budget"]))}
        click.echo(
            text(language, "verify", "show.period", lineage=entry["lineage"], period=entry["period"], **facts)
        )
        for line in entry["charges"]:
            state = text(language, "verify", f"state.{line['state']}")
            words = {"at": line["at"], "team": line["team"], "rho": _rho(line["nano"]), "state": state}
            click.echo(text(language, "verify", "show.charge", plan=line["plan_id"], **words))


@ledger.command("verify")
@_source
@_since
@_json
def ledger_verify(source: str | None, since: tuple[str, ...], as_json: bool) -> None:
    """장부를 사슬과 서명된 정책에 맞춰 봅니다 · Check the ledger against chain and signed policies."""
    from civic_kernel.verify.records import read_records
    from civic_kernel.verify.whole import check_all
    from civic_kernel.verify.witness import parse_since

    language = read_settings().language
    kept = [head for given in since for head in parse_since(given, language)]
    found = check_all(read_records(_where(source, language), language), kept)
    _tell(found, "ledger", language, as_json)


@audit.command("show")
@_source
@click.option("--after", default=0, type=click.IntRange(0), help="Only events after this place.")
@_json
def audit_show(source: str | None, after: int, as_json: bool) -> None:
    """기록을 서명된 그대로 보입니다 · Events as they are signed. Shows, and checks nothing."""
    from civic_kernel.verify.records import read_records

    language = read_settings().language
    events = read_records(_where(source, language), language, after=after).events
    if as_json:
        click.echo(json.dumps(events, ensure_ascii=False))
        return
    for line in events:
        event = line["event"]
        facts = " ".join(
            f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in event["facts"].items()
        )
        click.echo(f"{event['seq']} {event['at']} {event['kind']} {facts}")


@audit.command("verify")
@_source
@_since
@_json
def audit_verify(source: str | None, since: tuple[str, ...], as_json: bool) -> None:
    """사슬의 해시, 순서, 서명을 다시 확인합니다 · Check hashes, order and signatures of every event."""
    from civic_kernel.verify.records import read_records
    from civic_kernel.verify.whole import check_audit
    from civic_kernel.verify.witness import parse_since

    language = read_settings().language
    kept = [head for given in since for head in parse_since(given, language)]
    found = check_audit(read_records(_where(source, language), language), kept)
    _tell(found, "audit", language, as_json)


@audit.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--from", "source", help="The address or folder to copy from.")
@_json
def audit_export(folder: Path, source: str | None, as_json: bool) -> None:
    """공개 기록을 파일로 옮겨 적습니다 · Copy the public records into files that verify without a network."""
    from civic_kernel.verify.records import read_records, write_records

    language = read_settings().language
    records = read_records(_where(source, language), language)
    write_records(records, folder)
    count = len(records.events)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), "events": count}))
    else:
        click.echo(text(language, "verify", "exported", folder=folder, count=count))


@audit.command("witness")
@click.argument("url")
@click.option(
    "--key", required=True, type=click.Path(path_type=Path), help="The witness key (PEM) of this computer."
)
@click.option(
    "--keep",
    required=True,
    type=click.Path(path_type=Path),
    help="The file of heads kept here; grows by lines.",
)
@click.option("--passphrase", is_flag=True, help="Ask for the key's passphrase.")
@_json
def audit_witness(url: str, key: Path, keep: Path, passphrase: bool, as_json: bool) -> None:
    """사슬이 이어지는지 보고 머리에 서명합니다 · Check that the chain continues, and sign its head."""
    from civic_kernel.verify.witness import Broken, witness

    language = read_settings().language
    secret = click.prompt("passphrase", hide_input=True, default="") if passphrase else None
    try:
        done = witness(url, key, keep, language, passphrase=secret or None)
    except Broken as broken:
        _tell(broken.findings, "audit", language, as_json)
        raise
    if as_json:
        document = {"seq": done.head.seq, "hash": done.head.hash, "new_events": done.new_events}
        click.echo(json.dumps({**document, "first": done.first, "key_id": done.key_id}))
        return
    facts = {"seq": done.head.seq, "hash": done.head.hash, "count": done.new_events}
    click.echo(text(language, "verify", f"witnessed.{'first' if done.first else 'next'}", **facts))


@click.group()
def trace() -> None:
    """숫자가 어디서 왔는지 따라갑니다 · Follow a published number to a signed answer."""


@trace.command("verify")
@click.argument("page", type=click.Path(path_type=Path, exists=True))
@click.argument("number", required=False)
@_json
def trace_verify(page: Path, number: str | None, as_json: bool) -> None:
    """보고서의 숫자 하나, 또는 모두를 서명된 답까지 따라갑니다 · Follow one number of a page, or all, to its answer."""
    from civic_kernel.verify.tracing import tell_trace

    tell_trace(page, number, read_settings().language, as_json=as_json)


def _where(source: str | None, language: Language) -> str:
    found = source or public_records()
    if found is None:
        raise SettingInvalid.say(language, setting="CIVIC_GATEWAY_URL")
    return found


def _tell(found: Findings, what: str, language: Language, as_json: bool) -> None:
    """All that was found, in words or as JSON. Raises AuditBroken (or exits with its code) unless all is well."""
    wrong = [
        {"code": key, **facts, "message": text(language, "verify", f"wrong.{key}", **facts)}
        for key, facts in found.wrong
    ]
    if as_json:
        head = {"seq": found.head.seq, "hash": found.head.hash}
        document: dict[str, Any] = {"good": not wrong, "head": head, "checked": found.counted, "wrong": wrong}
        click.echo(json.dumps(document, ensure_ascii=False))
        if wrong:
            raise SystemExit(AuditBroken.exit_code)
        return
    if wrong:
        for line in wrong:
            click.echo(f"✗ {line['message']}", err=True)
        raise AuditBroken.say(language)
    counted = {name: f"{found.counted.get(name, 0):,}" for name in _COUNTED}
    click.echo(text(language, "verify", f"good.{what}", **counted))
    for side in ("city", "cso"):
        seq = found.counted.get(f"witnessed_{side}")
        key = f"witness.{side}" if seq else f"witness.{side}.none"
        click.echo(text(language, "verify", key, seq=seq))
    click.echo(text(language, "verify", "head", seq=found.head.seq, hash=found.head.hash))
    click.echo(text(language, "verify", f"limits.{'kept' if found.counted.get('kept') else 'none'}"))
    click.echo(text(language, "verify", "limits.truth"))


_COUNTED = ("registers", "events", "policies", "periods", "charges", "answers", "witnesses", "kept")


def _rho(nano: int) -> str:
    """`0.0025`: nano-ρ as ρ, exactly."""
    whole, rest = divmod(nano, 10**9)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")
