"""A run becomes a release folder: both languages, method pages, CSVs, signed answers, policies, parties.

The same run, policies and parties give the same bytes: nothing here asks the clock, the machine or a random
source, every list has one order, and ids come from content. So a second publication that changes a single
digit shows as another fingerprint.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn

from civic_kernel.errors import NotPublishable
from civic_kernel.publish import checking, look, screen, statements, summary, tables
from civic_kernel.publish.blocks import BLOCK_MIME
from civic_kernel.publish.layout import render
from civic_kernel.publish.printing import CARD, Paper, Sheet, Unprintable
from civic_kernel.publish.record import RECORD_NAME, list_files, make_record
from civic_kernel.publish.words import day_in_words, key_value, moment
from civic_kernel.reports.record import Run, answers_in, told_in
from civic_kernel.texts import LANGUAGES, Language, text
from civic_kernel.verify.documents import (
    Key,
    check_answer,
    check_policy,
    read_register,
)
from civic_kernel.wire import OPEN


@dataclass(frozen=True)
class Sources:
    """What the gateway publishes and a release carries along: `GET /v1/policies`, `GET /v1/parties`."""

    policies: Sequence[Mapping[str, Any]]
    parties: Mapping[str, Any]


def build_release(
    run: Run,
    out: Path,
    sources: Sources,
    *,
    author: str,
    known: screen.Known | None = None,
    language: Language = "ko",
    paper: Paper | None = None,
    address: str = "",
) -> dict[str, Any]:
    """Write the release folder `out` (which must not exist) and return its record.

    With `paper` PDFs and preview pictures are among its files, if they can be made here (`paper.lacking` says).
    `address` is the citizen site's, where it is known: only with it can a citation on paper lead anywhere.

    Raises NotPublishable, ScreenRefused. Everything is made in a folder beside `out` and renamed at the end.
    """
    answers = answers_in(run.executed)
    known = (known or screen.Known()).with_public(_public_hashes(run, sources, answers))
    screen.check_notebook(run.executed, known, language)
    release = _Release(run, sources, answers, author, language, address.rstrip("/"))
    files = release.files(paper)
    for place, data in files.items():
        # What the screen let pass cell by cell is looked at again where a stranger will: in the files.
        if place.startswith(("data/", "notebook/")) or place.endswith((".html", summary.NAME)):
            where = text(language, "report", "screen.file", name=place)
            words = _words_of(place, data)
            # The one address that a page names on purpose.
            screen.check_text(words.replace(address, "") if address else words, where, known, language)
    if out.exists():
        _refuse("exists", language)
    out.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".release-", dir=out.parent))
    try:
        for place, data in files.items():
            path = staged / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        record = make_record(
            run.record,
            title=release.label,
            author=author,
            demonstration=release.demonstration,
            policies=sorted(release.policies),
            files=list_files(staged),
            answered_at=release.answered_at,
        )
        (staged / RECORD_NAME).write_bytes(tables.json_bytes(record))
        staged.chmod(0o755)
        os.rename(staged, out)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
    return record


def release_files(
    run: Run,
    sources: Sources,
    *,
    author: str,
    language: Language = "ko",
    address: str = "",
    printed: bool = False,
) -> dict[str, bytes]:
    """All files of a release but the record and what is printed, by path; `printed`: its pages lead to a PDF. Raises
    NotPublishable. Writes nothing, screens nothing."""
    answers = answers_in(run.executed)
    return _Release(run, sources, answers, author, language, address).files_and_sheets(printed)[0]


class _Release:
    """Everything that the pages of one release draw on, read and checked once."""

    def __init__(
        self,
        run: Run,
        sources: Sources,
        answers: list[dict[str, Any]],
        author: str,
        language: Language,
        address: str,
    ) -> None:
        self.run = run
        self.address = address
        self.author = author
        self.schema = json.loads(run.schema)
        self.label: Mapping[str, str] = self.schema["label"]
        self.parties = sources.parties
        on = moment(run.record["finished_at"]).date()
        try:
            self.keys = read_register(sources.parties, on)
        except ValueError:
            _refuse("register", language)
        self.answers = _checked_answers(answers, run, self.keys, language)
        self.statements: list[Mapping[str, Any]] = [body["statement"] for body in self.answers]
        #: The page's date: a run that asks nothing new says nothing new.
        self.answered_at = max(str(s["issued_at"]) for s in self.statements)
        self.policies = _checked_policies(self.statements, sources.policies, self.keys, on, language)
        # Demonstration keys make a demonstration as surely as made-up data do.
        signers = [key for _, keys in self.policies.values() for key in keys]
        self.demonstration = any(s["synthetic"] for s in self.statements) or any(key.demo for key in signers)
        self.blocks = _blocks(run.executed)
        self.figures = [block for block in self.blocks if block["kind"] == "figure"]
        ids = {body["answer_id"] for body in self.answers}
        if not any(block["kind"] == "message" for block in self.blocks):
            _refuse("message", language)
        if len({figure["name"] for figure in self.figures}) != len(self.figures):
            _refuse("name", language)
        if any(not set(figure["answers"]) <= ids for figure in self.figures):
            _refuse("answers", language)
        self.csv = {figure["name"]: tables.csv_bytes(figure["table"]) for figure in self.figures}
        last = {data: name for name, data in self.csv.items()}
        #: The figure under which each one's table stands: of those with one and the same, the last.
        self.table_at = {name: last[data] for name, data in self.csv.items()}

    def files(self, paper: Paper | None) -> dict[str, bytes]:
        """Path → bytes of all files but the record."""
        if paper is not None:
            made, sheets = self.files_and_sheets(printed=True)
            with suppress(Unprintable):
                return dict(sorted((made | paper.print(sheets, self.answered_at)).items()))
        # Made again where printing failed: pages must not lead to what is not there.
        return self.files_and_sheets(printed=False)[0]

    def files_and_sheets(self, printed: bool) -> tuple[dict[str, bytes], dict[Language, Sheet]]:
        """Path → bytes of all files that no browser makes, and what a browser prints."""
        from civic_kernel.publish import exporter  # nbconvert takes a second to import

        made: dict[str, bytes] = {"parties.json": tables.json_bytes(self.parties)}
        sheets: dict[Language, Sheet] = {}
        for language in LANGUAGES:
            page = self._page(language) | {"printed": printed}
            maps = [figure["drawing"][language] for figure in self.figures if figure["form"] == "map"]
            scripts = [script for document in maps for script in look.inline_scripts(document)]
            index = exporter.render(self.run.executed, language, "index", page, scripts)
            method = exporter.render(self.run.executed, language, "method", self._method(language, page))
            said = _summary(page, self.address)
            made[f"{language}/index.html"] = index.encode("utf-8")
            made[f"{language}/method.html"] = method.encode("utf-8")
            made[f"{language}/{summary.NAME}"] = tables.json_bytes(said.document())
            card = render("card.html.j2", language, page=page, size=CARD).decode("utf-8")
            sheets[language] = Sheet(index, maps, card, said.title + said.caption + said.headline)
        for figure in self.figures:
            more = {
                "demonstration": self.demonstration,
                "datasets": sorted({s["dataset"] for s in self._of(figure)}),
                "units": {s["dataset"]: statements.kind(s) for s in self._of(figure)},
            }
            made[f"data/{figure['name']}.csv"] = self.csv[figure["name"]]
            made[f"data/{figure['name']}.json"] = tables.description_bytes(figure, more)
        for body in self.answers:
            # Without `charged` and the like, which tell of one asking and not of the answer.
            kept = {part: body[part] for part in ("answer_id", "signature", "statement")}
            made[f"answers/{body['answer_id']}.json"] = tables.json_bytes(kept)
        for identity, (published, _) in self.policies.items():
            made[f"policies/{identity}.json"] = tables.json_bytes(published)
        name = self.run.record["report"]
        made[f"notebook/{name}.ipynb"] = self.run.source
        made[f"notebook/{name}.schema.json"] = self.run.schema
        told = told_in(self.run.executed)
        if told is not None:
            made[f"notebook/{name}.told.json"] = tables.json_bytes(told)
        return dict(sorted(made.items())), sheets

    @property
    def _noisy(self) -> bool:
        """Whether any answer is of the private lane: a page of open data alone has no chance in it."""
        return any(statements.kind(s) != OPEN for s in self.statements)

    def _of(self, figure: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        return [body["statement"] for body in self.answers if body["answer_id"] in figure["answers"]]

    # --- the report page ---

    def _page(self, language: Language) -> dict[str, Any]:
        messages = [b["text"][language] for b in self.blocks if b["kind"] == "message"]
        choice = next((block for block in self.blocks if block["kind"] == "my_gu"), None)
        return {
            "title": self.label[language],
            "caption": summary.caption(self.schema, self.run.record["parameters"], language),
            "headline": messages[0],
            "messages": messages[1:],
            "other": "en" if language == "ko" else "ko",
            "demonstration": self.demonstration,
            "my_gu": choice and _choices(choice, language),
            "figures": self._shown_figures(language, choice),
            # With no person in the records, a promise to each person would be one that nobody can keep.
            "persons": any(statements.kind(s) == "person" for s in self.statements),
            "noisy": self._noisy,
            "estimated": any(
                column["role"] == "low" for figure in self.figures for column in figure["table"]["columns"]
            ),
            "sure": _per_dataset(
                sorted(self.statements, key=statements.span_told), statements.sure, language
            ),
            "withheld": self._withheld(language),
            "protected": _per_dataset(self.statements, statements.protected, language),
            "signed": self._signed(language),
            "date": day_in_words(self.answered_at, language),
            "site": f"../../../{language}/index.html",
            "status": f"../status/{language}.html",
            **self._lasting(language),
        }

    def _lasting(self, language: Language) -> dict[str, Any]:
        """Where the report is found in whatever version, and in which words it is quoted.

        Not the version's own address, which is made from the fingerprints of this very page.
        """
        place = f"latest/{summary.series(self.run.record)}/{language}"
        signers = {key.id: key.title[language] for _, keys in self.policies.values() for key in keys}
        return {
            "lasting": f"../../../{place}/index.html",
            "lasting_address": self.address and f"{self.address}/{place}/index.html",
            "card_address": self.address and f"{self.address}/{place}/card.png",
            "quoted": {"parties": ", ".join(sorted(set(signers.values()))), "year": self.answered_at[:4]},
        }

    def _shown_figures(self, language: Language, choice: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        shown = []
        for figure in self.figures:
            at = self.table_at[figure["name"]]
            leads_here = choice is not None and self.table_at.get(choice["figure"]) == figure["name"]
            row_key = choice["column"] if choice is not None and leads_here else None
            drawing = (figure["drawing"] or {}).get(language, "")
            shown.append(
                {
                    "name": figure["name"],
                    "form": figure["form"],
                    "title": figure["title"][language],
                    "subtitle": figure["subtitle"][language],
                    "alt": (figure["alt"] or {}).get(language, ""),
                    "uncertainty": figure["uncertainty"][language],
                    "counted": _per_dataset(self._of(figure), statements.counted, language),
                    "drawing": drawing,
                    "srcdoc": _attribute(drawing) if figure["form"] == "map" else "",
                    # Figures of one and the same table share it: shown once, after the last of them.
                    "table_at": at if at != figure["name"] else None,
                    **tables.shown(figure["table"], language, row_key),
                }
            )
        return shown

    def _withheld(self, language: Language) -> list[str]:
        lines = []
        seen: set[str] = set()
        for figure in self.figures:
            gone = tables.withheld_rows(figure["table"], language)
            at = self.table_at[figure["name"]]
            if gone and at not in seen:
                seen.add(at)
                some = gone if len(gone) <= 12 else [*gone[:12], "…"]
                lines.append(
                    text(
                        language,
                        "report",
                        "withheld.some",
                        title=figure["title"][language],
                        count=len(gone),
                        cells=", ".join(some),
                    )
                )
        none = [text(language, "report", "withheld.none")]
        return [*(lines or none), text(language, "report", "withheld.rule")] if self._noisy else none

    def _signed(self, language: Language) -> list[str]:
        lines = []
        for identity in sorted(self.policies):
            published, signers = self.policies[identity]
            names = [
                text(language, "report", "privacy.demo", party=key.title[language])
                if key.demo
                else key.title[language]
                for key in signers
            ]
            title = published["policy"]["title"][language]
            lines.append(text(language, "report", "privacy.signer", title=title, parties=", ".join(names)))
        return lines

    # --- the method page ---

    @cached_property
    def _literals(self) -> list[str]:
        from civic_kernel.publish import exporter

        return exporter.literals(self.run.executed)

    def _method(self, language: Language, page: Mapping[str, Any]) -> dict[str, Any]:
        run, properties = self.run.record, self.schema["properties"]
        say = partial(text, language, "report")
        facts = [
            (say("method.notebook"), run["notebook_sha256"]),
            (say("method.schema"), str(run["schema_version"])),
        ]
        for name, value in run["parameters"].items():
            words = properties[name].get("values", {})
            values = value if isinstance(value, list) else [value]
            spoken = ", ".join(str(words.get(v, {language: v})[language]) for v in values)
            facts.append((properties[name]["label"][language], spoken))
        for identity, (published, _) in sorted(self.policies.items()):
            facts.append((say("method.policy", title=published["policy"]["title"][language]), identity))
        facts += [
            (say("method.requirements"), run["requirements_sha256"]),
            (say("method.answered"), self.answered_at),
        ]
        told = {body["answer_id"]: body["statement"] for body in self.answers}
        followed = checking.followed(self.figures, told, language)
        return {
            "title": page["title"],
            "other": page["other"],
            "demonstration": self.demonstration,
            "facts": facts,
            "notebook": f"{run['report']}.ipynb",
            "answers": [
                {
                    "id": body["answer_id"],
                    "question": statements.question(body["statement"], language),
                    "rho": _rho(body["statement"]["spend"]["rho"]),
                }
                for body in self.answers
            ],
            "literals": self._literals,
            "check": {"say": checking.words(language), "figures": followed},
            "figures": followed,
            "fingerprints": checking.fingerprints(self.keys, language),
        }


# --- checking what goes in ---


def _checked_answers(
    answers: list[dict[str, Any]], run: Run, keys: Mapping[str, Key], language: Language
) -> list[dict[str, Any]]:
    try:
        for body in answers:
            check_answer(body, keys)
    except ValueError:
        _refuse("answers", language)
    if not answers or [a["answer_id"] for a in run.record["answers"]] != [a["answer_id"] for a in answers]:
        _refuse("answers", language)
    return answers


def _checked_policies(
    statements: Sequence[Mapping[str, Any]],
    published: Sequence[Mapping[str, Any]],
    keys: Mapping[str, Key],
    on: date,
    language: Language,
) -> dict[str, tuple[dict[str, Any], list[Key]]]:
    """Hash → policy with its signatures, and who signed it; for every policy that an answer names."""
    found: dict[str, tuple[dict[str, Any], list[Key]]] = {}
    by_hash = {line["hash"]: line for line in published}
    for statement in statements:
        identity = statement["policy_hash"]
        line = by_hash.get(identity)
        if line is None:
            _refuse("policy", language)
        try:
            signers = check_policy(line, identity, keys, on)
        except (ValueError, KeyError, TypeError):
            _refuse("policy", language)
        kept = {"policy": line["policy"], "hash": identity, "signatures": line["signatures"]}
        found[identity] = (kept, signers)
    return found


def _blocks(notebook: Any) -> list[dict[str, Any]]:
    found = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {}).get(BLOCK_MIME)
            if data is not None:
                found.append(json.loads(json.dumps(data)))
    return found


def _public_hashes(run: Run, sources: Sources, answers: Sequence[Mapping[str, Any]]) -> set[str]:
    """Fingerprints that the pages print on purpose."""
    record = run.record
    found = {record["notebook_sha256"], record["requirements_sha256"], *record["policies"]}
    found |= {str(line.get("hash")) for line in sources.policies}
    for body in answers:
        found.add(str(body["statement"]["data_version"]))
    return {value.lower() for value in found}


def _words_of(place: str, data: bytes) -> str:
    """A file's text without the parts that the screen knows: vendored scripts and our own styles."""
    words = data.decode("utf-8-sig")
    if place.endswith(".html"):
        import html

        # Before it is unescaped: a script's own `&` would become something else.
        words = html.unescape(words.replace(checking.script(), ""))
        for known in (*look.vendor_texts(), look.styles(), look.script()):
            words = words.replace(known, "")
    return words


def _refuse(key: str, language: Language) -> NoReturn:
    raise NotPublishable.say(language, reason=text(language, "report", f"publish.{key}"))


# --- small words ---


def _summary(page: Mapping[str, Any], site: str) -> summary.Summary:
    passages = [(words, "main") for words in page["messages"]]
    passages += [(f"{f['title']} {f['subtitle']}", f["name"]) for f in page["figures"]]
    passages += [(f"{c['label']}: {c['sentence']}", c["row"]) for c in page["my_gu"] or ()]
    return summary.Summary(page["title"], page["caption"], page["headline"], passages, page["printed"], site)


def _attribute(document: str) -> str:
    return document.replace("&", "&amp;").replace("'", "&#39;")


def _choices(choice: Mapping[str, Any], language: Language) -> list[dict[str, str]]:
    lines = [
        {
            "row": f"row-{line['key']}",
            "label": key_value(choice["column"], line["key"], language),
            "sentence": line["sentence"][language],
        }
        for line in choice["choices"]
    ]
    # Hangul syllables stand in the Unicode table in their alphabetical order, Latin letters in theirs.
    return sorted(lines, key=lambda line: line["label"])


def _per_dataset(statements: Sequence[Mapping[str, Any]], line: Any, language: Language) -> list[str]:
    """One line for each dataset that has something to say."""
    by_dataset = {s["dataset"]: s for s in statements}
    lines = [line(by_dataset[name], language) for name in sorted(by_dataset, reverse=True)]
    return [words for words in lines if words]


def _rho(nano: int) -> str:
    return format(Decimal(nano) / Decimal(10**9), "f").rstrip("0").rstrip(".") or "0"
