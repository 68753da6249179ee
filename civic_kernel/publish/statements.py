"""What a page says of one signed answer: what was asked, how sure it is, what was protected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from civic_kernel.lost import per_cent_range
from civic_kernel.publish.words import during, month
from civic_kernel.texts import Language, text
from civic_kernel.wire import OPEN


def counted(statement: Mapping[str, Any], language: Language) -> str:
    """Beside each figure, where a reader may take accidents for people: the records name nobody."""
    match kind(statement):
        case "person":
            return ""
        case "row":
            return text(language, "report", "figure.row", title=title(statement, language))
        case _:
            return text(language, "report", "figure.open", title=title(statement, language))


def span_told(statement: Mapping[str, Any]) -> tuple[bool, int]:
    """The last of a dataset's answers speaks for it: one that tells the lost share, of as many months as can be."""
    return statement["truncated_share"] is not None, len(statement["periods"])


def sure(statement: Mapping[str, Any], language: Language) -> str:
    if kind(statement) != "person":
        return ""
    facts = {"title": title(statement, language), "bound": statement["row_bound"]}
    if statement["truncated_share"] is None:
        return text(language, "report", "sure.lost.unpublished", **facts)
    share = statement["truncated_share"]
    return text(
        language,
        "report",
        "sure.lost",
        range=per_cent_range(share["low"], share["high"]),
        during=during(statement["periods"], language),
        **facts,
    )


def protected(statement: Mapping[str, Any], language: Language) -> str:
    return text(language, "report", f"privacy.{kind(statement)}", title=title(statement, language))


def kind(statement: Mapping[str, Any]) -> str:
    """What is protected: a `person`, a `row`, or nothing, in the `open` lane."""
    return OPEN if statement["lane"] == OPEN else str(statement["unit"]["kind"])


def title(statement: Mapping[str, Any], language: Language) -> str:
    title = statement["dataset_title"]
    return str(title if isinstance(title, str) else title[language])


def question(statement: Mapping[str, Any], language: Language) -> str:
    plan = statement["plan"]
    if "rows" in plan:
        columns = ", ".join(plan["rows"])
        return text(
            language, "report", "method.rows", title=title(statement, language), columns=columns,
            n=len(statement["table"]["rows"]), all=statement["matching"],
        )  # fmt: skip
    keys = [part if isinstance(part, str) else part["fn"] for part in plan.get("by", [])]
    measures = [
        text(language, "report", f"method.{measure['fn']}", measure=name)
        for name, measure in sorted(plan["measures"].items())
    ]
    if statement["lane"] == OPEN:
        return text(
            language, "report", "method.asked_open", title=title(statement, language),
            keys=", ".join(keys) or "–", measures=", ".join(measures),
        )  # fmt: skip
    return text(
        language,
        "report",
        "method.asked",
        title=title(statement, language),
        keys=", ".join(keys) or "–",
        measures=", ".join(measures),
        periods=", ".join(month(period, language) for period in statement["periods"]),
    )
