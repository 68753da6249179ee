"""What lies beside a page so that a reader can check it: two script files for her browser, and one ZIP that holds all.

    reports/<slug>/status/evidence.js   record, approvals, and the text of every file that the check reads
    reports/<slug>/status/report.zip    the release, its status, and the public records, in the site's own folders
    records/records.js                  the public records, once for the whole site

Script files, since a page opened from a disk may load those and read nothing else. They are written by the site builder
and stand in no release record, as approvals and records come later than the page: what they say is checked, never
believed.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from civic_kernel.publish.record import RECORD_NAME
from civic_kernel.texts import LANGUAGES, text
from civic_kernel.verify.records import Records, record_bytes

EVIDENCE: Final = "evidence.js"
BUNDLE: Final = "report.zip"
#: The same files are the same ZIP.
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_READ = ("parties.json", "policies/", "answers/", "data/")


def evidence_script(
    folder: Path, release_id: str, record: Mapping[str, Any], approvals: Sequence[Mapping[str, Any]]
) -> bytes:
    """`civicEvidence = {"release_id", "record", "approvals", "files": {path: text}}`."""
    places = [str(line["path"]) for line in record["files"] if str(line["path"]).startswith(_READ)]
    return _script(
        "civicEvidence",
        {
            "release_id": release_id,
            "record": record,
            "approvals": list(approvals),
            "files": {place: (folder / place).read_bytes().decode("utf-8") for place in places},
        },
    )


def records_script(records: Records) -> bytes:
    """`civicRecords = {"head", "events", "ledger", "parties", "policies", "witnesses"}`."""
    return _script("civicRecords", records.documents())


def bundle(
    folder: Path, record: Mapping[str, Any], status: Mapping[str, bytes], records: Records | None
) -> bytes:
    """The ZIP: unpacked, its pages lead to each other, and `civic report check` finds the records beside the page."""
    inside = f"reports/{record['slug']}"
    files = {f"{inside}/{line['path']}": (folder / line["path"]).read_bytes() for line in record["files"]}
    files[f"{inside}/{RECORD_NAME}"] = (folder / RECORD_NAME).read_bytes()
    files |= {f"{inside}/status/{name}": data for name, data in status.items()}
    if records is not None:
        files |= {
            f"records/{name}.json": record_bytes(document) for name, document in records.documents().items()
        }
        files["records/records.js"] = records_script(records)
    words = "\n\n".join(text(language, "citizen", "zip.readme", folder=inside) for language in LANGUAGES)
    files["README.txt"] = ("\ufeff" + words + "\n").encode("utf-8")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for place, data in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{record['slug']}/{place}", _NO_DATE)
            entry.compress_type, entry.external_attr, entry.create_system = (
                zipfile.ZIP_DEFLATED,
                0o644 << 16,
                3,
            )
            made.writestr(entry, data)
    return packed.getvalue()


def _script(name: str, document: Any) -> bytes:
    return f"globalThis.{name}={json.dumps(document, ensure_ascii=False, separators=(',', ':'))};\n".encode()
