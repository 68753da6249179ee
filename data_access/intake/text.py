"""Bytes of a file to UTF-8, and rows back to the line that an editor shows.

Errors are raised after the `except` block has ended, never inside it: a UnicodeDecodeError holds the whole
file, and `from None` only hides it from the printed traceback while `__context__` still carries it.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_access.errors import LoadEncoding, LoadFileMissing

_CHUNK = 4 * 1024 * 1024


def read_utf8(path: Path, encodings: Sequence[str]) -> bytes:
    """The file as UTF-8 bytes without a BOM.

    A UTF-8 BOM decides the encoding; otherwise the first of `encodings` that decodes the whole file is taken.
    Raises LoadFileMissing, and LoadEncoding with the line at which the encoding that came furthest gave up.
    """
    raw = _read(path)
    if raw is None:
        raise LoadFileMissing(file=path.name)
    marked = raw.startswith(codecs.BOM_UTF8)
    if marked:
        raw = raw[len(codecs.BOM_UTF8) :]
    furthest = 0
    for encoding in ("utf-8",) if marked else encodings:
        content = _to_utf8(raw, "utf-8" if encoding == "utf-8-sig" else encoding)
        if isinstance(content, bytes):
            return content
        furthest = max(furthest, content)
    raise LoadEncoding(file=path.name, line=_line_at(raw, furthest))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _to_utf8(raw: bytes, encoding: str) -> bytes | int:
    """The same text in UTF-8, or the offset of the first byte that `encoding` cannot explain.

    In pieces, since one `str` of a Korean file takes twice the file's size.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    pieces: list[bytes] = []
    try:
        for start in range(0, len(raw), _CHUNK):
            piece = decoder.decode(raw[start : start + _CHUNK])
            if encoding != "utf-8":
                pieces.append(piece.encode("utf-8"))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _first_fault(raw, encoding)
    return raw if encoding == "utf-8" else b"".join(pieces)


def _first_fault(raw: bytes, encoding: str) -> int:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError as fault:
        return fault.start
    return len(raw)


def _line_at(raw: bytes, offset: int) -> int:
    # Neither encoding uses the byte of a line feed inside a character.
    before = raw[:offset]
    return 1 + (before.count(b"\n") or before.count(b"\r"))


def records(content: bytes) -> Iterator[tuple[int, list[str] | None]]:
    """(line on which the record starts, fields) of every record, header included, blank lines passed over.

    The slow twin of pyarrow's parser, used to name a line and to read the header. None stands for a record
    that cannot be read at all (a quote that never closes).
    """
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), "utf-8", newline=""), strict=False)
    line = 1
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields = None
        if fields is None:
            yield line, None
            return
        if fields:
            yield line, fields
        line = reader.line_num + 1


def line_of(content: bytes, row: int) -> int:
    """The line of record `row` (0 = header)."""
    line = 1
    for number, (start, _fields) in enumerate(records(content)):
        line = start
        if number == row:
            break
    return line


def blank_rows(content: bytes, rows: Sequence[int]) -> set[int]:
    """Which of `rows` (0 = header) hold nothing in any field, kept or not."""
    wanted = set(rows)
    return {
        number
        for number, (_line, fields) in enumerate(records(content))
        if number in wanted and fields is not None and not any(field.strip() for field in fields)
    }


def line_of_wrong_width(content: bytes, width: int) -> int:
    """The line of the first record that has not `width` fields; the last line where all of them have."""
    line = 1
    for start, fields in records(content):
        line = start
        if fields is None or len(fields) != width:
            break
    return line
