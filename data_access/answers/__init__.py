"""Stored signed answers: asked once, free for ever, the same bytes."""

from data_access.answers.shelf import Shelf, StoredAnswer
from data_access.answers.statement import make_statement, measure_document

__all__ = ["Shelf", "StoredAnswer", "make_statement", "measure_document"]
