"""`civic`: one command whose verbs live in all three sides.

Verbs are entry points of the group `civic.commands`; one named `data.twin` is the verb `twin` of the group
`data`, so that a group may have verbs of more than one side. They are listed by name and imported only when called:
the analyst side's machine has no DuckDB, the vault's no IPython, and `civic --help` must not need either.
"""

from __future__ import annotations

import json
import sys
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import click

from civic_kernel.errors import CivicError, SettingInvalid
from civic_kernel.settings import read_settings
from civic_kernel.texts import Language, speaker, text

GROUP = "civic.commands"
#: Kept for faults of ours, as sysexits.h has it; refusals carry their class's own code.
EXIT_INTERNAL, EXIT_USAGE, EXIT_INTERRUPTED = 70, 2, 130


def _language() -> Language:
    try:
        return read_settings().language
    except SettingInvalid:
        return "ko"


class Commands(click.Group):
    """A click group whose commands are entry points."""

    def _points(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group=GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({name.partition(".")[0] for name in self._points()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        points = self._points()
        added = {name.partition(".")[2]: p for name, p in points.items() if name.startswith(f"{cmd_name}.")}
        if cmd_name not in points or "." in cmd_name:
            return None
        command = self._load(points[cmd_name], cmd_name)
        if added and isinstance(command, click.Group):
            # A copy: the group itself belongs to the module that made it.
            composed = click.Group(cmd_name, commands=dict(command.commands), help=command.help)
            for verb, point in added.items():
                composed.add_command(self._load(point, cmd_name), verb)
            return composed
        return command

    def _load(self, point: EntryPoint, cmd_name: str) -> click.Command:
        try:
            command = point.load()
        except ModuleNotFoundError as missing:
            # Only a module that is not installed: a broken import of our own must be seen in tests.
            if (missing.name or "").split(".")[0] in {"civic_kernel", "data_access", "hub_config"}:
                raise
            say = speaker(_language(), "kernel", "cli.broken")
            raise click.ClickException(f"{say('', name=cmd_name)} {say('.remedy')}") from None
        if not isinstance(command, click.Command):
            raise TypeError(f"{point.value} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # click's own version imports every command for its first help line.
        names = self.list_commands(ctx)
        if names:
            with formatter.section("Commands"):
                formatter.write_text(", ".join(names))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            names = self.list_commands(ctx)
            known = ", ".join(get_close_matches(args[0], names, n=3) or names)
            language = _language()
            message = text(language, "kernel", "cli.unknown", name=args[0])
            raise click.UsageError(f"{message} {text(language, 'kernel', 'cli.unknown.remedy', known=known)}")
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def civic() -> None:
    """시민 데이터 작업 공간 · The civic workspace. `civic COMMAND --help` says more."""


def main(args: list[str] | None = None) -> None:
    """The console script. Every refusal is two sentences and its exit code, never a traceback.

    With `--json` among the arguments the refusal is one JSON document on standard output, as every verb's
    result is.
    """
    # jsonschema, which nbformat imports, takes this where it is there, to check the format `iri`: a grammar that is
    # built as it is imported, for a whole second. No schema that a verb reads has that format, so here it is not there.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    given = sys.argv[1:] if args is None else args
    wants_json = "--json" in given
    try:
        result = civic.main(args=given, prog_name="civic", standalone_mode=False)
        sys.exit(result if isinstance(result, int) else 0)
    except click.ClickException as fault:
        _say({"code": "usage", "message": fault.format_message(), "remedy": ""}, wants_json)
        sys.exit(fault.exit_code)
    except click.Abort as stopped:
        # click's word for Ctrl-C. What was interrupted may have something to say (civic_kernel.held).
        if sentence := str(stopped.__cause__ or ""):
            click.echo(f"civic: {sentence}", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except Exception as fault:
        # The vault side's errors are another class tree with the same contract: `code`, `exit_code`, and a
        # `str` that is a sentence or a code. Anything else is our fault; its text could hold a value or path.
        exit_code = getattr(fault, "exit_code", None)
        if isinstance(fault, CivicError):
            _say(fault.as_dict(), wants_json)
        elif isinstance(exit_code, int) and isinstance(getattr(fault, "code", None), str):
            _say({"code": fault.code, "message": str(fault), "remedy": ""}, wants_json)  # type: ignore[attr-defined]
        else:
            language = _language()
            said = {
                "code": "internal_fault",
                "message": text(language, "kernel", "error.internal_fault"),
                "remedy": text(language, "kernel", "error.internal_fault.remedy", kind=type(fault).__name__),
            }
            _say(said, wants_json)
        sys.exit(exit_code if isinstance(exit_code, int) else EXIT_INTERNAL)


def _say(failure: dict[str, Any], wants_json: bool) -> None:
    if wants_json:
        click.echo(json.dumps(failure, ensure_ascii=False))
        return
    sentence = " ".join(part for part in (failure["message"], failure["remedy"]) if part)
    click.echo(f"civic: {sentence}", err=True)


if __name__ == "__main__":
    main()
