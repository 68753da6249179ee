"""The append-only budget: one for each lineage × period, charged before a question reads."""

from data_access.ledger.allowances import Allowance, Allowances
from data_access.ledger.book import Book, Reservation, question_hash
from data_access.ledger.loads import LoadBook, LoadQuestion

__all__ = [
    "Allowance",
    "Allowances",
    "Book",
    "LoadBook",
    "LoadQuestion",
    "Reservation",
    "question_hash",
]
