"""Every way in which the vault side says no.

CivicError
├── BadRequest            400  the question itself is wrong
│   ├── MalformedRequest, RequestTooLarge (413), PlanInvalid, UnknownColumn, UnknownFunction, ValueOutsideDomain,
│   │   MeasureRefused, BinsMissing, MarginRefused, TooManyCells, SpendInvalid, SpendOverMaximum,
│   │   UnknownPurpose, NotOffered, RowsRefused, SqlRefused, AllowanceTooLarge
├── NotSignedIn           401
├── Forbidden             403  NotAllowed, TeamNotYours, ApprovalNotYours
├── Absent                404  UnknownDataset, UnknownAnswer, UnknownRelease, UnknownApproval, NotFound
├── Conflict              409  BackupBehind, VaultInUse, BudgetExhausted, KeyReused, AnswerInProgress, ApprovalInvalid,
│                              ApprovalByAuthor, ApprovalByOther, ApprovalEnded, WaitingFull, WitnessInvalid,
│                              WitnessTooOften
├── DatasetClosed         423  PolicyMissing, PolicyMalformed, PolicyHalfSigned, PolicyEdited, PolicyExpired,
│                              PolicyRolledBack, PolicyLineageChanged, PolicyLaneRefused,
│                              PolicyCatalogChanged, PolicyDemoKey, RegisterInvalid, IsolationMissing, NoData
├── LoadRefused           422  LoadHeader, LoadValue, LoadEncoding, LoadTruncated, LoadEmpty, LoadFileMissing
└── Unavailable           503  HubUnavailable, LedgerUnavailable, AuditBroken, VaultKeyWrong, VaultDamaged,
                               BackupInvalid, InternalFault (500)

A code is a promise: it never changes its meaning, and `civic_kernel.errors` has exactly one class for each
(tests/contracts/test_errors.py). Facts put into a message are public names (a dataset, a column, a line
number), never a value that came out of a record: the message must be a function of the question, the policy
and the ledger alone, or it becomes a channel around the price.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Phrase:
    """A fact that is itself a sentence, put into the reader's language where the refusal is put into words."""

    domain: str
    key: str
    facts: tuple[tuple[str, str | int], ...] = ()


Fact = str | int | Phrase

#: code -> class; filled by `CivicError.__init_subclass__`, read by the gateway's failure table and the docs test.
REGISTRY: dict[str, type[CivicError]] = {}


class CivicError(Exception):
    """Base of all refusals. `code` is stable, `status` is HTTP's, `exit_code` the command line's."""

    code: ClassVar[str] = ""
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init_subclass__(cls) -> None:
        if "code" in cls.__dict__:
            if cls.code in REGISTRY:
                raise TypeError(f"two classes claim the code {cls.code}")
            REGISTRY[cls.code] = cls

    def __init__(self, **facts: Fact) -> None:
        self.facts = facts
        super().__init__(self.code, *sorted(facts.items()))

    def __str__(self) -> str:
        return self.code


class BadRequest(CivicError):
    status = 400
    exit_code = 2


class MalformedRequest(BadRequest):
    """The body is not JSON of the documented shape. Facts: `where` (a JSON path)."""

    code = "malformed_request"


class RequestTooLarge(BadRequest):
    """The body is longer than any request. Facts: `maximum` (bytes)."""

    code = "request_too_large"
    status = 413


class PlanInvalid(BadRequest):
    """The plan breaks the grammar. Facts: `where`."""

    code = "plan_invalid"


class UnknownColumn(BadRequest):
    """Facts: `column`, `dataset`, `known` (the columns that may be asked)."""

    code = "unknown_column"


class UnknownFunction(BadRequest):
    """Facts: `function`, `known`."""

    code = "unknown_function"


class ValueOutsideDomain(BadRequest):
    """A filter names a value that the signed policy does not list. Facts: `column`."""

    code = "value_outside_domain"


class MeasureRefused(BadRequest):
    """The measure has no meaning for this privacy unit. Facts: `measure`."""

    code = "measure_refused"


class BinsMissing(BadRequest):
    """Histograms, quantiles and bands need bins that the signed policy declares. Facts: `column`."""

    code = "bins_missing"


class MarginRefused(BadRequest):
    """This measure's margin depends on the size of a cell, and none was named. Facts: `measure`."""

    code = "margin_refused"


class TooManyCells(BadRequest):
    """Facts: `cells`, `maximum`."""

    code = "too_many_cells"


class SpendInvalid(BadRequest):
    """Facts: none."""

    code = "spend_invalid"


class SpendOverMaximum(BadRequest):
    """Facts: `asked`, `maximum` (both ρ as text)."""

    code = "spend_over_maximum"


class UnknownPurpose(BadRequest):
    """Facts: `known`."""

    code = "unknown_purpose"


class NotOffered(BadRequest):
    """A reserved word: official tables, k-anonymous extracts, grids. Facts: `feature`."""

    code = "not_offered"


class RowsRefused(BadRequest):
    """Rows of a dataset with people in it."""

    code = "rows_refused"


class SqlRefused(BadRequest):
    """The text asks for more than a plan can say, or is no SQL. Facts: `reason`, `hint` (both a Phrase)."""

    code = "sql_refused"


class AllowanceTooLarge(BadRequest):
    """All seats together may not have more than their team. Facts: `asked`, `left` (both ρ as text)."""

    code = "allowance_too_large"


class NotSignedIn(CivicError):
    """No token, or one that the Hub does not know."""

    code = "not_signed_in"
    status = 401
    exit_code = 3


class Forbidden(CivicError):
    status = 403
    exit_code = 3


class NotAllowed(Forbidden):
    """The token lacks a scope. Facts: `scope`."""

    code = "not_allowed"


class TeamNotYours(Forbidden):
    """The Hub does not list the asker in this team (or the team does not exist). Facts: none."""

    code = "team_not_yours"


class ApprovalNotYours(Forbidden):
    """A seat's question is the facilitator's to decide, a room's a member's in person. Facts: none."""

    code = "approval_not_yours"


class Absent(CivicError):
    status = 404
    exit_code = 4


class UnknownDataset(Absent):
    """Refused and absent look alike. Facts: none."""

    code = "unknown_dataset"


class UnknownAnswer(Absent):
    code = "unknown_answer"


class UnknownRelease(Absent):
    code = "unknown_release"


class UnknownApproval(Absent):
    code = "unknown_approval"


class NotFound(Absent):
    """No such address."""

    code = "not_found"


class Conflict(CivicError):
    status = 409
    exit_code = 5


class BackupBehind(Conflict):
    """A restore would lose charges. Facts: `has` and `kept` (places in the chain)."""

    code = "backup_behind"


class VaultInUse(Conflict):
    """The gateway answers: nothing is put in its place while it works."""

    code = "vault_in_use"


class BudgetExhausted(Conflict):
    """Facts: `period`, `requested`, `remaining` (ρ as text), `whose` (`dataset` or `team`)."""

    code = "budget_exhausted"


class KeyReused(Conflict):
    """The retry key came with another body, asker or team."""

    code = "key_reused"


class AnswerInProgress(Conflict):
    """Another request is computing the same question; ask again in a moment."""

    code = "answer_in_progress"


class ApprovalInvalid(Conflict):
    """The signature does not verify over the record, or the key may not approve."""

    code = "approval_invalid"


class ApprovalByAuthor(Conflict):
    code = "approval_by_author"


class ApprovalByOther(Conflict):
    """The approver's party did not sign for the data of the release."""

    code = "approval_by_other"


class ApprovalEnded(Conflict):
    """The question no longer waits. Facts: `state` (a Phrase)."""

    code = "approval_ended"


class WaitingFull(Conflict):
    """The asker has as many questions waiting as she may. Facts: `most`."""

    code = "waiting_full"
    status = 429


class WitnessInvalid(Conflict):
    """No valid witness key signed it, or it names no event of this chain."""

    code = "witness_invalid"


class WitnessTooOften(Conflict):
    """One key has signed as many heads as it may in a day: each adds an event that everybody keeps for ever."""

    code = "witness_too_often"
    status = 429


class DatasetClosed(CivicError):
    """The dataset answers nothing until stewards mend what the code names. Facts: `dataset`."""

    status = 423
    exit_code = 6


class PolicyMissing(DatasetClosed):
    code = "policy_missing"


class PolicyMalformed(DatasetClosed):
    """Facts: `where`."""

    code = "policy_malformed"


class PolicyHalfSigned(DatasetClosed):
    """Facts: `missing` (the side whose signature is not there)."""

    code = "policy_half_signed"


class PolicyEdited(DatasetClosed):
    """A signature is there, but over another text."""

    code = "policy_edited"


class PolicyExpired(DatasetClosed):
    code = "policy_expired"


class PolicyRolledBack(DatasetClosed):
    """A version that is not above the one in force."""

    code = "policy_rolled_back"


class PolicyLineageChanged(DatasetClosed):
    """Lane, unit, person column, period or time column differ from the lineage's first policy, or the file's columns
    that these names stand for.
    """

    code = "policy_lineage_changed"


class PolicyLaneRefused(DatasetClosed):
    """A policy of the open lane for a dataset with a column that names persons."""

    code = "policy_lane_refused"


class PolicyCatalogChanged(DatasetClosed):
    """The catalog entry is not the one whose hash the stewards signed."""

    code = "policy_catalog_changed"


class PolicyDemoKey(DatasetClosed):
    """A demo key signed a policy that does not say `synthetic`."""

    code = "policy_demo_key"


class RegisterInvalid(DatasetClosed):
    """The register of parties is unsigned, edited or malformed."""

    code = "register_invalid"


class IsolationMissing(DatasetClosed):
    """Real data on a machine where seats and vault share one user."""

    code = "isolation_missing"


class NoData(DatasetClosed):
    """Signed, but nothing has been loaded."""

    code = "no_data"


class LoadRefused(CivicError):
    """A file was not taken. The old version stays as it was."""

    status = 422
    exit_code = 7


class LoadHeader(LoadRefused):
    """Facts: `file`, `column` (the missing one)."""

    code = "load_header"


class LoadValue(LoadRefused):
    """Facts: `file`, `line`, `column`."""

    code = "load_value"


class LoadEncoding(LoadRefused):
    """Neither cp949 nor UTF-8. Facts: `file`, `line`."""

    code = "load_encoding"


class LoadTruncated(LoadRefused):
    """A line with too few or too many fields. Facts: `file`, `line`."""

    code = "load_truncated"


class LoadEmpty(LoadRefused):
    """Facts: `file`."""

    code = "load_empty"


class LoadFileMissing(LoadRefused):
    """Facts: `file`."""

    code = "load_file_missing"


class Unavailable(CivicError):
    status = 503
    exit_code = 8


class HubUnavailable(Unavailable):
    code = "hub_unavailable"


class LedgerUnavailable(Unavailable):
    """The database is read-only, full, locked for too long or gone: nothing is asked without it."""

    code = "ledger_unavailable"


class AuditBroken(Unavailable):
    """The chain of events does not continue its own head."""

    code = "audit_broken"


class VaultKeyWrong(Unavailable):
    code = "vault_key_wrong"


class VaultDamaged(Unavailable):
    """A data file is missing or cannot be read. Facts: none (a path is not for a reader)."""

    code = "vault_damaged"


class BackupInvalid(Unavailable):
    """Damaged, not ours, or its passphrase is wrong. Facts: `part` (the name of a file of the backup)."""

    code = "backup_invalid"


class InternalFault(CivicError):
    """Ours, not the asker's. The request id finds it in the gateway's log."""

    code = "internal_fault"
    status = 500
    exit_code = 70
