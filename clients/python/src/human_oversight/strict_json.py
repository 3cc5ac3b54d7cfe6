"""JSON without ambiguity: what every parser reads as the same value (see the project's `conformance/`)."""

import json
from decimal import Decimal, DecimalException
from typing import Any, NoReturn

MAX_INTEGER = 2**53 - 1
"""The largest whole number that every parser keeps."""

MAX_DEPTH = 64
"""The levels of nesting below the top."""

RESERVED_NAME = "$serde_json::private::"
"""The gate's parser reads members with such a name as something else."""


class StrictJsonError(ValueError):
    """A text is not JSON, or parsers may read it as different values."""


def loads(text: str | bytes) -> Any:
    """Parses a text that has exactly one reading.

    Raises:
        StrictJsonError: if it has none, or several.
    """
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        value = json.loads(
            decoded,
            object_pairs_hook=_object,
            parse_int=_number,
            parse_float=_number,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise StrictJsonError("it is nested too deep") from None
    except UnicodeDecodeError:
        raise StrictJsonError("it is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise StrictJsonError(f"it is not JSON: {error}") from None
    check(value)
    return value


def check(value: Any, depth: int = 0) -> None:
    """Checks texts, names and nesting of a plain value.

    Raises:
        StrictJsonError: if JSON cannot carry it.
    """
    if depth > MAX_DEPTH:
        raise StrictJsonError(f"it has more than {MAX_DEPTH} levels below the top")
    if isinstance(value, str):
        _check_unicode(value)
    if not isinstance(value, (dict, list)):
        return
    for item in value.values() if isinstance(value, dict) else value:
        check(item, depth + 1)
    for name in value if isinstance(value, dict) else ():
        _check_unicode(name)
        if name.startswith(RESERVED_NAME):
            raise StrictJsonError(f"a member's name begins with {RESERVED_NAME}")


def _check_unicode(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise StrictJsonError("a text has half of a surrogate pair")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJsonError("an object has a name twice")
    return members


def _number(text: str) -> int | float:
    nearest = float(text)
    try:
        is_exact = Decimal(text) == Decimal(repr(nearest))
    except DecimalException:  # an exponent of more than 18 digits
        is_exact = False
    if not is_exact or (nearest.is_integer() and abs(nearest) > MAX_INTEGER):
        raise StrictJsonError(f"the number {text[:40]} would change: send it as a string")
    is_whole = text.lstrip("-").isdigit() or nearest == 0  # -0 is 0 in canonical JSON
    return int(nearest) if is_whole else nearest


def _refuse_constant(text: str) -> NoReturn:
    raise StrictJsonError(f"{text} is not JSON")
