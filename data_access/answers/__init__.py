"""Stored signed answers: asked once, free for ever, the same bytes."""

from data_access.answers.holds import Cause, Hold, Holds, State
from data_access.answers.joined import join_statement
from data_access.answers.lost import lost_share_documents, truncated_share
from data_access.answers.opened import Page, cells_page, make_open_statement, rows_page
from data_access.answers.rolling import RollUp, keep_cells, roll_up
from data_access.answers.shelf import Shelf, StoredAnswer
from data_access.answers.statement import make_statement, measure_document

__all__ = [
    "Cause",
    "Hold",
    "Holds",
    "Page",
    "RollUp",
    "Shelf",
    "State",
    "StoredAnswer",
    "cells_page",
    "join_statement",
    "keep_cells",
    "lost_share_documents",
    "make_open_statement",
    "make_statement",
    "measure_document",
    "roll_up",
    "rows_page",
    "truncated_share",
]
