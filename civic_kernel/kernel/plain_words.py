"""One plain sentence above the traceback of the commonest Python errors.

For people who do not program: a traceback's last line is English and speaks of types. The traceback stays, since
the one who helps needs it; of a recursion without end its two ends.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from civic_kernel.texts import Language, text

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

#: Error → key of its sentence; the first class that fits, so children stand before their parents.
SENTENCES: dict[type[BaseException], str] = {
    IndentationError: "indentation",
    SyntaxError: "syntax",
    NameError: "name",
    ModuleNotFoundError: "module",
    ImportError: "import",
    FileNotFoundError: "file",
    ZeroDivisionError: "zero",
    KeyError: "key",
    IndexError: "index",
    AttributeError: "attribute",
    MemoryError: "memory",
    RecursionError: "recursion",
    UnicodeDecodeError: "encoding",
    TypeError: "type",
    ValueError: "value",
}


def sentence_for(error: BaseException, language: Language) -> str | None:
    """What happened and what to try, in the person's language; None for an error that has no sentence."""
    key = next((key for kind, key in SENTENCES.items() if isinstance(error, kind)), None)
    return text(language, "kernel", f"error.{key}", **_facts(error)) if key else None


def _facts(error: BaseException) -> dict[str, object]:
    match error:
        case SyntaxError():
            return {"line": error.lineno or 1}
        case NameError() | ImportError() | AttributeError():
            return {"name": getattr(error, "name", None) or "?"}
        case KeyError():
            return {"name": error.args[0] if error.args else "?"}
        case FileNotFoundError():
            return {"name": error.filename or "?"}
        case _:
            return {}


#: Frames shown at each end of a recursion.
_SHOWN = 8


def _ends(traceback: TracebackType) -> TracebackType:
    """Without its middle. IPython shows a thousand like frames as one, but only after it has looked for each in all
    modules: four seconds in a kernel that has thousands of them."""
    chain: list[TracebackType] = []
    at: TracebackType | None = traceback
    while at is not None:
        chain.append(at)
        at = at.tb_next
    if len(chain) <= 2 * _SHOWN:
        return traceback
    last: TracebackType | None = chain[-_SHOWN]
    for one in reversed(chain[:_SHOWN]):
        last = TracebackType(last, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return last or traceback


def explain_errors(shell: InteractiveShell, language: Language) -> None:
    """From now on `shell` puts the sentence above each traceback that has one."""
    # IPython has no hook before the traceback; `set_custom_exc` would replace it.
    show: Any = shell._showtraceback

    def show_with_sentence(kind: Any, error: Any, lines: list[str]) -> None:
        sentence = sentence_for(error, language) if isinstance(error, BaseException) else None
        show(kind, error, [f"\x1b[1m{sentence}\x1b[0m\n", *lines] if sentence else lines)

    setattr(shell, "_showtraceback", show_with_sentence)  # noqa: B010
    formatter: Any = shell.InteractiveTB
    whole = formatter.structured_traceback

    def structured(kind: Any, error: Any, traceback: Any = None, *rest: Any, **more: Any) -> Any:
        if isinstance(error, RecursionError) and isinstance(traceback, TracebackType):
            traceback = _ends(traceback)
        return whole(kind, error, traceback, *rest, **more)

    formatter.structured_traceback = structured
