"""The Hub service `reports`: prices, runs and shows reports for whoever asks with her own token.

identity.py   whose token it is, asked of the Hub
desk.py       what there is and what runs: all batches of all persons, and the queue
app.py        the HTTP interface
shapes.py     bodies in and out
"""

from __future__ import annotations

import sys

# As in civic_kernel.cli: a grammar of addresses that no schema here asks for, and a second of this service's start.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
