"""What the method page says for a reader who checks it herself: the button's words, figures to follow, fingerprints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from civic_kernel.publish import statements
from civic_kernel.publish.words import key_value
from civic_kernel.texts import Language, templates_root, text, unfilled
from civic_kernel.verify.documents import Key, spelled

_SCRIPTS: Final = ("check.js", "check_records.js", "check_page.js", "method.js")
_PAGE_WRONG: Final = ("record", "file", "register", "answer", "policy", "approvals", "number")
_RECORDS_WRONG: Final = (
    *(
        "unreadable",
        "order",
        "hash",
        "signature",
        "registers",
        "head",
        "witness",
        "witness_other",
        "policy_missing",
    ),
    *("ledger_head", "opened_twice", "budget_other", "budget_untold", "overspent", "period_missing"),
    *("charge_untold", "charge_missing", "charge_policy", "state_other", "answer_unpaid", "ended_twice"),
    *("open_private", "answer_untold", "answer_other", "answer_price", "approval_untold"),
)
_WORDS: Final = (
    *(
        "start",
        "busy",
        "events_busy",
        "missing",
        "broken",
        "right",
        "false",
        "good",
        "bad",
        "proves",
        "cannot",
    ),
    *("answers", "policies", "approved", "files", "records", "no_records", "wrong_then"),
    *("numbers.cells", "numbers.sums", "numbers.computed"),
    *("witness.city", "witness.city.none", "witness.cso", "witness.cso.none"),
    *("follow.low", "follow.high", "follow.none", "follow.cell", "follow.sum", "follow.computed"),
    *("saved.zip", "saved.same", "saved.other"),
)


@cache
def script() -> str:
    """All of the method page's own script."""
    folder = templates_root() / "citizen"
    return "\n".join((folder / name).read_text("utf-8") for name in _SCRIPTS)


def words(language: Language) -> dict[str, str]:
    """The button's sentences with their places (`{count}`) still open: which are needed only the check knows."""
    found = {name: unfilled(language, "report", f"browser.{name}") for name in _WORDS}
    found |= {f"wrong.{name}": unfilled(language, "report", f"check.{name}") for name in _PAGE_WRONG}
    found |= {f"wrong.{name}": unfilled(language, "verify", f"wrong.{name}") for name in _RECORDS_WRONG}
    return found


def followed(
    figures: Sequence[Mapping[str, Any]], answers: Mapping[str, Mapping[str, Any]], language: Language
) -> list[dict[str, Any]]:
    """Of each figure: name, title, its rows as a reader names them, and its answers with their questions."""
    return [
        {
            "name": figure["name"],
            "title": figure["title"][language],
            "rows": _row_names(figure["table"], language),
            "answers": [
                {"id": identity, "question": statements.question(answers[identity], language)}
                for identity in figure["answers"]
            ],
        }
        for figure in figures
    ]


def fingerprints(keys: Mapping[str, Key], language: Language) -> list[dict[str, str]]:
    """The keys with which persons sign for a party, by side: whose, how it reads, and where its owner prints it."""
    lines = []
    for key in sorted(keys.values(), key=lambda key: (key.side or "", key.id)):
        if key.use == "sign" and key.party:
            party = key.title[language]
            lines.append(
                {
                    "party": text(language, "report", "privacy.demo", party=party) if key.demo else party,
                    "fingerprint": spelled(key.id),
                    "prints": key.prints.get(language, ""),
                }
            )
    return lines


def _row_names(table: Mapping[str, Any], language: Language) -> list[str]:
    columns = table["columns"]
    return [
        " · ".join(
            key_value(column["name"], value, language)
            for column, value in zip(columns, row, strict=True)
            if column["role"] == "key" and value is not None
        )
        for row in table["rows"]
    ]
