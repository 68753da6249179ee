"""What may be asked, at what price, and who signed for it."""

from data_access.policy.document import (
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

__all__ = [
    "Cap",
    "Clip",
    "KeyDomain",
    "Lane",
    "Policy",
    "Signer",
    "Unit",
    "UnitKind",
    "parse_policy",
]
