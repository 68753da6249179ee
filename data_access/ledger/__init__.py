"""The append-only budget: one for each lineage × period, charged before a question reads."""

from data_access.ledger.book import Book, Reservation, question_hash

__all__ = ["Book", "Reservation", "question_hash"]
