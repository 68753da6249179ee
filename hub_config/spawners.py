"""A server for each person and room: a local process under a uid that only the workspace knows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
from jupyterhub.spawner import LocalProcessSpawner, SpawnException
from jupyterhub.utils import maybe_future

from civic_kernel import warm
from hub_config.home import add_example, home_folder, make_home, warm_socket
from hub_config.limits.space import MEGABYTE, is_full
from hub_config.limits.watcher import find_groups
from hub_config.members.people import Account
from hub_config.runtime import (
    current_line,
    current_people,
    current_seat_ports,
    current_settings,
    current_workshops,
)
from hub_config.services import CULL_EVERY_S
from hub_config.settings import PREFIX, Settings, checkout_path
from hub_config.starting.processes import MAX_PROCESSES, make_seat_preexec
from hub_config.texts import text
from hub_config.workshop.workshops import Workshop

#: Seconds between two looks whether a seat that was just forked answers.
LOOK_EVERY_S = 0.02
#: Bytes of the machine's memory that must be free for one more seat; less, and all seats would suffer.
LEAST_FREE = 400 * 2**20
#: Seconds after which whoever found no seat free should try again.
RETRY_S = 60
#: In each home, made anew at each start: they are the person's to delete.
FOLDERS = (".tmp", ".local/share/jupyter")


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
        "CIVIC_WARM_SOCKET": str(warm_socket(settings)),
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
        # Kernels that name no provisioner of their own are forked as well; one that is not Python starts cold.
        "--KernelProvisionerFactory.default_provisioner_name=civic-warm",
        "--MultiKernelManager.default_kernel_name=civic",
        "--LabApp.extension_manager=readonly",  # what a seat runs is installed by the workspace
        # Its default is worked out when the module is imported: in a fork that was in the template's home.
        f"--BaseFileIdManager.db_path={home / '.local/share/jupyter/file_id_manager.db'}",
        # So are these of JupyterLab's: what is open where, and a person's own settings, could not be kept.
        f"--LabApp.workspaces_dir={home / '.jupyter/lab/workspaces'}",
        f"--LabApp.user_settings_dir={home / '.jupyter/lab/user-settings'}",
        "--ServerApp.jpserver_extensions=civic_kernel.seat_sessions=True",
        # How long it believes the Hub about a browser, where it could not be told that somebody has left a team;
        # JupyterHub's own 300 s would be how long she still enters its room.
        "--HubOAuth.cache_max_age=20",
        "--LanguageServerManager.autodetect=False",  # none is installed; looking for twenty costs a core's 0.2 s
        "--ServerApp.jpserver_extensions=civic_kernel.lab=True",
        "--ServerApp.contents_manager_class=civic_kernel.seat_files.SeatFiles",
    ]
    if settings.seat_idle:
        # For the kernels of a server that is in use itself. Ending one counts as use of its server, which would stay
        # twice as long if this came before the culler's turn.
        arguments += [
            f"--MappingKernelManager.cull_idle_timeout={60 * settings.seat_idle + 3 * CULL_EVERY_S}",
            f"--MappingKernelManager.cull_interval={CULL_EVERY_S}",
            "--MappingKernelManager.cull_connected=True",
        ]
    checkout = checkout_path()
    if checkout is not None:  # installed, its buttons lie where JupyterLab looks for them
        arguments.append(f"--LabApp.extra_labextensions_path={checkout / 'civic_kernel/lab/labextension'}")
    if account.is_room:
        state = home / ".collaboration"
        arguments += [
            f"--BoundedStore.db_path={state / 'ystore.db'}",
            "--YDocExtension.ystore_class=civic_kernel.rooms.store.BoundedStore",
            f"--YDocExtension.session_store_path={state / 'sessions.json'}",
            "--ServerApp.kernel_websocket_connection_class=civic_kernel.rooms.attribution.Attributed",
            "--ServerApp.jpserver_extensions=civic_kernel.rooms=True",
        ]
    else:
        arguments.append("--YDocExtension.disable_rtc=True")
    if not settings.isolated:
        arguments.append("--LabApp.custom_css=True")
    return arguments


def make_workshop_environment(workshop: Workshop) -> dict[str, str]:
    """What a seat knows of its workshop. It starts on made-up rows, so that learning costs nobody's budget, and with
    the workshop's notebook open."""
    environment = {"CIVIC_WORKSHOP": workshop.slug, "CIVIC_START_ON": "twin"}
    if workshop.notebook:
        environment["JUPYTERHUB_DEFAULT_URL"] = f"/lab/tree/examples/{quote(workshop.notebook)}"
    return environment


class SeatSpawner(LocalProcessSpawner):  # type: ignore[misc]  # jupyterhub ships no types
    """Starts `python -m jupyterhub.singleuser` as the account's uid, in its home, with a clean environment.

    Servers end with the workspace (`die_with_parent`): one that outlived its Hub would hold a port and a
    token that nobody looks after."""

    #: The last start was refused because the home holds too much; the home page says so.
    is_home_full = False
    #: Whether it has passed the line at this start.
    _has_turn = False

    def _account(self) -> Account:
        return current_people().account(self.user.name)

    def _home(self, account: Account) -> Path:
        return home_folder(current_settings(), account.name, is_room=account.is_room)

    def get_env(self) -> dict[str, str]:
        account = self._account()
        self.env_keep: list[str] = []
        env: dict[str, str] = super().get_env()
        workshop = current_workshops().open_for(account.name)
        return {
            **env,
            **make_seat_environment(current_settings(), account, self._home(account)),
            **(make_workshop_environment(workshop) if workshop else {}),
        }

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Nothing from passwd."""
        return env

    def get_args(self) -> list[str]:
        account = self._account()
        return make_seat_arguments(current_settings(), account, self._home(account))

    async def run_pre_spawn_hook(self) -> None:
        """Refuses a start that could not go well. Raises SpawnException; the page says why in the reader's words."""
        settings, account = current_settings(), self._account()
        self._has_turn = False
        self._refuse_one_too_many(settings, account)
        # The first one of thirty people at once copies thirty times the examples: not in the loop that serves all.
        home = await asyncio.to_thread(
            make_home, settings, account.name, account.uid, is_room=account.is_room
        )
        self.is_home_full = await asyncio.to_thread(is_full, settings, home, account.uid)
        if self.is_home_full:
            sentence = text(account.language, "limits.full", megabytes=settings.home_quota)
            raise SpawnException(sentence, reason="home_full", status_code=507, log_message="home is full")
        await maybe_future(super().run_pre_spawn_hook())
        await current_line().enter(self)
        self._has_turn = True
        # The Hub's own future of the whole start: its end is when the server answers, or nobody waits for it any more.
        self._spawn_future.add_done_callback(lambda _: current_line().leave(self))

    def _refuse_one_too_many(self, settings: Settings, account: Account) -> None:
        others = self.user.settings["users"].count_active_users()["active"] - 1
        is_full = bool(settings.most_seats) and others >= settings.most_seats
        if is_full or psutil.virtual_memory().available < LEAST_FREE:
            refusal = SpawnException(
                text(account.language, "limits.too_many"), reason="seats_full", status_code=429
            )
            refusal.headers = {"Retry-After": str(RETRY_S)}
            raise refusal

    async def progress(self) -> AsyncIterator[dict[str, object]]:
        """The place in the line whenever it changes, for the waiting page; then that the server is starting."""
        account, last = self._account(), None
        while not self._has_turn:
            place = current_line().place(self)
            if place is not None and place != last:
                seconds = current_line().seconds(place)
                sentence = text(account.language, "limits.waiting", place=place, seconds=seconds)
                yield {"progress": 10, "message": sentence, "place": place, "seconds": seconds}
            last = place
            await asyncio.sleep(0.25)
        yield {"progress": 50, "message": text(account.language, "waiting.text"), "place": 0}

    def _limits(self) -> warm.Limits:
        return warm.Limits(
            memory=int(self.mem_limit or 0),
            cpu=int((self.cpu_limit or 0) * 100),
            processes=MAX_PROCESSES,
            file=current_settings().home_quota * MEGABYTE,
        )

    def make_preexec_fn(self, name: str) -> object:
        account = self._account()
        settings = current_settings()
        home = str(self._home(account))
        uid = account.uid if settings.is_root else None
        groups = find_groups(settings)
        if groups is not None:
            groups.make(account.uid, self._limits())
        prepare = make_seat_preexec(home, os.path.join(home, ".server.log"), uid, self._limits(), groups)
        notice = None if settings.isolated else text(account.language, "banner.shared")
        return _seat_preexec(prepare, notice, account.is_room)


def _seat_preexec(prepare: Callable[[], None], notice: str | None, is_room: bool) -> object:

    def preexec() -> None:
        prepare()
        for folder in (*FOLDERS, ".collaboration") if is_room else FOLDERS:
            os.makedirs(folder, mode=0o700, exist_ok=True)
        if notice is not None:
            _write_banner(Path(), notice)

    return preexec


def _write_banner(home: Path, notice: str) -> None:
    folder = home / ".jupyter/custom"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / "custom.css").write_text(_BANNER % notice.replace('"', ""), "utf-8")


async def _listens(child: warm.Child, port: int) -> None:
    """Returns when somebody listens there, or `child` has ended, which the Hub finds out itself.

    The Hub looks twice as late each time: a seat that is ready after half a second would be seen after one and a half.
    """
    while child.is_alive():
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            writer.close()
            return


class WarmSpawner(SeatSpawner):
    """Seats forked from the workspace's template (civic_kernel.warm); started cold where there is none.

    A seat is known by its process id and start time, kept in the Hub's database, so that a Hub that is started
    anew finds the servers that run."""

    started = 0

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.started = state.get("started", 0)

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        return {**state, "started": self.started} if self.started else state

    def clear_state(self) -> None:
        super().clear_state()
        self.started = 0

    async def start(self) -> tuple[str, int]:
        settings = current_settings()
        account = self._account()
        home = self._home(account)
        workshop = current_workshops().open_for(account.name)
        if workshop is not None and workshop.notebook:
            names = (workshop.slug, workshop.notebook)
            await asyncio.to_thread(add_example, settings, home, account.uid, *names)
        port = self.port = current_seat_ports().next_free()
        notice = None if settings.isolated else text(account.language, "banner.shared")
        if notice is not None:
            _write_banner(home, notice)
        order = (
            warm.Order(warm.Kind.SEAT, uid=account.uid, limits=self._limits())
            if settings.is_root
            else warm.Order(warm.Kind.SEAT)
        )
        letter = warm.Letter(
            argv=("jupyterhub-singleuser", *self.get_args()),
            env=self.get_env(),
            cwd=str(home),
            log=str(home / ".server.log"),
            folders=(*FOLDERS, ".collaboration") if account.is_room else FOLDERS,
        )
        try:
            child = await asyncio.to_thread(warm.ask, str(warm_socket(settings)), order, letter)
        except (warm.NoTemplate, warm.Refused) as fault:
            self.log.warning(
                "starting %s without the template: %s", account.name, fault or "it does not answer"
            )
            self.started = 0
            address: tuple[str, int] = await super().start()
            return address
        self.pid, self.started = child.pid, child.started
        await _listens(child, port)
        return self.ip or "127.0.0.1", port

    async def poll(self) -> int | None:
        if not self.started:
            status: int | None = await super().poll()
            return status
        if warm.is_alive(self.pid, self.started):
            return None
        self.clear_state()
        return 0

    async def _signal(self, sig: int) -> bool:
        if not self.started:
            sent: bool = await super()._signal(sig)
            return sent
        return warm.send_signal(self.pid, self.started, sig)


#: JupyterLab fills the window with one absolutely placed panel, so the banner takes a strip from its top.
_BANNER = """body::before {
  content: "%s"; position: fixed; inset: 0 0 auto 0; height: 2rem; line-height: 2rem; z-index: 10000;
  padding: 0 1rem; overflow: hidden; white-space: nowrap; text-overflow: ellipsis;
  background: #fff3db; color: #1e2124; font-size: 0.875rem; border-bottom: 1px solid #9e6a00;
}
body > .jp-LabShell { top: 2rem !important; height: calc(100%% - 2rem) !important; }
"""
