"""Keys, the encrypted store, private views and the read-only engine.

Nothing here decides who may ask: it is given a signed policy and makes the one table that questions may read.
"""

from data_access.vault.engine import Engine
from data_access.vault.keys import KeyStore, LineageKeys
from data_access.vault.lost import count_past_bound
from data_access.vault.records import Version, View, find_version, find_view
from data_access.vault.store import Staged, VaultStore
from data_access.vault.views import make_view

__all__ = [
    "Engine",
    "KeyStore",
    "LineageKeys",
    "Staged",
    "VaultStore",
    "Version",
    "View",
    "count_past_bound",
    "find_version",
    "find_view",
    "make_view",
]
