"""The settings file of seats in containers (CIVIC_SEATS=containers): the workspace's own, and what differs.

Containers reach proxy, Hub and gateway at CIVIC_BIND, which therefore is the address of the Docker network's gateway:
neither the loopback, which is another one in each container, nor every address of the machine.
"""

import ipaddress
from pathlib import Path

from hub_config.elsewhere.boxes import COMMAND, PORT
from hub_config.elsewhere.containers import ContainerSpawner, host_config
from hub_config.errors import SettingInvalid
from hub_config.runtime import current_settings

c = get_config()  # type: ignore[name-defined]  # noqa: F821
load_subconfig(str(Path(__file__).parents[1] / "jupyterhub_config.py"))  # type: ignore[name-defined]  # noqa: F821
settings = current_settings()

bind = ipaddress.ip_address(settings.bind)
if bind.is_loopback or bind.is_unspecified:
    raise SettingInvalid(setting="CIVIC_BIND", reason="containers_bind")
if not settings.seat_image:
    raise SettingInvalid(setting="CIVIC_SEAT_IMAGE", reason="seat_image")
if not settings.is_root:
    raise SettingInvalid(setting="CIVIC_SEATS", reason="containers_root")

c.JupyterHub.hub_bind_url = f"http://{f'[{bind}]' if bind.version == 6 else bind}:{settings.hub_port}"
c.JupyterHub.spawner_class = ContainerSpawner
c.Spawner.cmd = COMMAND
c.DockerSpawner.image = settings.seat_image
c.DockerSpawner.pull_policy = (
    "never"  # built here or brought here; a name that anybody may register is not fetched
)
c.DockerSpawner.network_name = settings.seat_network
c.DockerSpawner.use_internal_ip = True  # no port of a seat is opened on the machine
c.DockerSpawner.port = PORT
c.DockerSpawner.name_template = f"civic-{settings.uid_base}-{{username}}"
c.DockerSpawner.remove = (
    True  # the home stays; a container that is used again would keep an old image and token
)
c.DockerSpawner.extra_host_config = host_config()
