"""Writing the city: ride files at speed, small tables, and a folder that is whole or absent.

Ride text is put together column-wise: each distinct text is encoded once (cp949 or UTF-8), Arrow
joins the pieces, and the joined array's buffer is the file's content as it stands. `pyarrow.csv`
cannot write CRLF, and pandas takes minutes. Parquet is Arrow's own.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .rides import MEMBER_COLUMN, PUBLIC_COLUMNS
from .truth import MONTHS, VERSION

MANIFEST: Final = "manifest.json"
CP949_MONTHS: Final = MONTHS[:6]
"""The portal changed its encoding on the way: the first six months are cp949, later ones UTF-8 with BOM."""
_BOM: Final = "\ufeff"
_MISSING: Final = b"\\N"
Form = Literal["csv", "parquet"]
"""In which form the rides are written; all other files are CSV."""
_TIMES: Final = ("대여일시", "반납일시")


@dataclass(frozen=True)
class CityFiles:
    """Where the finished city lies; `rides` and `rides_public` hold twelve files each, in order.

    As Parquet a month has one file with all 18 columns, of which a reader takes those she may, and
    `rides_public` is empty.
    """

    root: Path
    rides: tuple[Path, ...]
    rides_public: tuple[Path, ...]
    stations: Path
    lanes: Path
    accidents: Path
    weather: Path
    air: Path
    traffic: Path
    meal_uses: Path
    meal_merchants: Path
    meal_distances: Path
    donations: Path
    donation_campaigns: Path
    donation_areas: Path
    shop_sales: Path
    shop_areas: Path
    parks: Path
    dong: Path
    gu: Path
    truth: Path
    manifest: Path

    @classmethod
    def under(cls, root: Path, form: Form = "csv") -> CityFiles:
        """Name the files of a city in folder `root`, whether or not they exist."""
        return cls(
            root=root,
            rides=tuple(root / "rides" / f"rides_{month}.{form}" for month in MONTHS),
            rides_public=tuple(
                root / "rides_public" / f"rides_{month}.csv" for month in MONTHS if form == "csv"
            ),
            stations=root / "stations.csv",
            lanes=root / "lanes.csv",
            accidents=root / "accidents.csv",
            weather=root / "weather.csv",
            air=root / "air.csv",
            traffic=root / "traffic.csv",
            meal_uses=root / "meal_uses.csv",
            meal_merchants=root / "meal_merchants.csv",
            meal_distances=root / "meal_distances.csv",
            donations=root / "donations.csv",
            donation_campaigns=root / "donation_campaigns.csv",
            donation_areas=root / "donation_areas.csv",
            shop_sales=root / "shop_sales.csv",
            shop_areas=root / "shop_areas.csv",
            parks=root / "parks.csv",
            dong=root / "dong.csv",
            gu=root / "gu.csv",
            truth=root / "truth.json",
            manifest=root / MANIFEST,
        )


def encoding_of(month: str) -> str:
    """Tell the encoding of a month's ride files, as Python names it."""
    return "cp949" if month in CP949_MONTHS else "utf-8-sig"


class CityWriter:
    """Writes into one folder and remembers size and SHA-256 of each file for the manifest.

    Several threads may write files of different names at once.
    """

    def __init__(self, root: Path, form: Form = "csv") -> None:
        """Write under `root`, an existing folder, the rides in `form`."""
        self.files = CityFiles.under(root, form)
        self._form = form
        self._written: dict[str, dict[str, Any]] = {}

    def rides(self, month: str, tables: Iterable[pa.Table]) -> None:
        """Write one month's tables (see `RideMaker.ride_tables`), at least one, one after the other."""
        if self._form == "csv":
            self._rides_csv(month, tables)
        else:
            self._rides_parquet(month, tables)

    def _rides_csv(self, month: str, tables: Iterable[pa.Table]) -> None:
        """Write one month's text twice: with and without the member number."""
        encoding = encoding_of(month)
        # dictionaries are encoded piece by piece, so the BOM stands in the header line alone
        plain = "cp949" if encoding == "cp949" else "utf-8"
        place = MONTHS.index(month)
        end = pa.scalar(b"\r\n", pa.binary())
        with (
            self._file(self.files.rides[place]) as own,
            self._file(self.files.rides_public[place]) as public,
        ):
            own((",".join((*PUBLIC_COLUMNS, MEMBER_COLUMN)) + "\r\n").encode(encoding))
            public((",".join(PUBLIC_COLUMNS) + "\r\n").encode(encoding))
            for table in tables:
                pieces = {name: _pieces(table[name].chunk(0), plain) for name in table.column_names}
                line = _joined([pieces[name] for name in PUBLIC_COLUMNS], b",")
                public(_content(_joined([line, end], b"")))
                member = _joined([pieces[MEMBER_COLUMN], end], b"")
                own(_content(_joined([line, member], b",")))

    def _rides_parquet(self, month: str, tables: Iterable[pa.Table]) -> None:
        """Write one month's tables, each as a row group of one file."""
        path = self.files.rides[MONTHS.index(month)]
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            writer: pq.ParquetWriter | None = None
            for table in tables:
                if writer is None:
                    # few distinct values stand in a dictionary; times rise, and are kept as steps
                    words = [name for name in table.column_names if name not in (*_TIMES, MEMBER_COLUMN)]
                    writer = pq.ParquetWriter(
                        path,
                        table.schema,
                        compression="zstd",
                        use_dictionary=words,
                        column_encoding=dict.fromkeys(_TIMES, "DELTA_BINARY_PACKED"),
                        # lowest and highest of a text help no reader, and finding them takes half the time
                        write_statistics=[*_TIMES, "이용시간(분)"],
                        write_batch_size=1 << 16,
                    )
                    stack.enter_context(writer)
                writer.write_table(table, row_group_size=table.num_rows)
        with path.open("rb") as file:  # read again: Parquet's writer knows only the end of what it writes
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._remember(path, path.stat().st_size, digest)

    def table(
        self,
        path: Path,
        header: Sequence[str],
        rows: Iterable[Sequence[str]],
        *,
        bom: bool,
        end: str = "\r\n",
        encoding: str = "utf-8",
    ) -> None:
        """Write a small table of texts. A text with a comma brings its own quotes; none holds a quote or line break."""
        lines = [",".join(header), *(",".join(row) for row in rows)]
        text = (_BOM if bom else "") + end.join(lines) + end
        with self._file(path) as write:
            write(text.encode(encoding))

    def document(self, path: Path, content: dict[str, Any]) -> None:
        """Write a JSON document, readable by eye and the same for the same content."""
        text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
        with self._file(path) as write:
            write(text.encode("utf-8"))

    def finish(self, seed: int, rides: int) -> None:
        """Write the manifest: the last file, whose presence says that all others are there."""
        content = _identity(seed, rides, self._form) | {"files": self._written}
        self.document(self.files.manifest, content)

    @contextlib.contextmanager
    def _file(self, path: Path) -> Iterator[Callable[[bytes | memoryview], None]]:
        """Give what writes the next piece of file `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        size = 0
        with path.open("wb") as file:

            def write(piece: bytes | memoryview) -> None:
                nonlocal size
                digest.update(piece)
                size += file.write(piece)

            yield write
        self._remember(path, size, digest.hexdigest())

    def _remember(self, path: Path, size: int, digest: str) -> None:
        """Note a finished file for the manifest."""
        name = path.relative_to(self.files.root).as_posix()
        self._written[name] = {"bytes": size, "sha256": digest}


def _joined(pieces: list[Any], between: bytes) -> pa.Array:
    """Join arrays of bytes element by element."""
    return pc.binary_join_element_wise(*pieces, pa.scalar(between, pa.binary()))


def _content(lines: pa.Array) -> memoryview:
    """Give the bytes of all lines one after the other, which is how Arrow holds them, uncopied."""
    _, offsets, data = lines.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(data)[int(bounds[0]) : int(bounds[-1])]


def _pieces(column: pa.Array, encoding: str) -> pa.Array:
    """Turn a column into the bytes of its cells."""
    if pa.types.is_dictionary(column.type):
        words = [word.encode(encoding) for word in column.dictionary.to_pylist()]
        return _take(words, column.indices)
    if pa.types.is_timestamp(column.type):
        return _times(column)
    if pa.types.is_string(column.type):
        return column.cast(pa.binary())  # the member number, whose ASCII is the same in either encoding
    # numbers: few distinct values, so each is written once
    encoded = pc.dictionary_encode(column)
    form = "{:.2f}" if pa.types.is_floating(column.type) else "{}"
    words = [form.format(value).encode("ascii") for value in encoded.dictionary.to_pylist()]
    return _take(words, encoded.indices)


def _take(words: list[bytes], index: pa.Array) -> pa.Array:
    """Look the words up, `\\N` where the index is null."""
    found = pa.array([*words, _MISSING], pa.binary())
    return found.take(pc.fill_null(index, len(words)))


def _times(column: pa.Array) -> pa.Array:
    """Write timestamps[s] as `2025-10-01 00:00:34` from a table of days and one of seconds."""
    # strftime takes a second for a million rows; two look-ups take a tenth of it
    seconds = pc.fill_null(column, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    day, second = np.divmod(seconds, 86_400)
    days, which = np.unique(day, return_inverse=True)
    dates = [f"{date} ".encode() for date in days.astype("datetime64[D]")]
    text = _joined([_take(dates, pa.array(which)), _clock().take(pa.array(second))], b"")
    return pc.if_else(column.is_valid(), text, pa.scalar(_MISSING, pa.binary()))


@functools.cache
def _clock() -> pa.Array:
    """Give the texts of a day's 86,400 seconds; made once, since each month asks twice."""
    return pa.array(
        [f"{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}".encode() for s in range(86_400)], pa.binary()
    )


_IDENTITY: Final = ("made", "version", "seed", "rides", "form")


def _identity(seed: int, rides: int, form: Form) -> dict[str, Any]:
    """Say what a finished folder must have been built from; a city of CSV names no form."""
    identity = {"made": "synthetic city", "version": VERSION, "seed": seed, "rides": rides}
    return identity if form == "csv" else identity | {"form": form}


def _read_manifest(root: Path) -> dict[str, Any] | None:
    """Read a folder's manifest; None where there is none of ours."""
    try:
        content = json.loads((root / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("made") == "synthetic city" else None


def is_finished(root: Path, seed: int, rides: int, form: Form) -> bool:
    """Tell whether `root` holds this very city whole: the manifest's names, each at its size.

    Contents are not hashed again, since every start of the demo asks; whoever doubts them compares
    with the manifest's SHA-256.
    """
    manifest = _read_manifest(root)
    if manifest is None:
        return False
    if {key: manifest.get(key) for key in _IDENTITY} != dict.fromkeys(_IDENTITY) | _identity(
        seed, rides, form
    ):
        return False
    try:
        return all((root / name).stat().st_size == file["bytes"] for name, file in manifest["files"].items())
    except FileNotFoundError:
        return False


def build_once(out: Path, seed: int, rides: int, form: Form, fill: Callable[[CityWriter], None]) -> CityFiles:
    """Have `fill` write the city into a hidden folder beside `out`, then put it in place as a whole.

    Returns at once where `out` is finished already. Another city of ours in `out` is replaced. Two
    builds of one folder wait for each other; what a killed build left behind is removed by the next.

    Raises FileExistsError where `out` holds anything that no earlier build put there.
    """
    # a link to a roomier disk stays a link: the work is done, and swapped, where it points
    out = out.resolve()
    if is_finished(out, seed, rides, form):
        return CityFiles.under(out, form)
    out.parent.mkdir(parents=True, exist_ok=True)
    with _alone(out.with_name(f".{out.name}.lock")):
        if is_finished(out, seed, rides, form):
            return CityFiles.under(out, form)
        if out.exists() and _read_manifest(out) is None and (not out.is_dir() or any(out.iterdir())):
            raise FileExistsError(f"{out} holds files of someone else; give an empty or new folder")
        prefix = f".{out.name}.partial-"
        for beside in list(out.parent.iterdir()):
            if beside.name.startswith(prefix):
                shutil.rmtree(beside)
        partial = Path(tempfile.mkdtemp(prefix=prefix, dir=out.parent))
        old = partial.with_name(partial.name + ".old")
        try:
            partial.chmod(0o755)  # mkdtemp closes it to others, but the intake runs as its own user
            writer = CityWriter(partial, form)
            fill(writer)
            writer.finish(seed, rides)
            if out.exists():
                # a folder cannot replace one with files in it: between the two steps there is none,
                # which reads as "not built", never as half built
                out.rename(old)
            partial.rename(out)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
    return CityFiles.under(out, form)


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold the lock file while inside; the system frees it when a process dies."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
