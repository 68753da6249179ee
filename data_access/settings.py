"""Environment → one frozen Settings. The only reader of os.environ on the vault side; only `compose` imports it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Every setting stands in docs/settings.md. Noise and clock are not among them, and never will be."""

    model_config = ConfigDict(frozen=True)

    home: Path
    #: May hold a password.
    database_url: str = Field(repr=False)
    bind: str = "127.0.0.1"
    gateway_port: int = Field(8012, ge=1, le=65535)
    public_port: int = Field(8013, ge=1, le=65535)
    site_port: int = Field(8002, ge=1, le=65535)
    service_prefix: str = "/services/data/"
    hub_api_url: str = ""
    hub_token: str = Field("", repr=False)
    #: The service's name as an OAuth client, where the Hub sends browsers back to, and the address of the Hub's pages.
    hub_client: str = ""
    hub_callback: str = ""
    hub_base: str = "/"
    isolated: bool

    @property
    def run_socket(self) -> Path:
        """Where report runs reach the gateway, which have no network. Short: a socket's path has 108 bytes at most."""
        return self.home / "gateway" / "s"

    @property
    def vault_folder(self) -> Path:
        return self.home / "vault"

    @property
    def keys_folder(self) -> Path:
        return self.home / "keys"

    @property
    def catalog_folder(self) -> Path:
        return self.home / "catalog"

    @property
    def policies_folder(self) -> Path:
        return self.home / "policies"

    @property
    def public_folder(self) -> Path:
        return self.home / "public"


def default_home() -> Path:
    """What set-up noted beside the environment; a checkout that was never set up uses its own `.civic`."""
    note = Path(sys.prefix) / "civic-setup.json"
    if note.is_file():
        return Path(json.loads(note.read_text("utf-8"))["state"])
    return Path(__file__).resolve().parents[1] / ".civic"


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    env = os.environ if environ is None else environ
    home = Path(env.get("CIVIC_HOME") or default_home())
    return Settings(
        home=home,
        database_url=env.get("CIVIC_DATABASE_URL") or f"sqlite:///{home / 'db' / 'vault.sqlite'}",
        bind=env.get("CIVIC_BIND", "127.0.0.1"),
        gateway_port=int(env.get("CIVIC_GATEWAY_PORT", "8012")),
        public_port=int(env.get("CIVIC_PUBLIC_GATEWAY_PORT", "8013")),
        site_port=int(env.get("CIVIC_SITE_PORT", "8002")),
        service_prefix=env.get("JUPYTERHUB_SERVICE_PREFIX", "/services/data/"),
        hub_api_url=env.get("JUPYTERHUB_API_URL", ""),
        hub_token=env.get("JUPYTERHUB_API_TOKEN", ""),
        hub_client=env.get("JUPYTERHUB_CLIENT_ID", ""),
        hub_callback=env.get("JUPYTERHUB_OAUTH_CALLBACK_URL", ""),
        hub_base=env.get("JUPYTERHUB_BASE_URL", "/"),
        # Seats run as other users only where the workspace was started by root, who then owns the folder
        # above the vault; the gateway itself is civic-vault and cannot tell by its own id.
        isolated=_is_isolated(home),
    )


def _is_isolated(home: Path) -> bool:
    """Isolation is read from the file system, not from a setting that an operator could get wrong."""
    try:
        above, vault = home.stat(), (home / "vault").stat()
    except FileNotFoundError:
        return False
    return above.st_uid == 0 and vault.st_uid not in (0,) and not vault.st_mode & 0o077
