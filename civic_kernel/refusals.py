"""What arrives in the gateway's envelope, as an analyst meets it: the base of all failures, and one class for each code
of the gateway under the same name (tests/contracts). The tree is drawn in `civic_kernel.errors`, from which all are
imported.

The gateway's words arrive in its envelope, already in the reader's language. A code of a newer gateway becomes a plain
CivicError that carries it: an old client must still pass on a sentence that it does not know.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from civic_kernel.texts import Language, text

#: code -> class. Filled by `CivicError.__init_subclass__`.
REGISTRY: dict[str, type[CivicError]] = {}


class CivicError(Exception):
    """Base of all: `code` is stable, `message` and `remedy` are each one plain sentence for a person.

    In a notebook it shows as those two sentences, without a traceback: where in our code a question was
    turned down helps nobody, and the frames would land in shared and published notebooks.
    """

    code: str = ""
    exit_code: ClassVar[int] = 1

    def __init_subclass__(cls) -> None:
        if "code" in cls.__dict__:
            if cls.code in REGISTRY:
                raise TypeError(f"two classes claim the code {cls.code}")
            REGISTRY[cls.code] = cls

    def __init__(self, message: str = "", remedy: str = "", request_id: str | None = None) -> None:
        super().__init__(message, remedy, request_id)  # all in `args`: an exception must survive pickling
        self.message = message
        self.remedy = remedy
        self.request_id = request_id

    @classmethod
    def say(cls, language: Language, /, **facts: object) -> Self:
        """This failure in the words of the `kernel` texts. Facts are public names, never data values."""
        return cls(
            text(language, "kernel", f"error.{cls.code}", **facts),
            text(language, "kernel", f"error.{cls.code}.remedy", **facts),
        )

    def __str__(self) -> str:
        return " ".join(part for part in (self.message, self.remedy) if part) or self.code

    def _render_traceback_(self) -> list[str]:
        """IPython asks this instead of printing frames."""
        lines = [self.message or self.code, self.remedy]
        if self.request_id:
            lines.append(f"[{self.code} · {self.request_id}]")
        return [line for line in lines if line]

    def as_dict(self) -> dict[str, str | None]:
        """The gateway's envelope again, for `--json` and run records."""
        return {
            "code": self.code,
            "message": self.message,
            "remedy": self.remedy,
            "request_id": self.request_id,
        }


def error_from_envelope(body: Any) -> CivicError | None:
    """The exception that a failure envelope stands for, or None where `body` is no envelope."""
    if not isinstance(body, dict) or not all(isinstance(body.get(k), str) for k in ("code", "message")):
        return None
    cls = REGISTRY.get(body["code"], CivicError)
    error = cls(body["message"], str(body.get("remedy") or ""), body.get("request_id"))
    error.code = body["code"]
    return error


class BadRequest(CivicError):
    exit_code = 2


class MalformedRequest(BadRequest):
    code = "malformed_request"


class RequestTooLarge(BadRequest):
    code = "request_too_large"


class PlanInvalid(BadRequest):
    code = "plan_invalid"


class UnknownColumn(BadRequest, AttributeError):
    code = "unknown_column"


class UnknownFunction(BadRequest):
    code = "unknown_function"


class ValueOutsideDomain(BadRequest):
    code = "value_outside_domain"


class MeasureRefused(BadRequest):
    code = "measure_refused"


class BinsMissing(BadRequest):
    code = "bins_missing"


class MarginRefused(BadRequest):
    code = "margin_refused"


class TooManyCells(BadRequest):
    code = "too_many_cells"


class SpendInvalid(BadRequest):
    code = "spend_invalid"


class SpendOverMaximum(BadRequest):
    code = "spend_over_maximum"


class UnknownPurpose(BadRequest):
    code = "unknown_purpose"


class NotOffered(BadRequest):
    code = "not_offered"


class RowsRefused(BadRequest):
    code = "rows_refused"


class SqlRefused(BadRequest):
    code = "sql_refused"


class AllowanceTooLarge(BadRequest):
    code = "allowance_too_large"


class NotSignedIn(CivicError):
    code = "not_signed_in"
    exit_code = 3


class Forbidden(CivicError):
    exit_code = 3


class NotAllowed(Forbidden):
    code = "not_allowed"


class TeamNotYours(Forbidden):
    code = "team_not_yours"


class ApprovalNotYours(Forbidden):
    code = "approval_not_yours"


class Absent(CivicError):
    exit_code = 4


class UnknownDataset(Absent):
    code = "unknown_dataset"


class UnknownAnswer(Absent):
    code = "unknown_answer"


class UnknownRelease(Absent):
    code = "unknown_release"


class UnknownApproval(Absent):
    code = "unknown_approval"


class NotFound(Absent):
    code = "not_found"


class Conflict(CivicError):
    exit_code = 5


class BackupBehind(Conflict):
    code = "backup_behind"


class VaultInUse(Conflict):
    code = "vault_in_use"


class BudgetExhausted(Conflict):
    code = "budget_exhausted"


class KeyReused(Conflict):
    code = "key_reused"


class AnswerInProgress(Conflict):
    code = "answer_in_progress"


class ApprovalInvalid(Conflict):
    code = "approval_invalid"


class ApprovalByAuthor(Conflict):
    code = "approval_by_author"


class ApprovalByOther(Conflict):
    code = "approval_by_other"


class ApprovalEnded(Conflict):
    code = "approval_ended"


class WaitingFull(Conflict):
    code = "waiting_full"


class WitnessInvalid(Conflict):
    code = "witness_invalid"


class WitnessTooOften(Conflict):
    code = "witness_too_often"


class DatasetClosed(CivicError):
    exit_code = 6


class PolicyMissing(DatasetClosed):
    code = "policy_missing"


class PolicyMalformed(DatasetClosed):
    code = "policy_malformed"


class PolicyHalfSigned(DatasetClosed):
    code = "policy_half_signed"


class PolicyEdited(DatasetClosed):
    code = "policy_edited"


class PolicyExpired(DatasetClosed):
    code = "policy_expired"


class PolicyRolledBack(DatasetClosed):
    code = "policy_rolled_back"


class PolicyLineageChanged(DatasetClosed):
    code = "policy_lineage_changed"


class PolicyLaneRefused(DatasetClosed):
    code = "policy_lane_refused"


class PolicyCatalogChanged(DatasetClosed):
    code = "policy_catalog_changed"


class PolicyDemoKey(DatasetClosed):
    code = "policy_demo_key"


class RegisterInvalid(DatasetClosed):
    code = "register_invalid"


class IsolationMissing(DatasetClosed):
    code = "isolation_missing"


class NoData(DatasetClosed):
    code = "no_data"


class LoadRefused(CivicError):
    exit_code = 7


class LoadHeader(LoadRefused):
    code = "load_header"


class LoadValue(LoadRefused):
    code = "load_value"


class LoadEncoding(LoadRefused):
    code = "load_encoding"


class LoadTruncated(LoadRefused):
    code = "load_truncated"


class LoadEmpty(LoadRefused):
    code = "load_empty"


class LoadFileMissing(LoadRefused):
    code = "load_file_missing"


class Unavailable(CivicError):
    exit_code = 8


class HubUnavailable(Unavailable):
    code = "hub_unavailable"


class LedgerUnavailable(Unavailable):
    code = "ledger_unavailable"


class AuditBroken(Unavailable):
    code = "audit_broken"


class VaultKeyWrong(Unavailable):
    code = "vault_key_wrong"


class VaultDamaged(Unavailable):
    code = "vault_damaged"


class BackupInvalid(Unavailable):
    code = "backup_invalid"


class InternalFault(CivicError):
    code = "internal_fault"
    exit_code = 70
