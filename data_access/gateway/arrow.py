"""An answer's body as JSON, or on request (`Accept: application/vnd.apache.arrow.stream`) as an Arrow stream.

The stream has the table's columns; its schema's metadata has under `civic` the JSON body with an empty list of rows,
the head. Whoever puts the rows back has the very document that was signed: a column is int64, string or bool, null
where the answer has null, and where an answer mixes whole numbers with texts (a sum past 2^53), each value is its
JSON, and the field's metadata says `json`.
"""

from __future__ import annotations

import io
import json
from typing import Any, Final

from fastapi.responses import JSONResponse, Response

ARROW: Final = "application/vnd.apache.arrow.stream"


def answer_response(document: dict[str, Any], accept: str) -> Response:
    """Arrow only where it is named: a browser's `*/*` means JSON."""
    wanted = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    if ARROW in wanted:
        return Response(arrow_bytes(document), media_type=ARROW)
    return JSONResponse(document)


def arrow_bytes(document: dict[str, Any]) -> bytes:
    import pyarrow as pa  # only where somebody asks for it

    table = document["statement"]["table"]
    statement = document["statement"] | {"table": table | {"rows": []}}
    head = json.dumps(document | {"statement": statement}, ensure_ascii=False)
    fields, arrays = [], []
    for place, column in enumerate(table["columns"]):
        values = [row[place] for row in table["rows"]]
        kinds = {type(value) for value in values if value is not None}
        mixed = len(kinds) > 1
        kind = {bool: pa.bool_(), int: pa.int64()}.get(kinds.pop() if len(kinds) == 1 else str, pa.string())
        if mixed:
            values = [None if value is None else json.dumps(value, ensure_ascii=False) for value in values]
        fields.append(pa.field(column["name"], kind, metadata={"json": "1"} if mixed else None))
        arrays.append(pa.array(values, kind))
    schema = pa.schema(fields, metadata={"civic": head})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_table(pa.table(arrays, schema=schema))
    return sink.getvalue()
