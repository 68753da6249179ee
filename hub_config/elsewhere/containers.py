"""Seats as containers of this machine's Docker (DockerSpawner)."""

from __future__ import annotations

from typing import Any

from dockerspawner import DockerSpawner

from hub_config.elsewhere.boxes import HOME, make_box_arguments, make_box_environment
from hub_config.home import make_home
from hub_config.members.people import Account
from hub_config.runtime import current_people, current_settings
from hub_config.starting.processes import MAX_PROCESSES


class ContainerSpawner(DockerSpawner):  # type: ignore[misc]  # dockerspawner ships no types
    """A container as the account's uid, its home mounted and nothing else writable, on a network that leads to the
    Hub's address and to no other container's port from outside."""

    def _account(self) -> Account:
        return current_people().account(self.user.name)

    def get_env(self) -> dict[str, str]:
        env: dict[str, str] = super().get_env()
        return {**env, **make_box_environment(current_settings(), self._account())}

    def get_args(self) -> list[str]:
        return make_box_arguments(current_settings(), self._account())

    async def create_object(self) -> Any:
        """The container. What differs from person to person is set here: the configuration file knows no person."""
        settings, account = current_settings(), self._account()
        home = make_home(settings, account.name, account.uid, is_room=account.is_room)
        self.volumes = {str(home): str(HOME)}
        self.extra_create_kwargs = {"user": f"{account.uid}:{account.uid}", "working_dir": str(HOME)}
        return await super().create_object()


def host_config() -> dict[str, object]:
    """What Docker is told of every seat. No capability, no way to gain one, a system that cannot be written, and
    a log that ends: by default Docker keeps what a container prints for ever."""
    return {
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": MAX_PROCESSES,
        "read_only": True,
        "tmpfs": {"/tmp": "rw,nosuid,nodev,size=256m,mode=1777"},
        "init": True,  # a kernel that loses its server is somebody's child again, and is reaped
        "log_config": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
    }
