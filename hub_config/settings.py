"""Environment → one frozen Settings; the only module of hub_config that reads os.environ.

The Hub runs as a process of its own and reads its configuration file there, so Settings also travels back
into an environment: `Settings.environment()` holds the very variables that `read_settings` reads.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hub_config.errors import SettingInvalid
from hub_config.texts import Language, known_language

#: Where we are installed, links followed: `.venv` in a closed checkout is a link that other users cannot pass.
PREFIX = Path(sys.prefix).resolve()
#: The interpreter of that place, which every process of the workspace is started with.
PYTHON = str(PREFIX / "bin" / "python")

#: Minutes. A seat tells the Hub every five that it is in use; with less patience than a few of those, a seat would be
#: closed while somebody works in it.
LEAST_IDLE = 15
#: Offsets from CIVIC_UID_BASE (docs/design.md, "Places and identities").
ROOMS, TEAMS, RUNS, END = 10_000, 20_000, 30_000, 40_000
#: The last two of the persons' uids: the proxy and the citizen site face the network and need nobody's files,
#: so each is a user of its own that owns nothing; so is the one who closes seats that nobody uses.
PROXY, SITE_SERVER, CULLER_USER = ROOMS - 1, ROOMS - 2, ROOMS - 3

Seats = Literal["here", "containers", "pods"]
SEATS: tuple[Seats, ...] = ("here", "containers", "pods")

PORTS = {
    "CIVIC_PORT": 8000,
    "CIVIC_SITE_PORT": 8002,
    "CIVIC_PROXY_API_PORT": 8010,
    "CIVIC_HUB_PORT": 8011,
    "CIVIC_GATEWAY_PORT": 8012,
    "CIVIC_PUBLIC_GATEWAY_PORT": 8013,
    "CIVIC_REPORTS_PORT": 8014,
}

#: A provider of sign-in: all or none.
OIDC = ("CIVIC_OIDC_ISSUER", "CIVIC_OIDC_CLIENT", "CIVIC_OIDC_SECRET_FILE", "CIVIC_OIDC_NAME")


@dataclass(frozen=True)
class Settings:
    """All that may differ between two workspaces. Paths are absolute; ports are in 1..65535 and distinct."""

    home: Path
    port: int
    site_port: int
    proxy_api_port: int
    hub_port: int
    gateway_port: int
    public_gateway_port: int
    reports_port: int
    bind: str
    #: What people type, where a server with TLS stands in front of the proxy; empty: the proxy's own address.
    public_url: str
    #: The same of the citizen site; empty: its own port.
    public_site_url: str
    #: Where seats reach the proxy, if not at its own address: from a pod.
    inner_url: str
    #: What a seat is: a process here, a container of this machine's Docker, or a pod of a cluster; and of those the
    #: image and Docker's network.
    seats: Seats
    seat_image: str
    seat_network: str
    uid_base: int
    #: The vault side's database. Nothing here opens it: it is handed on to the gateway and to nobody else.
    database_url: str
    #: The Hub's own tables and the workspace's (other names, another version table); empty: SQLite files.
    hub_database_url: str
    #: Megabytes that a seat's server and kernels may use together, and hundredths of a core; 0 is no limit.
    seat_memory: int
    seat_cpu: int
    #: Whether control groups hold these limits where the machine has them; else a watcher does.
    cgroups: bool
    #: Minutes without use after which a seat is closed; megabytes that a home may hold; seats that may run at once.
    #: 0 is no limit.
    seat_idle: int
    home_quota: int
    most_seats: int
    #: Report runs at once (0: as many as cores), and megabytes of each.
    runs_at_once: int
    run_memory: int
    #: The provider of sign-in (OpenID Connect); an empty issuer: none. The secret is in a file, never in the
    #: environment of the Hub's children.
    oidc_issuer: str
    oidc_client: str
    oidc_secret_file: str
    oidc_name: str
    language: Language
    is_root: bool

    @property
    def ports(self) -> dict[str, int]:
        """Setting → port, for what `civic up` opens."""
        values = (
            self.port,
            self.site_port,
            self.proxy_api_port,
            self.hub_port,
            self.gateway_port,
        )
        return dict(zip(PORTS, (*values, self.public_gateway_port, self.reports_port), strict=True))

    @property
    def local_address(self) -> str:
        """The address at which processes of this machine reach the proxy."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.bind, self.bind)

    @property
    def workspace_url(self) -> str:
        """Where people sign in. Ends without a slash."""
        host = self.local_address
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def address(self) -> str:
        """The workspace's address for people, printed on cards. Ends without a slash."""
        return self.public_url or self.workspace_url

    @property
    def site_url(self) -> str:
        """The citizen site. Another host name than the workspace's: cookies ignore ports, so under one name
        a script on a public page would be sent the workspace's."""
        if self.public_site_url:
            return self.public_site_url
        host = "localhost" if ipaddress.ip_address(self.local_address).is_loopback else self.local_address
        return f"http://{f'[{host}]' if ':' in host else host}:{self.site_port}"

    @property
    def gateway_url(self) -> str:
        """The gateway as seats see it: through the proxy, so that it needs one address and one
        certificate."""
        return f"{self.inner_url or self.workspace_url}/services/data"

    @property
    def isolated(self) -> bool:
        """Whether each person's server has an operating-system user of its own."""
        return self.is_root or self.seats == "pods"

    def environment(self) -> dict[str, str]:
        """The CIVIC_* variables from which `read_settings` makes these settings again."""
        return {
            "CIVIC_HOME": str(self.home),
            **{name: str(port) for name, port in self.ports.items()},
            "CIVIC_BIND": self.bind,
            "CIVIC_PUBLIC_URL": self.public_url,
            "CIVIC_PUBLIC_SITE_URL": self.public_site_url,
            "CIVIC_INNER_URL": self.inner_url,
            "CIVIC_SEATS": self.seats,
            "CIVIC_SEAT_IMAGE": self.seat_image,
            "CIVIC_SEAT_NETWORK": self.seat_network,
            "CIVIC_UID_BASE": str(self.uid_base),
            "CIVIC_DATABASE_URL": self.database_url,
            "CIVIC_HUB_DATABASE_URL": self.hub_database_url,
            "CIVIC_SEAT_MEMORY": str(self.seat_memory),
            "CIVIC_SEAT_CPU": str(self.seat_cpu),
            "CIVIC_CGROUPS": "auto" if self.cgroups else "off",
            "CIVIC_SEAT_IDLE": str(self.seat_idle),
            "CIVIC_HOME_QUOTA": str(self.home_quota),
            "CIVIC_MOST_SEATS": str(self.most_seats),
            "CIVIC_RUNS_AT_ONCE": str(self.runs_at_once),
            "CIVIC_RUN_MEMORY": str(self.run_memory),
            "CIVIC_OIDC_ISSUER": self.oidc_issuer,
            "CIVIC_OIDC_CLIENT": self.oidc_client,
            "CIVIC_OIDC_SECRET_FILE": self.oidc_secret_file,
            "CIVIC_OIDC_NAME": self.oidc_name,
            "CIVIC_LANGUAGE": self.language,
        }


def checkout_path() -> Path | None:
    """The folder that these modules are imported from when they are not installed in this environment.

    Only then must child processes be told where to find them. As root not even then, if the folder is closed to
    the users that they become: they would find the first module as root and fail at the next one."""
    folder = Path(__file__).resolve().parents[1]
    if folder.is_relative_to(PREFIX):
        return None
    is_open = all(place.stat().st_mode & 0o005 == 0o005 for place in (folder, *folder.parents))
    return folder if is_open or os.geteuid() != 0 else None


def default_home() -> Path:
    """Where state lies unless CIVIC_HOME says otherwise: where set-up noted, else `.civic` in the checkout.

    The vault side has the same rule (data_access.settings); with two rules the Hub would start beside an empty
    vault."""
    marker = PREFIX / "civic-setup.json"
    if marker.is_file():
        return Path(json.loads(marker.read_text("utf-8"))["state"])
    return Path(__file__).resolve().parents[1] / ".civic"


def _number(env: Mapping[str, str], name: str, default: int, low: int, high: int, reason: str) -> int:
    try:
        value = int(env.get(name) or default)
    except ValueError:
        raise SettingInvalid(setting=name, reason=reason) from None
    if not low <= value <= high:
        raise SettingInvalid(setting=name, reason=reason)
    return value


def _idle(env: Mapping[str, str]) -> int:
    minutes = _number(env, "CIVIC_SEAT_IDLE", 120, 0, 60 * 24 * 30, "seat_limit")
    if 0 < minutes < LEAST_IDLE:
        raise SettingInvalid(setting="CIVIC_SEAT_IDLE", reason="seat_idle")
    return minutes


def _cgroups(env: Mapping[str, str]) -> bool:
    chosen = env.get("CIVIC_CGROUPS") or "auto"
    if chosen not in ("auto", "off"):
        raise SettingInvalid(setting="CIVIC_CGROUPS", reason="cgroups")
    return chosen == "auto"


def _address(env: Mapping[str, str], name: str) -> str:
    value = (env.get(name) or "").rstrip("/")
    if value and not re.fullmatch(
        r"https?://[a-z0-9.\-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?", value
    ):
        raise SettingInvalid(setting=name, reason="address")
    return value


def _oidc(env: Mapping[str, str]) -> dict[str, str]:
    """All four settings or none: half of them is a provider that nobody could sign in with, or one without its
    secret."""
    found = {name.removeprefix("CIVIC_").lower(): env.get(name) or "" for name in OIDC}
    if not any(found.values()):
        return found
    for name in OIDC:
        if not env.get(name):
            raise SettingInvalid(setting=name, reason="oidc")
    # Over http anybody on the way could say who signs in; a provider on this machine is one of a test.
    local = re.fullmatch(r"http://(127\.0\.0\.1|localhost)(:\d{1,5})?(/\S*)?", found["oidc_issuer"])
    if not local and not re.fullmatch(r"https://[^\s?#]+", found["oidc_issuer"]):
        raise SettingInvalid(setting="CIVIC_OIDC_ISSUER", reason="oidc_issuer")
    if not Path(found["oidc_secret_file"]).is_absolute():
        raise SettingInvalid(setting="CIVIC_OIDC_SECRET_FILE", reason="full_path")
    return {**found, "oidc_issuer": found["oidc_issuer"].rstrip("/")}


def _with_driver(url: str) -> str:
    """`postgresql://` alone names a driver that is not installed; JupyterHub is given the same address."""
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def _seats(env: Mapping[str, str]) -> Seats:
    for known in SEATS:
        if (env.get("CIVIC_SEATS") or "here") == known:
            return known
    raise SettingInvalid(setting="CIVIC_SEATS", reason="seats")


def _language(env: Mapping[str, str]) -> Language:
    chosen = env.get("CIVIC_LANGUAGE")
    if chosen:
        language = known_language(chosen)
        if language is None:
            raise SettingInvalid(setting="CIVIC_LANGUAGE", reason="language")
        return language
    locale = env.get("LC_ALL") or env.get("LC_MESSAGES") or env.get("LANG") or ""
    return "ko" if locale.startswith("ko") else "en"


def read_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Settings from `env` (default: the process's environment). Raises SettingInvalid with one sentence."""
    env = os.environ if env is None else env
    is_root = os.geteuid() == 0
    given = env.get("CIVIC_HOME")
    home = Path(given) if given else default_home()
    if not home.is_absolute() or home == Path("/"):
        raise SettingInvalid(setting="CIVIC_HOME", reason="home")
    # 1024 and up: without root nothing lower can be opened, and as root the proxy has already become another.
    ports = [_number(env, name, port, 1024, 65535, "port") for name, port in PORTS.items()]
    for name, port in zip(PORTS, ports, strict=True):
        if ports.count(port) > 1:
            raise SettingInvalid(setting=name, reason="port_twice")
    bind = env.get("CIVIC_BIND") or "127.0.0.1"
    try:
        ipaddress.ip_address(bind)
    except ValueError:
        raise SettingInvalid(setting="CIVIC_BIND", reason="bind") from None
    # Below 1000 lie the system's own accounts; the upper end keeps every derived number a valid 31-bit uid.
    uid_base = _number(env, "CIVIC_UID_BASE", 20_000, 1_000, 2**31 - 1 - END, "uid_base")
    port, site_port, proxy_api_port, hub_port, gateway_port, public_gateway_port, reports_port = ports
    return Settings(
        home=home,
        port=port,
        site_port=site_port,
        proxy_api_port=proxy_api_port,
        hub_port=hub_port,
        gateway_port=gateway_port,
        public_gateway_port=public_gateway_port,
        reports_port=reports_port,
        bind=bind,
        public_url=_address(env, "CIVIC_PUBLIC_URL"),
        public_site_url=_address(env, "CIVIC_PUBLIC_SITE_URL"),
        inner_url=_address(env, "CIVIC_INNER_URL"),
        seats=_seats(env),
        seat_image=env.get("CIVIC_SEAT_IMAGE") or "",
        seat_network=env.get("CIVIC_SEAT_NETWORK") or "civic",
        uid_base=uid_base,
        database_url=env.get("CIVIC_DATABASE_URL") or "",
        hub_database_url=_with_driver(env.get("CIVIC_HUB_DATABASE_URL") or ""),
        seat_memory=_number(env, "CIVIC_SEAT_MEMORY", 1024, 0, 2**20, "seat_limit"),
        seat_cpu=_number(env, "CIVIC_SEAT_CPU", 0, 0, 100_000, "seat_limit"),
        cgroups=_cgroups(env),
        seat_idle=_idle(env),
        home_quota=_number(env, "CIVIC_HOME_QUOTA", 2048, 0, 2**20, "seat_limit"),
        most_seats=_number(env, "CIVIC_MOST_SEATS", 100, 0, 5_000, "seat_limit"),
        runs_at_once=_number(env, "CIVIC_RUNS_AT_ONCE", 0, 0, 8, "seat_limit"),
        run_memory=_number(env, "CIVIC_RUN_MEMORY", 700, 100, 2**20, "seat_limit"),
        **_oidc(env),
        language=_language(env),
        is_root=is_root,
    )
