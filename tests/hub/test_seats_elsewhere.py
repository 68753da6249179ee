"""Seats in containers and in pods: what Docker and a cluster would be sent. Neither runs here; the two libraries are
real, and what stands in for Docker's daemon is a socket that keeps what it was sent."""

import asyncio
import copy
import json
import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import jsonschema
import pytest
import yaml
from jupyterhub import orm
from jupyterhub.objects import Hub
from jupyterhub.user import User
from kubernetes_asyncio.client import ApiClient, models
from traitlets.config import PyFileConfigLoader

from hub_config import db, home, runtime
from hub_config.elsewhere.boxes import HOME
from hub_config.elsewhere.containers import ContainerSpawner
from hub_config.errors import SettingInvalid
from hub_config.roles import GATEWAY, SITE
from hub_config.services import render_services
from hub_config.settings import read_settings
from hub_config.starting.running import CONFIGS, start
from tests.hub.conftest import add_people, make_settings

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="homes get owners")]
K8S = Path(home.__file__).parent / "k8s"
#: What no seat may be told, wherever it runs.
SECRETS = (
    "CIVIC_HUB_DATABASE_URL",
    "CIVIC_DATABASE_URL",
    "CONFIGPROXY_AUTH_TOKEN",
    "CIVIC_WARM_SOCKET",
    "PYTHONPATH",
)
#: As the chart's configuration would have set them before ours is loaded.
CHART = """
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.db_url = "sqlite:///jupyterhub.sqlite"
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = "http://hub:8081"
c.JupyterHub.load_roles = [{"name": "of-the-chart", "scopes": [], "services": ["data"]}]
c.JupyterHub.services = [{"name": "data", "url": "http://civic-gateway:8012", "api_token": "of-the-chart"}]
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"
c.ConfigurableHTTPProxy.should_start = False
c.KubeSpawner.image = "registry.example.org/civic:0.1.0"
c.KubeSpawner.uid = 1000
c.KubeSpawner.storage_capacity = "2Gi"
c.KubeSpawner.mem_limit = "1G"
"""


def forget():
    """What one Hub process keeps for good."""
    for kept in vars(runtime).values():
        getattr(kept, "cache_clear", lambda: None)()


@pytest.fixture
def configured(settings, monkeypatch):
    """Loads a settings file as the Hub does, with these CIVIC_ settings besides."""

    def load(path, **more):
        for name, value in {**settings.environment(), **more}.items():
            monkeypatch.setenv(name, value)
        forget()
        return PyFileConfigLoader(str(path)).load_config()

    add_people(settings)
    yield load
    forget()


def make_spawner(config, name):
    db = orm.new_session_factory("sqlite:///:memory:")()
    account = orm.User(name=name)
    db.add(account)
    db.commit()
    about = {"config": config, "spawner_class": config.JupyterHub.spawner_class, "hub": Hub(port=8081)}
    db.add(orm.Spawner(name="", user=account))
    db.commit()
    return User(account, {**about, "base_url": "/"}).spawner


class Daemon(BaseHTTPRequestHandler):
    """Docker's interface, as far as a first start goes."""

    def do_GET(self):
        self._answer(404 if "/containers/" in self.path else 200, {"ApiVersion": "1.44", "Id": "sha256:1"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.sent.append((self.path, json.loads(body or b"null")))
        self._answer(201, {"Id": "abcdef0123"})

    def _answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return ""

    def log_message(self, *_):
        pass


@pytest.fixture
def docker(folder, monkeypatch):
    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    path = folder / "docker.sock"
    with Server(str(path), Daemon) as server:
        server.sent = []
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        monkeypatch.setattr(
            ContainerSpawner, "_client", None
        )  # kept by the class, with the address of another test
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def sent(docker):
    [(path, body)] = [each for each in docker.sent if "/containers/create" in each[0]]
    return path, body


IN_CONTAINERS = {
    "CIVIC_SEATS": "containers",
    "CIVIC_SEAT_IMAGE": "civic:0.1.0",
    "CIVIC_BIND": "172.18.0.1",
    "CIVIC_HUB_DATABASE_URL": "",
}


async def created(configured, name, **more):
    spawner = make_spawner(configured(CONFIGS["containers"], **IN_CONTAINERS, **more), name)
    spawner.api_token = "hers"
    await spawner.pull_image(spawner.image)
    await spawner.create_object()
    return spawner


def test_a_container_is_the_persons_number_in_her_home_and_can_gain_nothing(configured, docker, settings):
    spawner = asyncio.run(created(configured, "expert-han"))
    path, body = sent(docker)
    account = runtime.current_people().account("expert-han")
    host = body["HostConfig"]
    assert f"name=civic-{settings.uid_base}-expert" in path
    assert body["User"] == f"{account.uid}:{account.uid}"
    assert body["Image"] == "civic:0.1.0" and body["WorkingDir"] == str(HOME)
    assert host["Binds"] == [f"{settings.home}/homes/expert-han:{HOME}:rw"]
    assert (settings.home / "homes" / "expert-han").stat().st_uid == account.uid
    assert host["CapDrop"] == ["ALL"] and host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True and not host.get("Privileged")
    assert host["PidsLimit"] == 1024 and host["Memory"] == 1024 * 2**20
    assert host["NetworkMode"] == "civic" and not host.get("PortBindings")
    assert host["LogConfig"]["Config"]["max-size"] == "10m"
    assert "docker.sock" not in json.dumps(body)
    env = dict(line.split("=", 1) for line in body["Env"])
    assert not env.keys() & set(SECRETS)
    assert env["CIVIC_GATEWAY_URL"] == f"http://172.18.0.1:{settings.port}/services/data"
    assert env["HOME"] == str(HOME) and env["JUPYTERHUB_API_TOKEN"] == "hers"
    assert str(settings.home) not in json.dumps([body["Env"], body["Cmd"]])
    assert "--YDocExtension.disable_rtc=True" in body["Cmd"]
    assert spawner.pull_policy == "never"


def test_two_containers_share_nothing_but_image_and_network(configured, docker):
    asyncio.run(created(configured, "expert-han"))
    asyncio.run(created(configured, "room-01"))
    one, other = (body for path, body in docker.sent if "/containers/create" in path)
    assert one["User"] != other["User"]
    assert not set(one["HostConfig"]["Binds"]) & set(other["HostConfig"]["Binds"])
    assert "/rooms/" in other["HostConfig"]["Binds"][0]
    assert "--YDocExtension.disable_rtc=True" not in other["Cmd"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("CIVIC_BIND", "127.0.0.1"), ("CIVIC_BIND", "0.0.0.0"), ("CIVIC_SEAT_IMAGE", "")],
)
def test_containers_that_could_not_work_are_refused_before_the_hub_starts(configured, setting, value):
    with pytest.raises(SettingInvalid) as refused:
        configured(CONFIGS["containers"], **{**IN_CONTAINERS, setting: value})
    assert setting in refused.value.sentence("ko") and setting in refused.value.sentence("en")


def test_up_refuses_seats_that_only_a_cluster_has(folder):
    settings = make_settings(folder / "home", CIVIC_SEATS="pods")
    with pytest.raises(SettingInvalid):
        start(settings, print)
    with pytest.raises(SettingInvalid):
        make_settings(folder / "home", CIVIC_SEATS="vm")


IN_PODS = {
    "CIVIC_SEATS": "pods",
    "CIVIC_INNER_URL": "http://proxy-public",
    "CIVIC_HUB_DATABASE_URL": "postgresql://hub:secret@db/hub",
}


@pytest.fixture
def in_pods(configured, folder, monkeypatch):
    """The chart's configuration, then ours; the database is the file beside, since none is reached."""
    chart = folder / "chart.py"
    chart.write_text(f"c = get_config()\n{CHART}\n{values()['hub']['extraConfig']['civic']}")
    opened = db.open_database
    monkeypatch.setattr(db, "open_database", lambda settings: opened(make_file_of(settings)))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    return configured(chart, **IN_PODS)


def make_file_of(settings):
    return read_settings({**settings.environment(), "CIVIC_HUB_DATABASE_URL": ""})


def manifest_of(config, name):
    async def make():
        spawner = make_spawner(config, name)
        return await spawner.get_pod_manifest(), spawner.get_pvc_manifest()

    pod, claim = asyncio.run(make())
    plain = ApiClient.sanitize_for_serialization
    client = object.__new__(ApiClient)
    client.configuration = type("Plain", (), {"datetime_format": "", "date_format": ""})()
    return plain(client, pod), plain(client, claim)


def test_a_pod_is_the_persons_number_restricted_and_with_a_volume_of_its_own(in_pods, monkeypatch):
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    monkeypatch.setattr("kubespawner.spawner.shared_client", lambda *_: None)
    pod, claim = manifest_of(in_pods, "expert-han")
    account = runtime.current_people().account("expert-han")
    spec = pod["spec"]
    [seat] = spec["containers"]
    security = seat["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (account.uid, account.uid)
    assert spec["securityContext"]["fsGroup"] == account.uid
    assert security["capabilities"] == {"drop": ["ALL"]} and security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False and security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"} and not security.get("privileged")
    assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
    assert not any("hostPath" in volume or "secret" in volume for volume in spec["volumes"])
    [home_volume] = [v for v in spec["volumes"] if v["name"] == "home"]
    assert home_volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"] == "home-expert-han"
    assert {m["name"]: m["mountPath"] for m in seat["volumeMounts"]} == {"home": str(HOME), "tmp": "/tmp"}
    assert claim["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert (
        seat["resources"]["limits"]["memory"] == str(10**9) or seat["resources"]["limits"]["memory"] == 2**30
    )
    env = {each["name"]: each.get("value") for each in seat["env"]}
    assert not env.keys() & set(SECRETS)
    assert env["CIVIC_GATEWAY_URL"] == "http://proxy-public/services/data"
    assert "secret" not in json.dumps(env) and "of-the-chart" not in json.dumps(pod)
    assert seat["args"][0] == "/bin/sh" and "--YDocExtension.disable_rtc=True" in seat["args"]


def test_two_pods_have_two_numbers_and_two_volumes(in_pods, monkeypatch):
    monkeypatch.setattr("kubespawner.spawner.load_config", lambda **_: None)
    monkeypatch.setattr("kubespawner.spawner.shared_client", lambda *_: None)
    one, other = manifest_of(in_pods, "expert-han"), manifest_of(in_pods, "analyst-lee")
    for path in (("securityContext", "fsGroup"), ("volumes",)):
        found = [copy.deepcopy(pod["spec"]) for pod, _ in (one, other)]
        for key in path:
            found = [each[key] for each in found]
        assert found[0] != found[1]


def test_in_a_cluster_the_chart_says_where_things_are_and_ours_who_may_do_what(in_pods):
    hub, proxy = in_pods.JupyterHub, in_pods.ConfigurableHTTPProxy
    assert hub.hub_bind_url == "http://:8081" and hub.db_url.startswith("postgresql+psycopg://")
    assert proxy.should_start is False and "auth_token" not in proxy and "command" not in proxy
    assert hub.authenticator_class.__module__.startswith("hub_config.")
    roles = [role["name"] for role in hub.load_roles]
    assert {"of-the-chart", "role-participant", "room-01-member"} <= set(roles)
    services = {service["name"]: service for service in hub.services}
    assert services["data"]["api_token"] == "of-the-chart" and "command" not in services["data"]
    assert SITE not in services and "reports" in services


def values():
    return yaml.safe_load((K8S / "values.yaml").read_text("utf-8"))


def schema():
    return json.loads((K8S / "values.schema.json").read_text("utf-8"))


def test_the_charts_values_fit_their_schema_and_the_gateways_entry_is_the_one_of_one_machine(settings):
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(values(), schema())
    home.prepare(settings)
    [ours] = [service for service in render_services(settings) if service["name"] == GATEWAY]
    theirs = values()["hub"]["services"]["data"]
    for word in ("oauth_no_confirm", "oauth_client_allowed_scopes", "display"):
        assert theirs[word] == ours[word]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("singleuser.networkPolcy", {"enabled": True}),
        ("singleuser.networkPolicy.enabled", False),
        ("singleuser.networkPolicy.egressAllowRules.nonPrivateIPs", True),
        ("singleuser.networkPolicy.egressAllowRules.cloudMetadataServer", True),
        ("singleuser.allowPrivilegeEscalation", True),
        ("singleuser.cloudMetadata.blockWithIptables", True),
        ("singleuser.image.tag", "latest"),
        ("singleuser.extraContainers", []),
        ("singleuser.networkPolicy.egress", [{"ports": [{"port": 5432, "protocol": "TCP"}]}]),
        ("hub.networkPolicy.enabled", False),
        ("hub.authenticatePrometheus", False),
        ("hub.allowNamedServers", True),
        ("hub.command", ["jupyterhub"]),
        ("hub.extraEnv.CIVIC_SEATS", "here"),
        ("hub.extraEnv.CIVIC_HUB_DATABASE_URL", "postgresql://hub:secret@db/hub"),
        ("hub.extraEnv.CIVIC_PUBLIC_URL", "http://civic.example.org"),
        ("hub.services.data.url", "http://elsewhere"),
        ("ingress.enabled", False),
        ("cull.enabled", True),
        ("surprise", 1),
    ],
)
def test_values_that_open_something_or_are_misspelt_are_refused(path, value):
    changed = values()
    *above, last = path.split(".")
    place = changed
    for word in above:
        place = place[word]
    place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed, schema())


@pytest.mark.parametrize("path", ["singleuser.networkPolicy", "hub.networkPolicy", "cull", "ingress.tls"])
def test_values_that_leave_out_a_promise_are_refused(path):
    changed = values()
    *above, last = path.split(".")
    place = changed
    for word in above:
        place = place[word]
    del place[last]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed, schema())


def vault():
    found = {}
    for document in yaml.safe_load_all((K8S / "vault.yaml").read_text("utf-8")):
        found[document["kind"], document["metadata"]["name"]] = document
    return found


MODELS = {
    "PersistentVolumeClaim": models.V1PersistentVolumeClaim,
    "Deployment": models.V1Deployment,
    "Service": models.V1Service,
    "Ingress": models.V1Ingress,
    "NetworkPolicy": models.V1NetworkPolicy,
}


def unknown_words(document, kind, where=""):
    """Keys that the interface of the cluster does not have: it would drop them, or refuse the file."""
    if kind.startswith(("list[", "dict(")):
        inner = kind.removeprefix("list[").removesuffix("]")
        inner = inner.removeprefix("dict(str, ").removesuffix(")")
        each = document.items() if isinstance(document, dict) else enumerate(document)
        return [word for key, value in each for word in unknown_words(value, inner, f"{where}.{key}")]
    model = getattr(models, kind, None)
    if model is None:
        return []
    names = {outer: inner for inner, outer in model.attribute_map.items()}
    found = [f"{where}.{key}" for key in document if key not in names]
    for key in document.keys() & names.keys():
        found += unknown_words(document[key], model.openapi_types[names[key]], f"{where}.{key}")
    return found


def test_the_manifests_use_no_word_that_a_cluster_does_not_know():
    for (kind, _), document in vault().items():
        assert unknown_words(document, MODELS[kind].__name__) == []
    deployment = copy.deepcopy(vault()["Deployment", "civic-gateway"])
    deployment["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilites"] = {}
    assert unknown_words(deployment, "V1Deployment")


def test_every_container_beside_the_vault_is_restricted_and_has_no_key_to_the_cluster():
    for (kind, name), document in vault().items():
        if kind != "Deployment":
            continue
        spec = document["spec"]["template"]["spec"]
        assert spec["automountServiceAccountToken"] is False and spec["enableServiceLinks"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            security = container["securityContext"]
            assert (
                security["allowPrivilegeEscalation"] is False and security["readOnlyRootFilesystem"] is True
            )
            assert security["capabilities"] == {"drop": ["ALL"]} and security["runAsUser"] >= 10_000
            assert container["image"] == "registry.example.org/civic:0.1.0"
            for variable in container.get("env", []):
                assert (
                    "://" not in variable.get("value", "") or variable["value"] == "http://hub:8081/hub/api"
                )


def test_the_vault_is_reached_by_the_proxy_alone_and_one_gateway_writes():
    found = vault()
    gateway = found["Deployment", "civic-gateway"]["spec"]
    assert gateway["replicas"] == 1 and gateway["strategy"] == {"type": "Recreate"}
    by_name = {each["name"]: each for each in gateway["template"]["spec"]["containers"]}
    assert [m for m in by_name["site"]["volumeMounts"] if m["name"] == "vault"] == [
        {"name": "vault", "mountPath": "/srv/civic/public", "subPath": "public", "readOnly": True}
    ]
    assert (
        by_name["site"]["securityContext"]["runAsUser"] != by_name["gateway"]["securityContext"]["runAsUser"]
    )
    assert "CIVIC_DATABASE_URL" not in {each["name"] for each in by_name["site"]["env"]}
    rules = found["NetworkPolicy", "civic-gateway"]["spec"]
    assert rules["podSelector"]["matchLabels"] == gateway["template"]["metadata"]["labels"]
    to_8012 = [rule for rule in rules["ingress"] if any(p["port"] == 8012 for p in rule["ports"])]
    assert [rule["from"] for rule in to_8012] == [
        [{"podSelector": {"matchLabels": {"app": "jupyterhub", "component": "proxy"}}}]
    ]
    assert not any(p["port"] == 8013 for rule in rules["ingress"] for p in rule["ports"])
    assert found["NetworkPolicy", "civic-office"]["spec"]["ingress"] == []
    exposed = {p["port"] for (k, _), d in found.items() if k == "Service" for p in d["spec"]["ports"]}
    assert exposed == {8012, 8002}
    [site] = found["Ingress", "civic-site"]["spec"]["rules"]
    assert site["host"] not in values()["ingress"]["hosts"]
