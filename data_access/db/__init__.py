"""The one database of the vault side: an event and what it records commit in one transaction of it."""

from data_access.db.engine import Database, Transaction

__all__ = ["Database", "Transaction"]
