"""Seats as pods of a cluster (KubeSpawner)."""

from __future__ import annotations

from typing import Any

from kubespawner import KubeSpawner

from hub_config.elsewhere.boxes import make_box_arguments, make_box_environment
from hub_config.members.people import Account
from hub_config.runtime import current_people, current_settings


class PodSpawner(KubeSpawner):  # type: ignore[misc]  # kubespawner ships no types
    """A pod as the account's uid and gid; its home is a volume of its own."""

    def _account(self) -> Account:
        return current_people().account(self.user.name)

    def get_env(self) -> dict[str, str]:
        env: dict[str, str] = super().get_env()
        return {**env, **make_box_environment(current_settings(), self._account())}

    def get_args(self) -> list[str]:
        return make_box_arguments(current_settings(), self._account())

    async def get_pod_manifest(self) -> Any:
        # Not in the configuration: the chart's values write one number there for everybody.
        self.uid = self.gid = self.fs_gid = self._account().uid
        return await super().get_pod_manifest()


#: Of each seat's container: the profile "restricted" of the Pod Security Standards, and a system that is not written.
SECURITY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
