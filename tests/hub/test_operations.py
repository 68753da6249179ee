"""What whoever runs the workspace looks at: health, figures, logs. Real Hub; no name and no secret in any of it."""

import json
import re
import time
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hub_config.client import Session
from hub_config.home import read_token, warm_socket
from hub_config.operations import logs
from hub_config.operations.logs import Logs


def get(url, token=None):
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def health(hub):
    status, body = get(f"{hub.url}/hub/api/civic/health")
    return status, json.loads(body)


@pytest.mark.hub
def test_health_names_the_part_that_is_down_and_needs_no_account(hub):
    status, found = health(hub)
    assert (status, found["status"]) == (200, "ok")
    assert found["parts"] == {"database": "ok", "template": "ok", "gateway": "ok", "disk": "ok"}
    socket = warm_socket(hub.settings)
    away = socket.with_name("away")
    socket.rename(away)
    try:
        time.sleep(2.1)  # the last answer is kept so long
        status, found = health(hub)
    finally:
        away.rename(socket)
    assert (status, found["status"], found["parts"]["template"]) == (503, "down", "down")
    assert found["parts"]["database"] == "ok"


@pytest.mark.hub
def test_figures_of_hub_template_and_seats_are_for_the_monitor_alone_and_name_nobody(hub):
    session = Session(hub.url, hub.secrets["expert-han"])
    url = f"{hub.url}/hub/metrics"
    hers = session.token(["access:services!service=data"], lifetime_s=60, note="test")
    assert get(url)[0] == 403 and get(url, hers)[0] == 403
    status, text = get(url, read_token(hub.settings, "monitor"))
    assert status == 200
    found = {family.name: family for family in text_string_to_metric_families(text)}
    assert [sample.value for sample in found["civic_template_up"].samples] == [1.0]
    assert {sample.labels["what"] for sample in found["civic_disk_bytes"].samples} == {"free", "total"}
    assert found["civic_log_bytes"].samples[0].value > 0
    assert "jupyterhub_running_servers" in found
    if hub.settings.is_root:
        assert {sample.labels["of"] for sample in found["civic_seat_memory_bytes"].samples} == {
            "persons",
            "rooms",
        }
    assert not [name for name in [*hub.secrets, "river", "gu-office", "room-01"] if name in text]


@pytest.mark.hub
def test_no_secret_that_was_used_stands_in_a_log(hub):
    session = Session(hub.url, hub.secrets["analyst-lee"])
    token = session.token(["access:services!service=data"], lifetime_s=60, note="test")
    get(f"{hub.url}/hub/api/user?token={token}")
    get(f"{hub.url}/hub/login?k={hub.secrets['analyst-lee']}")
    get(f"{hub.url}/services/data/?code={token}")
    get(f"{hub.url}/hub/api/user", "not-a-token")
    state = hub.settings.home
    kept = [read_token(hub.settings, name) for name in ("proxy", "monitor", "reports")]
    kept += [(state / "hub" / name).read_text().strip() for name in ("cards.key", "cookie_secret")]
    kept += [*hub.secrets.values(), token, *(cookie.value for cookie in session._jar)]
    kept = [secret for secret in kept if len(secret) >= 20]
    assert len(kept) >= 12, "too little is looked for"
    written = "".join(path.read_text("utf-8", "replace") for path in (state / "logs").iterdir())
    assert "GET /hub/api/user" in written, "the log is the one that these requests are in"
    assert [secret for secret in kept if secret in written] == []


def test_a_log_is_moved_aside_when_it_is_long_and_who_writes_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "EVERY_SECONDS", 0.0)
    file = tmp_path / "hub.log"
    kept = Logs(file, most=1000, kept=3)
    kept.keep()  # there is none yet
    with file.open("ab", buffering=0) as writer:
        for number in range(60):
            writer.write(b"%02d " % number + b"x" * 97 + b"\n")
            kept.keep()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "hub.log",
        "hub.log.1",
        "hub.log.2",
        "hub.log.3",
    ]
    assert all(path.stat().st_size <= 1101 for path in tmp_path.iterdir())
    assert (tmp_path / "hub.log.1").stat().st_mode & 0o777 == 0o600
    text = "".join(path.read_text() for path in sorted(tmp_path.iterdir(), reverse=True))
    numbers = [int(found) for found in re.findall(r"^(\d\d) x{97}$", text, re.M)]
    assert numbers == list(range(numbers[0], 60)), "whole lines, in order, none missing between"


def test_a_log_that_cannot_be_copied_is_emptied_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "EVERY_SECONDS", 0.0)
    file = tmp_path / "hub.log"
    file.write_bytes(b"x" * 2000)
    (tmp_path / "hub.log.1").mkdir()
    (tmp_path / "hub.log.2").mkdir()
    (tmp_path / "hub.log.2" / "in the way").touch()
    Logs(file, most=1000, kept=1).keep()
    assert file.stat().st_size == 0
