"""DuckDB as the vault uses it: encrypted files, no way out, no message that quotes a value or a key.

The order of the settings is forced: the crypto extension and every file must be there before
`enable_external_access=false`, which closes the file system for good, and `temp_file_encryption` before
`lock_configuration`, after which nothing can be set.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import duckdb

from data_access.errors import CivicError, InternalFault, VaultDamaged, VaultKeyWrong


@cache
def _crypto_extension() -> str:
    """The signed `httpfs` extension of this very DuckDB, out of its wheel.

    Its OpenSSL is what DuckDB encrypts with; without it DuckDB refuses to write encrypted files. (Its network
    part is closed by `enable_external_access=false`.)
    """
    found = importlib.util.find_spec("duckdb_extension_httpfs")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
        if path.is_file():
            return str(path)
    raise RuntimeError(f"the wheel duckdb-extension-httpfs=={duckdb.__version__} is not installed")


def open_connection(*, threads: int, memory: str, scratch: Path | None) -> duckdb.DuckDBPyConnection:
    """An empty in-memory database that can attach encrypted files.

    `scratch` takes what does not fit into `memory`, encrypted; None forbids spilling.
    """
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": str(threads),
            "memory_limit": memory,
            "temp_directory": "" if scratch is None else str(scratch),
            "temp_file_encryption": "true",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            # Otherwise a table's name in SQL may mean a Python variable of the caller.
            "python_enable_replacements": "false",
            "preserve_insertion_order": "false",
        },
    )
    connection.execute(f"LOAD {_quoted(_crypto_extension())}")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def attach(
    connection: duckdb.DuckDBPyConnection, path: Path, name: str, key_hex: str, *, read_only: bool = False
) -> None:
    """ATTACH one encrypted file (AES-GCM). Raises VaultKeyWrong or VaultDamaged.

    ATTACH takes no bound parameters, and DuckDB's message for a statement it cannot parse repeats the
    statement with the key: hence the hex, the scrubbing, and an error of ours in place of DuckDB's.
    """
    mode = ", READ_ONLY" if read_only else ""
    fault: CivicError | None = None
    try:
        connection.execute(f"ATTACH {_quoted(str(path))} AS {name} (ENCRYPTION_KEY '{key_hex}'{mode})")
    except duckdb.Error as error:
        fault = reason_of(error)
    if fault is not None:
        raise fault if isinstance(fault, VaultKeyWrong) else VaultDamaged()


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """From here on the connection reaches the attached files and nothing else, for good."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def reason_of(error: duckdb.Error) -> CivicError:
    """The refusal for a DuckDB error, whose own text (it may quote values, paths, the key) is wiped."""
    text = str(error)
    error.args = ("withheld",)
    if "Wrong encryption key" in text:
        return VaultKeyWrong()
    # A block whose AES tag does not fit, a checksum that does not, a file that ends early or is not there.
    if isinstance(error, duckdb.IOException) or "AES tag" in text or "Corrupt" in text:
        return VaultDamaged()
    return InternalFault()


def identifier(name: str) -> str:
    """A catalog's column name in SQL. Quoted, since `at`, `order` or `end` are good names and reserved words."""
    return f'"{name}"'


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
