"""The settings file of seats in pods: the chart's own configuration calls it as its last word (values.yaml).

The chart says where proxy, Hub and database are and keeps their secrets; ours says who may sign in, with which
rights, to which pages, and what a seat is. There is no `civic up` in a cluster, so the folders are prepared here.
"""

from __future__ import annotations

import copy
from typing import Any

from traitlets.config.loader import PyFileConfigLoader

from hub_config.elsewhere.boxes import COMMAND, HOME, PORT
from hub_config.home import prepare
from hub_config.k8s.spawner import SECURITY, PodSpawner
from hub_config.roles import SITE
from hub_config.runtime import current_settings
from hub_config.starting.running import CONFIG


def assemble(c: Any) -> None:
    """Adds the workspace to `c`, which the chart has filled."""
    settings = current_settings()
    prepare(settings)
    of_chart, proxy = dict(c.JupyterHub), copy.deepcopy(c.ConfigurableHTTPProxy)
    ours = PyFileConfigLoader(str(CONFIG)).load_config()
    c.merge(ours)
    c.JupyterHub.update(of_chart)
    c.ConfigurableHTTPProxy = proxy  # with no token of ours in it: the chart's proxy knows only the chart's
    c.JupyterHub.authenticator_class = ours.JupyterHub.authenticator_class
    c.JupyterHub.spawner_class = PodSpawner
    if settings.hub_database_url:
        c.JupyterHub.db_url = ours.JupyterHub.db_url
    c.JupyterHub.load_roles = [*of_chart.get("load_roles", []), *ours.JupyterHub.load_roles]
    theirs = of_chart.get("services", [])
    # The gateway's entry is the chart's, which keeps its token. What else the Hub starts runs beside it in its pod,
    # but for the citizen site: that one stands with the gateway, whose public folder it serves.
    here = {SITE, *(service["name"] for service in theirs)}
    c.JupyterHub.services = [*theirs, *(s for s in ours.JupyterHub.services if s["name"] not in here)]
    _set_seats(c)


def _set_seats(c: Any) -> None:
    c.Spawner.cmd = COMMAND
    c.KubeSpawner.port = PORT
    c.KubeSpawner.working_dir = str(HOME)
    c.KubeSpawner.allow_privilege_escalation = False
    c.KubeSpawner.automount_service_account_token = False
    c.KubeSpawner.container_security_context = SECURITY
    c.KubeSpawner.extra_pod_config = {
        "enableServiceLinks": False
    }  # else the cluster's addresses stand in each seat
    c.KubeSpawner.volumes = {
        "home": {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}},
        "tmp": {"name": "tmp", "emptyDir": {"sizeLimit": "256Mi"}},
    }
    c.KubeSpawner.volume_mounts = {
        "home": {"name": "home", "mountPath": str(HOME)},
        "tmp": {"name": "tmp", "mountPath": "/tmp"},
    }
    c.KubeSpawner.storage_pvc_ensure = True
    c.KubeSpawner.pvc_name_template = "home-{username}"
