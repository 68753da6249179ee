"""The environment of the analyst side, read once: no other module here reads `os.environ`."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from civic_kernel.errors import SettingInvalid
from civic_kernel.texts import LANGUAGES, Language

WARM_SOCKET = "CIVIC_WARM_SOCKET"
#: Tells a kernel that it was started cold, so that its first cell can say why it was slow.
_COLD = "_CIVIC_COLD"


class Token:
    """A Hub token that no repr, log line or traceback can show. `reveal()` is for the one HTTP header."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Token(hidden)"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str | tuple[object, ...]:
        # A pickled token would lie in a notebook's checkpoint or a queue in clear.
        raise TypeError("a token is not stored")


@dataclass(frozen=True)
class Settings:
    """What an analyst's process knows of its workspace. Documented in docs/settings.md."""

    gateway_url: str
    team: str | None
    purpose: str | None
    language: Language
    token: Token = field(repr=False)

    @property
    def reports_url(self) -> str:
        """The service `reports`: the gateway's neighbour behind the same proxy. Empty where there is no gateway."""
        start, _, name = self.gateway_url.rpartition("/")
        return f"{start}/reports" if name else ""


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment. Raises SettingInvalid for a value that cannot be meant.

    A missing gateway address or token is no fault yet: `import`, `civic --help` and reading a stored page
    work without them; the client says so when it is first asked to ask.
    """
    env = os.environ if environ is None else environ
    spoken = env.get("CIVIC_LANGUAGE") or "ko"
    language = next((known for known in LANGUAGES if known == spoken), None)
    if language is None:
        raise SettingInvalid.say("ko", setting="CIVIC_LANGUAGE")
    return Settings(
        gateway_url=env.get("CIVIC_GATEWAY_URL", "").rstrip("/"),
        team=env.get("CIVIC_TEAM") or None,
        purpose=env.get("CIVIC_PURPOSE") or None,
        language=language,
        token=_read_token(env, language),
    )


@dataclass(frozen=True)
class HubPlace:
    """The Hub's path and this server's (both begin and end with a slash), the Hub's API's address, and the workshop of
    this seat, if any."""

    base: str
    server: str
    api: str
    workshop: str


def read_hub(environ: Mapping[str, str] | None = None) -> HubPlace:
    """What JupyterHub and the workspace tell each server that they start."""
    env = os.environ if environ is None else environ
    return HubPlace(
        base=env.get("JUPYTERHUB_BASE_URL") or "/",
        server=env.get("JUPYTERHUB_SERVICE_PREFIX") or "/",
        api=env.get("JUPYTERHUB_API_URL", "").rstrip("/"),
        workshop=env.get("CIVIC_WORKSHOP", ""),
    )


def starts_on_twin(environ: Mapping[str, str] | None = None) -> bool:
    """Whether kernels here answer from made-up rows until somebody says otherwise (`civic.use`)."""
    env = os.environ if environ is None else environ
    return env.get("CIVIC_START_ON") == "twin"


def public_site(environ: Mapping[str, str] | None = None) -> str:
    """The citizen site's address as its readers type it, without a last slash; empty where it has none but a port of
    this machine. Raises SettingInvalid.
    """
    env = os.environ if environ is None else environ
    address = env.get("CIVIC_PUBLIC_SITE_URL", "").rstrip("/")
    # It is printed in every page that is made: nothing but an address may stand there.
    if address and not re.fullmatch(r"https?://[\w.:\[\]-]+(/[\w./~-]*)?", address, re.ASCII):
        raise SettingInvalid.say(read_settings(env).language, setting="CIVIC_PUBLIC_SITE_URL")
    return address


def warm_socket(environ: Mapping[str, str] | None = None) -> str | None:
    """Where the template that forks kernels listens; None: every kernel starts cold."""
    env = os.environ if environ is None else environ
    return env.get(WARM_SOCKET) or None


def cold_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """For a kernel that is started without the template."""
    return {**(os.environ if environ is None else environ), _COLD: "1"}


def was_started_cold() -> bool:
    """Asked once: what this kernel starts itself is not told."""
    return os.environ.pop(_COLD, None) is not None


def kernel_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """For a forked kernel. ipykernel would watch this process as its parent, which it is not: the kernel follows it."""
    env = dict(os.environ if environ is None else environ)
    env.pop("JPY_PARENT_PID", None)
    return env


@dataclass(frozen=True)
class Service:
    """What the service `reports` is told. `width` is the number of runs at once (0: as the machine bears), `memory`
    megabytes of each."""

    port: int
    prefix: str
    hub_api_url: str
    gateway_url: str
    batches: Path
    notebooks: Path
    width: int
    memory: int


def read_service(environ: Mapping[str, str] | None = None) -> Service:
    """Raises SettingInvalid for a value that cannot be meant, and for one that is missing."""
    env = os.environ if environ is None else environ
    language = read_settings(env).language

    def needed(name: str) -> str:
        if not env.get(name):
            raise SettingInvalid.say(language, setting=name)
        return env[name]

    def number(name: str, default: str) -> int:
        value = env.get(name) or default
        if not value.isdecimal():
            raise SettingInvalid.say(language, setting=name)
        return int(value)

    return Service(
        port=number("CIVIC_REPORTS_PORT", "8014"),
        prefix=needed("JUPYTERHUB_SERVICE_PREFIX"),
        hub_api_url=needed("JUPYTERHUB_API_URL"),
        gateway_url=needed("CIVIC_GATEWAY_URL").rstrip("/"),
        batches=Path(needed("CIVIC_HOME")) / "runs" / "batches",
        notebooks=notebooks_folder(),
        width=number("CIVIC_RUNS_AT_ONCE", "0"),
        memory=number("CIVIC_RUN_MEMORY", "700"),
    )


def notebooks_folder() -> Path:
    """The notebooks beside this checkout, or those that the wheel put under `share/civic`."""
    beside = Path(__file__).resolve().parents[1] / "notebooks"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "civic" / "notebooks"


def public_records(environ: Mapping[str, str] | None = None) -> str | None:
    """Where the public records are if nobody says: the gateway's address, else the folder that the workspace set up
    here publishes, else None.
    """
    env = os.environ if environ is None else environ
    address = env.get("CIVIC_GATEWAY_URL", "").rstrip("/")
    if address:
        return address
    home = env.get("CIVIC_HOME")
    if not home:
        note = Path(sys.prefix) / "civic-setup.json"
        beside = Path(__file__).resolve().parents[1] / ".civic"
        try:
            home = json.loads(note.read_text("utf-8"))["state"] if note.is_file() else str(beside)
        except (OSError, ValueError, KeyError, TypeError):
            return None
    folder = Path(str(home)) / "public" / "records"
    return str(folder) if folder.is_dir() else None


def _read_token(env: Mapping[str, str], language: Language) -> Token:
    # A file first: a report run gets its token in a file that vanishes, so that its children and
    # /proc/<pid>/environ do not carry it.
    named = env.get("CIVIC_TOKEN_FILE")
    if named:
        try:
            return Token(Path(named).read_text(encoding="ascii").strip())
        except (OSError, UnicodeDecodeError):
            raise SettingInvalid.say(language, setting="CIVIC_TOKEN_FILE") from None
    return Token(env.get("JUPYTERHUB_API_TOKEN", "").strip())
