"""Spark gives the same integers as the slow interpreter, from compiled text to answered question.

In `make test` some dozens of generated plans, chosen so that every word of the registry is among them; hundreds with
`make test-spark`.
"""

from __future__ import annotations

import gc
import itertools
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings

from benchmarks.attacks.town import rebuilt
from data_access.errors import InternalFault, VaultDamaged
from data_access.query import BoundPlan, Dialect, KeyColumn, MeasureColumn, Plan, Schema, bind, decode_plan
from data_access.query.compiler import compile_sql
from data_access.query.reference import interpret
from data_access.vault import View
from tests.factories import ANN, Workspace, ZeroNoise, table
from tests.query.agreement import ARROW, Found, cells_of, nonzero, registry, words
from tests.query.strategies import SCHEMA, plans, rows

pytestmark = [
    pytest.mark.spark,
    # PySpark leaves the sockets of its results to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]

#: Runs of the quick case beside those that bring a new word.
QUICK, WHOLE = 16, 400
COLUMNS = "period string, unit bigint, at timestamp_ntz, gu string, sex string, minutes bigint, change bigint"
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.io.encryption.enabled": "true",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.shuffle.partitions": "2",
    # What a cluster may well have, and a reader must not inherit: each of these gives other answers.
    "spark.sql.ansi.enabled": "false",
    "spark.sql.session.timeZone": "America/New_York",
    "spark.sql.groupByOrdinal": "false",
    "spark.sql.parser.escapedStringLiterals": "true",
    # The first compiler only: half an hour of peak speed is of no use to a minute of tests.
    "spark.driver.extraJavaOptions": "-Duser.timezone=Asia/Seoul -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


def _lacking() -> str | None:
    java = shutil.which("java")
    said = subprocess.run([java, "--version"], capture_output=True, text=True).stdout if java else ""
    version = re.search(r"\d+", said)
    if version is None or int(version.group()) < 17:
        return "there is no Java 17 here"
    try:
        import pyspark  # noqa: F401
    except ImportError:
        return "there is no PySpark here"
    return None


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    lacking = _lacking()
    if lacking is not None:
        # Set-up installs both where it can; on CI what is missing is a failure.
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(lacking)
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    builder = SparkSession.builder.master("local[2]")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    builder = builder.config("spark.local.dir", str(folder))
    made = builder.config("spark.sql.warehouse.dir", str(folder / "tables")).getOrCreate()
    yield made
    made.stop()
    gc.collect()


@pytest.fixture(scope="module")
def engine(session: Any) -> Any:
    from data_access.vault.spark import SparkEngine

    return SparkEngine(session, lambda view: f"global_temp.{view.file}")


Place = Callable[[Any], View]


@pytest.fixture(scope="module")
def place(session: Any) -> Place:
    """Makes an Arrow table a table of Spark; its view names it."""
    numbers = itertools.count()

    def placed(made: Any) -> View:
        name = f"view_{next(numbers)}"
        frame = made if hasattr(made, "createOrReplaceGlobalTempView") else session.createDataFrame(*made)
        frame.createOrReplaceGlobalTempView(name)
        return View("rides-test", 1, "0" * 64, name, "0" * 64, "2026-11-23T00:00:00Z")

    return placed


def run(engine: Any, bound: BoundPlan, view: View) -> Found:
    with engine.reader(view) as reader:
        return cells_of(bound, reader.execute(compile_sql(bound, Dialect.SPARK)).to_arrow_table())


def test_spark_and_the_interpreter_agree_on_every_word(engine: Any, place: Place) -> None:
    whole = settings.get_current_profile_name() == "whole"
    seen: Counter[str] = Counter()
    runs, failed = 0, False

    @settings(max_examples=WHOLE, deadline=None, print_blob=True)
    @given(plan=plans(), data=rows())
    def agree(plan: Plan, data: list[dict[str, Any]]) -> None:
        nonlocal runs, failed
        bound = bind(plan, SCHEMA)
        expected = nonzero(interpret(bound, data))
        new = words(plan) - set(seen) if expected else set()
        # A run takes a tenth of a second here. What failed once is run however often Hypothesis shrinks it.
        if runs >= QUICK and not new and not whole and not failed:
            return
        runs += 1
        failed = True
        view = place((pa.Table.from_pylist(data, schema=ARROW), COLUMNS))
        assert run(engine, bound, view) == expected
        failed = False
        if expected:
            seen.update(words(plan))

    agree()
    assert registry() <= set(seen), registry() - set(seen)


def _bound(schema: Schema, **document: Any) -> BoundPlan:
    return bind(decode_plan({"dataset": "rides", "measures": {"n": {"fn": "count"}}} | document), schema)


def test_values_that_mean_something_to_sql_are_values(engine: Any, place: Place) -> None:
    strange = (
        "back\\slash",
        "\\'",
        '"',
        "`",
        "%",
        "_",
        "new\nline",
        "${spark.app.name}",
        "${env:PATH}",
        "F ",
        "f",
    )
    schema = Schema("rides", {"sex": KeyColumn("sex", ("F", *strange), True)}, "at", ("2026-01",), True)
    data = [
        {"period": "2026-01", "unit": 1, "at": datetime(2026, 1, 1), "sex": value}
        for number, value in enumerate(schema.keys["sex"].domain)
        for _ in range(number + 1)
    ]
    view = place((pa.Table.from_pylist(data), "period string, unit bigint, at timestamp_ntz, sex string"))
    for value in ("F", *strange):
        bound = _bound(schema, by=["sex"], where={"column": "sex", "op": "eq", "value": value})
        assert run(engine, bound, view) == interpret(bound, data), value


def test_hours_and_days_are_those_of_the_view_at_every_clock_change(engine: Any, place: Place) -> None:
    # New York's two nights of 2026, Seoul's last one, and the first and last hour of a month.
    times = [
        *(datetime(2026, 3, 8, hour) for hour in range(5)),
        *(datetime(2026, 11, 1, hour) for hour in range(4)),
        *(datetime(1988, 5, 8, hour) for hour in range(5)),
        *(datetime(2026, 1, 1), datetime(2026, 1, 31, 23), datetime(2026, 2, 1)),
    ]
    data = [{"period": f"{at:%Y-%m}", "unit": 1, "at": at} for at in times]
    schema = Schema("rides", {}, "at", tuple(sorted({row["period"] for row in data})), True)
    view = place((pa.Table.from_pylist(data), "period string, unit bigint, at timestamp_ntz"))
    hour, weekday = ({"fn": fn, "column": "at"} for fn in ("hour", "weekday"))
    for where in (
        None,
        {"column": "at", "op": "ge", "value": "2026-02-01"},
        {"column": "at", "op": "between", "values": ["2026-01-31", "2026-03-08"]},
    ):
        bound = _bound(schema, by=[hour, weekday, "month"], where=where)
        assert run(engine, bound, view) == interpret(bound, data)


def test_a_sum_past_the_largest_number_is_a_fault_and_never_another_number(
    engine: Any, place: Place, capfd: pytest.CaptureFixture[str]
) -> None:
    large = 2**62
    schema = Schema("rides", {}, "at", ("2026-01",), True, {"minutes": MeasureColumn("minutes", 0, large)})
    columns = "period string, unit bigint, at timestamp_ntz, minutes bigint"
    bound = _bound(schema, measures={"s": {"fn": "sum", "column": "minutes"}})
    for count, fits in ((1, True), (2, False)):
        data = [{"period": "2026-01", "unit": 1, "at": datetime(2026, 1, 1), "minutes": large}] * count
        view = place((pa.Table.from_pylist(data), columns))
        if fits:
            assert run(engine, bound, view)[()]["s"] == large
            continue
        with pytest.raises(InternalFault) as caught:
            run(engine, bound, view)
        # What Spark said stands nowhere: not where a traceback would look, not on the terminal.
        assert caught.value.__context__ is None
        assert "OVERFLOW" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    "columns",
    [
        "period string, unit bigint, at timestamp, gu string",
        "period string, unit bigint, at timestamp_ntz, gu string collate UTF8_LCASE",
        "period string, unit bigint, at timestamp_ntz, gu string, minutes double",
    ],
)
def test_a_table_with_a_type_that_no_view_has_is_not_read(
    engine: Any, place: Place, session: Any, columns: str
) -> None:
    view = place(session.createDataFrame([], columns))
    with pytest.raises(VaultDamaged), engine.reader(view):
        pass


def test_a_table_that_is_not_there_is_refused_and_its_name_is_not_told(engine: Any) -> None:
    view = View("rides-test", 1, "0" * 64, "secret_name", "0" * 64, "2026-11-23T00:00:00Z")
    with pytest.raises(VaultDamaged) as caught, engine.reader(view):
        pass
    assert caught.value.__context__ is None


def test_a_session_that_shows_counts_or_writes_rows_to_disk_is_refused(session: Any) -> None:
    from pyspark import SparkConf

    from data_access.vault.spark import SparkEngine

    class Other:
        """The real session's settings, but for one."""

        def __init__(self, master: str, **changes: str) -> None:
            self.sparkContext, self.master = self, master
            self.conf = SparkConf(loadDefaults=False).setAll(list((SETTINGS | changes).items()))

        def getConf(self) -> Any:
            return self.conf

    for master, name, value in (
        ("local[2]", "spark.ui.enabled", "true"),
        ("local[2]", "spark.eventLog.enabled", "true"),
        ("local[2]", "spark.io.encryption.enabled", "false"),
        ("spark://host:7077", "spark.authenticate", "false"),
    ):
        other: Any = Other(master, **{name: value})
        with pytest.raises(ValueError, match=re.escape(name)):
            SparkEngine(other, lambda view: view.file)


def test_a_question_answered_over_spark_is_signed_with_the_same_table(
    workspace: Workspace, session: Any, place: Place
) -> None:
    """The whole flow, price to signed bytes, over the workspace's own view in a table of Spark."""
    from data_access.vault.spark import SparkEngine

    parts = workspace.parts
    plan = {
        "dataset": "rides",
        "by": ["gu", {"fn": "hour", "column": "started_at"}],
        "measures": {"n": {"fn": "count"}, "who": {"fn": "persons"}},
    }
    read: list[str] = []

    def table_of(view: View) -> str:
        with parts.engine.reader(view) as reader:
            texts = ", ".join(f"{name}::VARCHAR AS {name}" for name in ("period", "gu", "sex"))
            rows = reader.execute(f"SELECT {texts}, unit, started_at FROM view").to_arrow_table()
        columns = "period string, gu string, sex string, unit bigint, started_at timestamp_ntz"
        read.append(f"global_temp.{place((rows, columns)).file}")
        return read[-1]

    spark = rebuilt(workspace, engine=SparkEngine(session, table_of), noise=ZeroNoise())
    assert table(spark.ask(ANN, plan)) == table(workspace.ask(ANN, plan, fresh=True))
    assert len(read) == 1
