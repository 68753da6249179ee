"""Every way in which a question, a drawing or a report can fail, as an analyst meets it.

CivicError
├── BadRequest            the question itself is wrong
│   ├── MalformedRequest, RequestTooLarge, PlanInvalid, UnknownColumn, UnknownFunction, ValueOutsideDomain,
│   │   MeasureRefused, BinsMissing, MarginRefused, TooManyCells, SpendInvalid, SpendOverMaximum, UnknownPurpose,
│   │   NotOffered, RowsRefused, SqlRefused, AllowanceTooLarge
│   └── (here only)       ParameterUnknown, ParameterInvalid, TeamMissing, PurposeMissing, SettingInvalid,
│                         PlanUnreadable, FrameUnsuitable, NoiseShared, KeptUnreadable, KeyUnreadable
├── NotSignedIn
├── Forbidden             NotAllowed, TeamNotYours, ApprovalNotYours
├── Absent                UnknownDataset, UnknownAnswer, UnknownRelease, UnknownApproval, NotFound
│   └── (here only)       UnknownRun, UnknownReport
├── Conflict              BackupBehind, VaultInUse, BudgetExhausted, KeyReused, AnswerInProgress, ApprovalInvalid,
│                         ApprovalByAuthor, ApprovalByOther, ApprovalEnded, WaitingFull, WitnessInvalid,
│                         WitnessTooOften
│   └── (here only)       QuestionWaits, QuestionRefused, PriceAbove, RunsFull
├── DatasetClosed         PolicyMissing, PolicyMalformed, PolicyHalfSigned, PolicyEdited, PolicyExpired,
│                         PolicyRolledBack, PolicyLineageChanged, PolicyLaneRefused, PolicyCatalogChanged,
│                         PolicyDemoKey, RegisterInvalid, IsolationMissing, NoData
├── LoadRefused           LoadHeader, LoadValue, LoadEncoding, LoadTruncated, LoadEmpty, LoadFileMissing
├── Unavailable           HubUnavailable, LedgerUnavailable, AuditBroken, VaultKeyWrong, VaultDamaged,
│                         BackupInvalid
│   └── (here only)       GatewayUnreachable, BadAnswer, VendorMissing, RecordsUnreadable, RunsClosed
├── InternalFault
└── ReportFailed (here only)
                          RunFailed, KernelDied, RunTimeout, RunMemory, RunCancelled, RunInterrupted,
                          ScreenRefused, AltTextMissing, NotPublishable

What the gateway refuses stands in `civic_kernel.refusals`, here is what only the analyst side can say: its words are
in the `kernel` texts under `error.<code>` and `error.<code>.remedy`. Whoever catches imports from here alone.
"""

from __future__ import annotations

from civic_kernel.refusals import *


class ParameterUnknown(BadRequest):
    """A report was given a parameter that its schema does not declare. Facts: `parameter`, `known`."""

    code = "parameter_unknown"


class ParameterInvalid(BadRequest):
    """A parameter is missing, mistyped or outside its list. Facts: `parameter`, `expected`."""

    code = "parameter_invalid"


class TeamMissing(BadRequest):
    """No team was named, and `CIVIC_TEAM` is not set: somebody's budget must pay."""

    code = "team_missing"


class PurposeMissing(BadRequest):
    """No purpose was named, and `CIVIC_PURPOSE` is not set."""

    code = "purpose_missing"


class SettingInvalid(BadRequest):
    """Facts: `setting` (its name, never its value)."""

    code = "setting_invalid"


class PlanUnreadable(BadRequest):
    """`civic ask` was given something that is not JSON. Facts: none."""

    code = "plan_unreadable"


class FrameUnsuitable(BadRequest):
    """A frame lacks a column or its provenance. Facts: `column`, `known`."""

    code = "frame_unsuitable"


class NoiseShared(BadRequest):
    """Two tables of which one was made from the other cannot be compared. Facts: none."""

    code = "noise_shared"


class KeptUnreadable(BadRequest):
    """The file of kept heads, or the head given, is not one. Facts: none."""

    code = "kept_unreadable"


class KeyUnreadable(BadRequest):
    """No Ed25519 key in that file, or a wrong passphrase. Facts: none (a path is not for a log)."""

    code = "key_unreadable"


class UnknownRun(Absent):
    """No run of the asker's has this id, or not this part. Facts: none."""

    code = "unknown_run"


class UnknownReport(Absent):
    """Facts: `known`."""

    code = "unknown_report"


class QuestionWaits(Conflict):
    """Nobody has decided yet; the question goes on waiting at the gateway. Facts: `approval`."""

    code = "question_waits"


class PriceAbove(Conflict):
    """A batch costs more than the asker agreed to. Facts: none (the price is asked for again)."""

    code = "price_above"


class RunsFull(Conflict):
    """Facts: `most`."""

    code = "runs_full"


class QuestionRefused(Conflict):
    """Whoever decides on the team's budget said no. Facts: none (who it was stands in the list)."""

    code = "question_refused"


class GatewayUnreachable(Unavailable):
    """No connection, or none that lasted. Facts: none (an address is not for a reader)."""

    code = "gateway_unreachable"


class BadAnswer(Unavailable):
    """The gateway's words do not have the documented shape, or bytes, id and signature do not agree."""

    code = "bad_answer"


class VendorMissing(Unavailable):
    """Leaflet is not where set-up puts it. Facts: `file`."""

    code = "vendor_missing"


class RecordsUnreadable(Unavailable):
    """A public record is missing or has another shape than the documented one. Facts: none."""

    code = "records_unreadable"


class RunsClosed(Unavailable):
    """No room can be made for a run: the template is not there, or makes no sandbox. Facts: none."""

    code = "runs_closed"


class ReportFailed(CivicError):
    exit_code = 9


class RunFailed(ReportFailed):
    """A cell of a report raised. Facts: `cell`."""

    code = "run_failed"


class KernelDied(ReportFailed):
    """The notebook's process ended in the middle of a run."""

    code = "kernel_died"


class RunTimeout(ReportFailed):
    """Facts: `seconds`."""

    code = "run_timeout"


class RunMemory(ReportFailed):
    """A run needed more memory than it may have. Facts: none."""

    code = "run_memory"


class RunCancelled(ReportFailed):
    """Somebody stopped the run."""

    code = "run_cancelled"


class RunInterrupted(ReportFailed):
    """The service that ran it ended in the middle."""

    code = "run_interrupted"


class ScreenRefused(ReportFailed):
    """The screen found what must not leave. Facts: `finding`, `where`."""

    code = "screen_refused"


class AltTextMissing(ReportFailed):
    """A figure has no text alternative written by a person. Facts: `figure`."""

    code = "alt_text_missing"


class NotPublishable(ReportFailed):
    """A run or release lacks what publishing needs. Facts: `reason`."""

    code = "not_publishable"
