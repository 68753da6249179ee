"""Where the forms are, under `civic/` of a seat's server."""

from __future__ import annotations

from civic_kernel.lab.forms.asking import AnswerHandler, AskHandler, CsvHandler
from civic_kernel.lab.forms.frame import FormHandler
from civic_kernel.lab.forms.running import PageHandler, ReportsHandler, RunHandler

#: An order's id and a number: no part of the address but the file's name is longer than these.
ADDRESSES: tuple[tuple[str, type[FormHandler]], ...] = (
    ("ask", AskHandler),
    ("ask/answer", AnswerHandler),
    ("ask/csv", CsvHandler),
    ("reports", ReportsHandler),
    ("reports/run", RunHandler),
    (r"reports/pages/([A-Za-z0-9_-]{1,64})/([0-9]{1,4})/([A-Za-z0-9_./-]{1,200})", PageHandler),
)
