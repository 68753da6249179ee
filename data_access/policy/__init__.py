"""What may be asked, at what price, and who signed for it."""

from data_access.policy.document import (
    LOADS,
    Cap,
    Clip,
    KeyDomain,
    Lane,
    Policy,
    Signer,
    Unit,
    UnitKind,
    parse_policy,
)
from data_access.policy.schema import schema_of
from data_access.policy.signing import check_catalog, check_signed

__all__ = [
    "LOADS",
    "Cap",
    "Clip",
    "KeyDomain",
    "Lane",
    "Policy",
    "Signer",
    "Unit",
    "UnitKind",
    "check_catalog",
    "check_signed",
    "parse_policy",
    "schema_of",
]
