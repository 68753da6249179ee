"""When a policy takes effect: every signer it asks for, over exactly this text, by keys the register knows."""

from __future__ import annotations

from datetime import datetime

from data_access.canonical import canonical_bytes
from data_access.catalog import ColumnType, Dataset
from data_access.errors import (
    PolicyCatalogChanged,
    PolicyDemoKey,
    PolicyEdited,
    PolicyExpired,
    PolicyHalfSigned,
    PolicyLaneRefused,
    PolicyMalformed,
)
from data_access.parties import Register, Signature, check_signature_once
from data_access.policy.document import AnyPolicy, OpenPolicy


def check_signed(
    policy: AnyPolicy, signatures: tuple[Signature, ...], register: Register, now: datetime
) -> None:
    """Raises PolicyEdited, PolicyHalfSigned, PolicyDemoKey or PolicyExpired."""
    data = canonical_bytes(policy.document())
    signed: set[tuple[str, str]] = set()
    for signature in signatures:
        key = register.valid_key(signature.key_id, now)
        if key is None or key.party is None:
            # An unknown or run-out key signs nothing, whatever the text: what lacks then is a signature.
            continue
        try:
            check_signature_once(key.public_bytes, signature, data)
        except ValueError:
            # One signature that does not fit the text is enough: somebody signed something else.
            raise PolicyEdited(dataset=policy.dataset) from None
        party = register.party(key.party)
        if key.demo and not policy.synthetic:
            raise PolicyDemoKey(dataset=policy.dataset)
        signed.add((party.side, party.id))
    for signer in policy.signers:
        if (signer.side, signer.party) not in signed:
            raise PolicyHalfSigned(dataset=policy.dataset, missing=signer.side)
    if policy.is_expired(now):
        raise PolicyExpired(dataset=policy.dataset)


def check_catalog(policy: AnyPolicy, entry: Dataset) -> None:
    """Raises PolicyCatalogChanged unless the stewards signed for exactly this layout; PolicyLaneRefused where a
    column of it names persons and the lane is open; PolicyMalformed where the lane lacks something of it.
    """
    if entry.id != policy.dataset or entry.hash() != policy.catalog:
        raise PolicyCatalogChanged(dataset=policy.dataset)
    if isinstance(policy, OpenPolicy):
        # Its pseudonym would pass with every row, and one person's rows could be put together by it.
        if entry.person_column is not None:
            raise PolicyLaneRefused(dataset=policy.dataset)
        for name, column in entry.columns.items():
            if column.type is ColumnType.DECIMAL and column.places is None:
                # As a double it would be shown otherwise than the file has it, and its sums would depend on the order.
                raise PolicyMalformed(dataset=policy.dataset, where=f"columns.{name}.places")
        for name in policy.geography:
            if name not in entry.columns and name not in entry.derived:
                raise PolicyMalformed(dataset=policy.dataset, where=f"geography.{name}")
    elif policy.unit.column != entry.person_column:
        raise PolicyCatalogChanged(dataset=policy.dataset)
    elif entry.time_column is None:
        raise PolicyMalformed(dataset=policy.dataset, where="time_column")
