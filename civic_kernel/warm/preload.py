"""What the template imports, and how: with one thread, and with paths that are nobody's home.

Only modules, no objects: an event loop, a ZMQ context or an open database would be shared by every child.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import warnings

#: Set before the first of these libraries is imported; each would start threads otherwise.
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
}

SERVER = (
    "jupyterhub.singleuser.extension",
    "jupyter_server.serverapp",
    "jupyter_server.services.contents.largefilemanager",
    "jupyter_server.services.kernels.kernelmanager",
    "jupyter_server.services.kernels.websocket",
    "jupyter_server.services.sessions.sessionmanager",
    "jupyterlab",
    "jupyterlab.labapp",
    "jupyterlab_server.handlers",
    "jupyter_lsp",
    "jupyter_lsp.serverextension",
    "jupyter_server_ydoc",
    "jupyter_server_ydoc.app",
    "jupyter_server_fileid.extension",
    "jupyter_server_terminals",
    "jupyter_server_terminals.app",
    "notebook_shim",
    "notebook_shim.nbserver",
    "nbconvert",
    "jupyter_client.provisioning",
)
KERNEL = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "IPython.core.completer",
    "IPython.core.magics",
    "IPython.core.pylabtools",
    "jedi",
    "matplotlib_inline.backend_inline",
    "numpy",
    "numpy.random",
    "pandas",
    "pyarrow",
    "pyarrow.parquet",
    "geopandas",
    "shapely",
    "folium",
    "matplotlib.pyplot",
    "civic_kernel.client",
    "civic_kernel.queries",
    "civic_kernel.frames",
    "civic_kernel.charts",
    "civic_kernel.maps",
    "civic_kernel.methods.combine",
    "civic_kernel.methods.rates",
)


def preload(modules: tuple[str, ...] = SERVER + KERNEL) -> list[str]:
    """Import `modules`; those that are not installed, which a child then misses as it would without us."""
    missing = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in modules:
            try:
                importlib.import_module(name)
            except ImportError:
                missing.append(name)
    with contextlib.suppress(Exception):
        # Reads every font of the machine: seconds, once, instead of in each kernel.
        importlib.import_module("matplotlib.font_manager").fontManager  # noqa: B018
    return missing


def prepare_environment(home: str) -> None:
    """Before `preload`: one thread, and nobody's home. `home` is an empty folder that children may read."""
    os.environ.update(ONE_THREAD)
    os.environ.update(
        {"HOME": home, "MPLCONFIGDIR": home, "JUPYTER_PREFER_ENV_PATH": "1", "TZ": "Asia/Seoul"}
    )
    for name in list(os.environ):
        if name.startswith("JUPYTERHUB_"):
            del os.environ[name]
