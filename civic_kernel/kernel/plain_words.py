"""One plain sentence above the traceback of the commonest Python errors.

For people who do not program: a traceback's last line is English and speaks of types. The traceback stays, since
the one who helps needs it.
"""

from __future__ import annotations

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


def explain_errors(shell: InteractiveShell, language: Language) -> None:
    """From now on `shell` puts the sentence above each traceback that has one."""
    # IPython has no hook before the traceback; `set_custom_exc` would replace it.
    show: Any = shell._showtraceback

    def show_with_sentence(kind: Any, error: Any, lines: list[str]) -> None:
        sentence = sentence_for(error, language) if isinstance(error, BaseException) else None
        show(kind, error, [f"\x1b[1m{sentence}\x1b[0m\n", *lines] if sentence else lines)

    setattr(shell, "_showtraceback", show_with_sentence)  # noqa: B010
