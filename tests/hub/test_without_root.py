"""Without root there is one user and no wall between seats; every page has to say so."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hub_config.settings import PYTHON
from hub_config.starting.running import find_running
from tests.hub.conftest import make_settings, write_config
from tests.hub.seat import Seat

pytestmark = [pytest.mark.hub, pytest.mark.slow, pytest.mark.root]
NOBODY = 65_534
PREPARE = (
    "from tests.hub.conftest import add_people; from hub_config.settings import read_settings; import json; "
)
PREPARE += "print(json.dumps(add_people(read_settings())))"


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming somebody without root needs root")
def test_every_page_and_every_seat_carries_the_warning(folder):
    import json
    import urllib.request

    settings = make_settings(folder / "home")
    config = write_config(folder)
    os.chown(folder, NOBODY, NOBODY)
    # A checkout of her own: ours may lie in a folder that is closed to her.
    here, root = Path(__file__).resolve().parents[2], folder / "checkout"
    for name in ("hub_config", "templates", "notebooks", "tests/hub"):
        shutil.copytree(here / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    config.write_text(config.read_text().replace(str(here), str(root)))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), **settings.environment()}
    as_nobody = {"env": environment, "user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}
    run = [PYTHON, "-c", PREPARE]
    secrets = json.loads(subprocess.run(run, capture_output=True, check=True, **as_nobody).stdout)
    command = [PYTHON, root / "tests/hub/up_with_stub.py", config, "up", "--detach"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, **as_nobody)
    try:
        assert told.returncode == 0, told.stderr
        assert "single user" in told.stdout
        request = urllib.request.Request(
            f"{settings.workspace_url}/hub/login", headers={"Accept-Language": "en"}
        )
        assert "single user" in urllib.request.urlopen(request).read().decode()
        seat = Seat(settings.workspace_url, secrets["analyst-lee"])
        assert seat.run("import os; print(os.getuid())") == str(NOBODY)
        assert "custom.css" in seat.page("lab")
        assert "single user" in seat.page("custom/custom.css")
    finally:
        find_running(settings).stop()
