"""The template has imported what its children need: a seat, a kernel and a run import next to nothing themselves."""

import json
import os
import subprocess

from hub_config.settings import PYTHON, checkout_path

LOOK = """
import json, os, sys, tempfile
from civic_kernel.warm.preload import preload, prepare_environment
prepare_environment(tempfile.mkdtemp())
preload()
print(json.dumps({"modules": sorted(sys.modules), "threads": len(os.listdir("/proc/self/task"))}))
"""
#: What each of them would spend seconds on.
NEEDED = {
    "jupyterhub.singleuser.extension",
    "jupyterlab.labapp",
    "jupyter_server.services.kernels.websocket",
    "jupyter_server_ydoc.app",
    "ipykernel.kernelapp",
    "ipykernel.inprocess.manager",
    "papermill.execute",
    "pandas",
    "geopandas",
    "folium",
    "matplotlib.pyplot",
    "civic_kernel.lab.extension",
    "civic_kernel.reports.inside",
}


def test_the_template_has_imported_what_children_need_and_never_the_program_itself():
    checkout = checkout_path()
    environment = {"PATH": os.environ["PATH"], **({"PYTHONPATH": str(checkout)} if checkout else {})}
    done = subprocess.run(
        [PYTHON, "-P", "-W", "ignore", "-c", LOOK],
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    assert NEEDED - set(told["modules"]) == set()
    assert "jupyterhub.singleuser.app" not in told["modules"]
