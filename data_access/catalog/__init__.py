"""What datasets exist, and what their files look like: facts about layout, nothing about permission.

A policy pins the hash of the entry it was signed for, since an edit here (which column names the person, which
table gives the gu) would change what the signatures protect.
"""

from data_access.catalog.entry import (
    Column,
    ColumnType,
    Dataset,
    Derivation,
    LookupDerivation,
    PartDerivation,
    PublicTable,
    load_catalog,
)

__all__ = [
    "Column",
    "ColumnType",
    "Dataset",
    "Derivation",
    "LookupDerivation",
    "PartDerivation",
    "PublicTable",
    "load_catalog",
]
