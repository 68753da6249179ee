"""Stored signed answers: asked once, free for ever, the same bytes."""

from data_access.answers.shelf import Shelf, StoredAnswer
from data_access.answers.statement import make_statement

__all__ = ["Shelf", "StoredAnswer", "make_statement"]
