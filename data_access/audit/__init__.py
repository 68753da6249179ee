"""The hash-chained log of signed events."""

from data_access.audit.chain import Chain, Event, EventKind, Head, check_chain

__all__ = ["Chain", "Event", "EventKind", "Head", "check_chain"]
