"""How much of a version lies past the row bound: the only reader of ranks beyond the view's own making."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_access.vault.duck import attach, lock
from data_access.vault.keys import LineageKeys
from data_access.vault.store import PERIOD, RANK, VaultStore


def count_past_bound(
    store: VaultStore, source: Path, keys: LineageKeys, *, row_bound: int, periods: Sequence[str]
) -> dict[str, tuple[int, int, int, int]]:
    """Of each period: person-periods, those past the bound, rows within it, rows past it up to as many again.

    Exact, so for nobody: the caller adds noise before anything is stored. Ranks alone are read, and a person-period's
    ranks are 1 to the number of its rows, so its part in the four is a function of that number: at most 1, 1, B, B.
    Rows past twice the bound are left out, since one person's could else be any number. Raises VaultKeyWrong,
    VaultDamaged.
    """
    found = dict.fromkeys(periods, (0, 0, 0, 0))
    with store.connection() as connection:
        attach(connection, source, "full_data", keys.file_hex, read_only=True)
        lock(connection)
        rows = connection.execute(
            f"""
            SELECT {PERIOD}, count(*) FILTER ({RANK} = 1), count(*) FILTER ({RANK} = $bound + 1),
                   count(*) FILTER ({RANK} <= $bound), count(*) FILTER ({RANK} > $bound AND {RANK} <= 2 * $bound)
            FROM full_data.data WHERE list_contains($periods, {PERIOD}) AND {RANK} IS NOT NULL
            GROUP BY {PERIOD}
            """,
            {"bound": row_bound, "periods": list(periods)},
        ).fetchall()
        connection.execute("DETACH full_data")
    return found | {period: (units, past, kept, lost) for period, units, past, kept, lost in rows}
