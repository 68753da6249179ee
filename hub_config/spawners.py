"""A server for each person and room: a local process under a uid that only the workspace knows."""

from __future__ import annotations

import os
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner

from hub_config.home import make_home
from hub_config.people import Account
from hub_config.runtime import current_people, current_settings
from hub_config.settings import PREFIX, Settings, checkout_path
from hub_config.texts import text

#: Threads count, and a kernel with BLAS on many cores has dozens; a runaway fork has thousands.
MAX_PROCESSES = 1024


def make_seat_environment(settings: Settings, account: Account, home: Path) -> dict[str, str]:
    """The whole environment of a seat but for JupyterHub's own JUPYTERHUB_* variables: an allow-list, since
    the Hub's environment belongs to whoever started it."""
    environment = {
        "HOME": str(home),
        "USER": account.name,
        "LOGNAME": account.name,  # getpass and IPython fall back to passwd, where persons have no line
        "SHELL": "/bin/bash",
        "PATH": f"{PREFIX}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "Asia/Seoul",
        "TMPDIR": str(home / ".tmp"),
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "JUPYTER_DATA_DIR": str(home / ".local/share/jupyter"),
        "JUPYTER_RUNTIME_DIR": str(home / ".local/share/jupyter/runtime"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "CIVIC_GATEWAY_URL": settings.gateway_url,
        "CIVIC_LANGUAGE": account.language,
        # What a person at her seat does unless she says otherwise; a report run names another purpose.
        "CIVIC_PURPOSE": "exploration",
    }
    if account.teams:
        environment["CIVIC_TEAM"] = account.teams[0]
    checkout = checkout_path()
    if checkout is not None:
        environment["PYTHONPATH"] = str(checkout)
    return environment


def make_seat_arguments(settings: Settings, account: Account, home: Path) -> list[str]:
    """Arguments of the server. Co-editing is installed, hence on unless switched off: in a seat it would only
    add a second writer to every file."""
    arguments = [
        f"--LabApp.app_settings_dir={settings.home / 'lab' / account.language}",
        "--ServerApp.quit_button=False",
        "--LabApp.extension_manager=readonly",  # what a seat runs is installed by the workspace
    ]
    if account.is_room:
        state = home / ".collaboration"
        arguments += [
            f"--SQLiteYStore.db_path={state / 'ystore.db'}",
            "--SQLiteYStore.squash_after_inactivity_of=600",
            f"--YDocExtension.session_store_path={state / 'sessions.json'}",
        ]
    else:
        arguments.append("--YDocExtension.disable_rtc=True")
    if not settings.isolated:
        arguments.append("--LabApp.custom_css=True")
    return arguments


class SeatSpawner(LocalProcessSpawner):  # type: ignore[misc]  # jupyterhub ships no types
    """Starts `python -m jupyterhub.singleuser` as the account's uid, in its home, with a clean environment.

    Servers end with the workspace (`die_with_parent`): one that outlived its Hub would hold a port and a
    token that nobody looks after."""

    def _account(self) -> Account:
        return current_people().account(self.user.name)

    def _home(self, account: Account) -> Path:
        return make_home(current_settings(), account.name, account.uid, is_room=account.is_room)

    def get_env(self) -> dict[str, str]:
        account = self._account()
        self.env_keep: list[str] = []
        env: dict[str, str] = super().get_env()
        return {
            **env,
            **make_seat_environment(current_settings(), account, self._home(account)),
        }

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Nothing from passwd."""
        return env

    def get_args(self) -> list[str]:
        account = self._account()
        return make_seat_arguments(current_settings(), account, self._home(account))

    def make_preexec_fn(self, name: str) -> object:
        account = self._account()
        settings = current_settings()
        home = str(self._home(account))
        uid = account.uid if settings.is_root else None
        notice = None if settings.isolated else text(account.language, "banner.shared")
        return _seat_preexec(home, uid, notice, account.is_room)


def _seat_preexec(home: str, uid: int | None, notice: str | None, is_room: bool) -> object:
    from hub_config.processes import make_seat_preexec

    log = os.path.join(home, ".server.log")
    prepare = make_seat_preexec(home, log, uid, MAX_PROCESSES)

    def preexec() -> None:
        prepare()
        # As the person, in her own folder: these are hers to delete, and are there again next time.
        os.makedirs(".tmp", mode=0o700, exist_ok=True)
        if is_room:
            os.makedirs(".collaboration", mode=0o700, exist_ok=True)
        if notice is not None:
            os.makedirs(".jupyter/custom", mode=0o700, exist_ok=True)
            with open(".jupyter/custom/custom.css", "w", encoding="utf-8") as file:
                file.write(_BANNER % notice.replace('"', ""))

    return preexec


#: JupyterLab fills the window with one absolutely placed panel, so the banner takes a strip from its top.
_BANNER = """body::before {
  content: "%s"; position: fixed; inset: 0 0 auto 0; height: 2rem; line-height: 2rem; z-index: 10000;
  padding: 0 1rem; overflow: hidden; white-space: nowrap; text-overflow: ellipsis;
  background: #fff3db; color: #1e2124; font-size: 0.875rem; border-bottom: 1px solid #9e6a00;
}
body > .jp-LabShell { top: 2rem !important; height: calc(100%% - 2rem) !important; }
"""
