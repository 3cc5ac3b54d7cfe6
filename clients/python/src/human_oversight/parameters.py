"""The exact arguments of an action: their canonical form and its digest."""

import dataclasses
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

import rfc8785

from .state import ParametersError, check_state, read_fields, read_set_fields, refuse
from .strict_json import MAX_DEPTH, MAX_INTEGER, StrictJsonError, check


class Parameters:
    """Parameters in canonical form (RFC 8785), whose digest people approve."""

    def __init__(self, value: Any) -> None:
        """Makes a copy in plain JSON values.

        Raises:
            ParametersError: if JSON would change the value.
        """
        self._unshown: list[Any] = []
        try:
            plain = to_plain(value, self._unshown)
            if not isinstance(plain, dict):
                raise ParametersError("parameters must be a JSON object: a dict with texts as keys, or a dataclass")
            check(plain)
        except StrictJsonError as error:
            raise ParametersError(f"parameters cannot be written as JSON: {error}") from None
        self.object: dict[str, Any] = plain
        self.canonical: bytes = rfc8785.dumps(plain)
        self.digest: str = hashlib.sha256(self.canonical).hexdigest()

    def are_unchanged(self, again: "Parameters") -> bool:
        """Whether the values, read again, are the same also in what people are not shown of them."""
        return again.digest == self.digest and again._unshown == self._unshown


def to_plain(value: Any, unshown: list[Any], depth: int = 0) -> Any:
    """Copies a value to dicts, lists, texts, numbers, booleans and `None`. `unshown` gets what the copy does not say:
    classes, the order of members, zones, and which fields of a model are set.

    Dataclasses, Pydantic models (with the values of their fields, whatever their serializers make of them), enums,
    dates, times, decimals, UUIDs, URLs and paths have one form each. Everything else, such as a set, has none; nor has
    a value that holds more than its form shows.

    Raises:
        ParametersError: if JSON would change it.
    """
    if depth > MAX_DEPTH + 1:  # of a value that contains itself, too
        raise StrictJsonError(f"it has more than {MAX_DEPTH} levels below the top")
    unshown.append(type(value))
    if isinstance(value, Enum):
        return _value_of(value, unshown, depth)
    if value is None or isinstance(value, (bool, str)):
        return _plain_text(value) if isinstance(value, str) else value
    if isinstance(value, (int, float)):
        return _exact(value)
    if type(value) in (dict, OrderedDict):
        check_state(value)
        members = [(at := _name(name, unshown), _item(at, item, unshown, depth)) for name, item in value.items()]
        plain = dict(members)
        unshown.append(list(plain))
        if len(plain) != len(members):
            raise ParametersError("two keys of a value are the same name in JSON")
        return plain
    if type(value) in (list, tuple) or _is_named_tuple(value):
        check_state(value)
        return [_item(at, item, unshown, depth) for at, item in enumerate(value)]
    return to_plain(_convert(value, unshown), unshown, depth)


def _item(name: str | int, item: Any, unshown: list[Any], depth: int) -> Any:
    """Like `to_plain`, whose error begins with the JSON pointer of the value."""
    try:
        return to_plain(item, unshown, depth + 1)
    except ParametersError as error:
        at = str(name).encode(errors="replace").decode().replace("~", "~0").replace("/", "~1")
        raise ParametersError(f"/{at}{'' if str(error)[0] == '/' else ': '}{error}") from None


def _convert(value: Any, unshown: list[Any]) -> Any:
    for kind, write in _WRITTEN.items():
        if isinstance(value, kind):
            check_state(value, of=kind)
            if kind in (datetime, time):
                unshown.append(kind.tzinfo.__get__(value))
            return write(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return read_fields(value, [field.name for field in dataclasses.fields(value)])
    if _is_of(value, "pydantic") and callable(getattr(value, "unicode_string", None)):  # a URL
        check_state(value, but=("_url",))
        return str(value)
    if isinstance(fields := getattr(type(value), "model_fields", None), dict):  # a model of Pydantic
        members = read_fields(value, fields)
        unshown.append(read_set_fields(value))
        return members["root"] if getattr(value, "__pydantic_root_model__", False) else members
    raise refuse(value, "cannot be shown to people")


def _clock(kind: Any) -> Callable[[Any], str]:
    """How a `datetime` or a `time` is written. The text has an offset from UTC, or none: it names no zone, and does not
    say which of two equal times of the night in which clocks are set back (`fold`)."""

    def write(value: Any) -> str:
        if kind.utcoffset(value) is None and (kind.tzinfo.__get__(value) is not None or kind.fold.__get__(value)):
            raise refuse(value, "has a zone or a fold without an offset from UTC, which people would not be shown")
        return str(kind.isoformat(value))

    return write


_WRITTEN: dict[type, Callable[[Any], str]] = {
    datetime: _clock(datetime),  # first, for it is a date too
    date: date.isoformat,
    time: _clock(time),
    Decimal: Decimal.__str__,
    UUID: UUID.__str__,
    PurePath: PurePath.__str__,
}
"""What is written as a text: as its base class writes it, also where a class of its own would write another one."""


_OF_ENUM = ("__objclass__", "_inverted_", "_name_", "_sort_order_", "_value_")
"""What the module `enum` sets on each member."""


def _value_of(member: Enum, unshown: list[Any], depth: int) -> Any:
    """The value of a member, in plain values. A member that is a text or a number itself could be another one."""
    check_state(member, but=_OF_ENUM)
    plain = to_plain(member.value, unshown, depth)
    for kind in (str, int, float):
        if isinstance(member, kind) and getattr(kind, f"__{kind.__name__}__")(member) != plain:
            raise refuse(member, "is another value than the one of its enum, which people would be shown")
    return plain


def _is_named_tuple(value: Any) -> bool:
    """A class of its own could read its items otherwise."""
    kind = type(value)
    return isinstance(value, tuple) and hasattr(kind, "_fields") and kind.__iter__ is tuple.__iter__


def _exact(number: int | float) -> int | float:
    check_state(number)
    # A class of its own can pose as another number.
    number = float.__float__(number) if isinstance(number, float) else int.__int__(number)
    if isinstance(number, float) and not math.isfinite(number):
        raise ParametersError(f"{number} is not a number in JSON: send it as a string")
    # A float beyond it is whole.
    if abs(number) > MAX_INTEGER:
        raise ParametersError(f"{number} is beyond ±(2^53 - 1): send it as a string")
    if number == 0 and math.copysign(1, number) < 0:
        raise ParametersError("-0.0 would be shown as 0: send 0, or a string")
    return number


def _plain_text(text: str) -> str:
    """The text itself, also where its class would write another one."""
    check_state(text)
    return str.__str__(text)


def _is_of(value: Any, package: str) -> bool:
    return type(value).__module__.partition(".")[0] in (package, f"{package}_core")


def _name(name: Any, unshown: list[Any]) -> str:
    unshown.append(type(name))
    if isinstance(name, Enum):
        name = _value_of(name, unshown, depth=0)
    if not isinstance(name, str):
        raise ParametersError(f"a key of the type {type(name).__qualname__} is no name in JSON: use texts")
    return _plain_text(name)


__all__ = ["Parameters", "ParametersError", "to_plain"]
