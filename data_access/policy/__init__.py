"""What may be asked, at what price, and who signed for it."""

from data_access.policy.document import (
    LOADS,
    AnyPolicy,
    Cap,
    Clip,
    KeyDomain,
    Lane,
    OpenPolicy,
    Policy,
    Signer,
    Unit,
    UnitKind,
    parse_policy,
    read_document,
)
from data_access.policy.schema import open_schema_of, schema_of
from data_access.policy.signing import check_catalog, check_signed

__all__ = [
    "LOADS",
    "AnyPolicy",
    "Cap",
    "Clip",
    "KeyDomain",
    "Lane",
    "OpenPolicy",
    "Policy",
    "Signer",
    "Unit",
    "UnitKind",
    "check_catalog",
    "check_signed",
    "open_schema_of",
    "parse_policy",
    "read_document",
    "schema_of",
]
