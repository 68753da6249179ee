"""The record of a run, and the folder in which a run lies.

run.json            what ran, on what, and what it was told
notebook.ipynb      the source, as it was given
schema.json         the declaration of its parameters
executed.ipynb      the same notebook with its outputs: the only channel out of the run
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat

from civic_kernel.errors import NotPublishable
from civic_kernel.publish.blocks import ANSWER_MIME, TOLD_MIME
from civic_kernel.texts import Language, text
from civic_kernel.verify.documents import sha256_hex


@dataclass(frozen=True)
class Run:
    """A finished run as read from its folder."""

    record: Mapping[str, Any]
    source: bytes
    schema: bytes
    executed: nbformat.NotebookNode


def answers_in(notebook: nbformat.NotebookNode) -> list[dict[str, Any]]:
    """The answer bodies that the last, hidden cell showed; each once, in the order of asking."""
    found: dict[str, dict[str, Any]] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            body = output.get("data", {}).get(ANSWER_MIME)
            if body is not None:
                plain = json.loads(json.dumps(body))
                found.setdefault(plain["answer_id"], plain)
    return list(found.values())


def told_in(notebook: nbformat.NotebookNode) -> dict[str, Any] | None:
    """What the run was told besides its answers; None where the notebook does not say."""
    for cell in reversed(notebook.cells):
        for output in cell.get("outputs", []):
            told = output.get("data", {}).get(TOLD_MIME)
            if isinstance(told, dict):
                return dict(json.loads(json.dumps(told)))
    return None


@cache
def requirements_hash() -> str:
    """One hash over the names and versions of all installed packages: what the run could import.

    Not over the lock file, which says what should be installed; this says what was, when this process first looked:
    hundreds of files are read for it, and a service that is upgraded is started anew.
    """
    found = ((d.metadata["Name"], d.version) for d in metadata.distributions())
    # A package that is being replaced this very moment has no name.
    lines = {f"{name.lower()}=={version}" for name, version in found if name}
    return sha256_hex("\n".join(sorted(lines)).encode())


def output_hash(notebook: nbformat.NotebookNode) -> str:
    """Hash over what the run showed: cell by cell, without times and counters."""
    shown = [
        [output.get("data") or output.get("text") for output in cell.get("outputs", [])]
        for cell in notebook.cells
        if cell.cell_type == "code" and "civic-answers" not in cell.metadata.get("tags", [])
    ]
    return sha256_hex(json.dumps(shown, ensure_ascii=False, sort_keys=True).encode())


def make_run_record(
    *,
    report: str,
    source: bytes,
    schema_version: int,
    parameters: Mapping[str, Any],
    team: str | None,
    purpose: str | None,
    executed: nbformat.NotebookNode,
    started_at: str,
    finished_at: str,
) -> dict[str, Any]:
    answers = answers_in(executed)
    return {
        "kind": "civic-run",
        "report": report,
        "notebook_sha256": sha256_hex(source),
        "schema_version": schema_version,
        "parameters": dict(parameters),
        "team": team,
        "purpose": purpose,
        "answers": [
            {
                "answer_id": body["answer_id"],
                "dataset": body["statement"]["dataset"],
                "rho": body["statement"]["spend"]["rho"],
                "charged": body["charged"],
                "policy_hash": body["statement"]["policy_hash"],
            }
            for body in answers
        ],
        "policies": sorted({body["statement"]["policy_hash"] for body in answers}),
        "requirements_sha256": requirements_hash(),
        "output_sha256": output_hash(executed),
        "started_at": started_at,
        "finished_at": finished_at,
    }


def read_run(folder: Path, language: Language = "ko") -> Run:
    """Raises NotPublishable for a folder that holds no whole run."""
    try:
        record = json.loads((folder / "run.json").read_text("utf-8"))
        source = (folder / "notebook.ipynb").read_bytes()
        executed = nbformat.read(folder / "executed.ipynb", as_version=4)
        if record["notebook_sha256"] != sha256_hex(source) or record["output_sha256"] != output_hash(
            executed
        ):
            raise ValueError("the run was edited")
        return Run(record, source, (folder / "schema.json").read_bytes(), executed)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
        raise NotPublishable.say(language, reason=text(language, "report", "publish.run")) from None
