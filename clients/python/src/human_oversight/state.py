"""Finds state that a rendering would hide: the function gets the value itself, so approvers must see all of it."""

import inspect
import struct
from collections.abc import Collection
from typing import Any

_OF_TYPING = "__orig_class__"
"""What a call of a generic class, such as `Box[int](1)`, sets."""

_OF_PYDANTIC = ("__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")
_MADE_AT_RUNTIME = 1 << 9
"""`Py_TPFLAGS_HEAPTYPE`: of every class that a `class` statement makes, and of few others."""

_OF_INSTANCES = ("__dict__", "__weakref__")
_POINTER = struct.calcsize("P")

_UNSET = object()


class ParametersError(ValueError):
    """A value cannot be the parameters of a request: JSON cannot carry it, or would change it."""


def refuse(value: Any, why: str) -> ParametersError:
    return ParametersError(
        f"a value of the type {type(value).__qualname__} {why}: pass what JSON can carry, or name the argument in skip"
    )


def check_state(value: Any, of: type | None = None, but: Collection[str] = ()) -> None:
    """Checks that a value holds nothing of its own besides what the class `of` holds, and what `but` names.

    Raises:
        ParametersError: if it does.
    """
    _check_names(value, set(_read_state(value, of)) - set(but))


def read_fields(value: Any, fields: Collection[str]) -> dict[str, Any]:
    """The fields of a dataclass or a model of Pydantic, with the extra ones of the model.

    Raises:
        ParametersError: if it holds something else too, or one of the fields is not set.
    """
    state = _read_state(value, of=object)
    extra, _, private = (state.pop(name, None) for name in _OF_PYDANTIC)
    extra, private = extra or {}, private or {}
    _check_names(value, (state.keys() - set(fields)) | private.keys() | (extra.keys() & set(fields)))
    if missing := [name for name in fields if name not in state and not hasattr(type(value), name)]:
        raise refuse(value, f"has no {', '.join(missing)}, which it must have")
    return {name: state[name] if name in state else getattr(type(value), name) for name in fields} | extra


def read_set_fields(model: Any) -> frozenset[str]:
    """The fields of a model of Pydantic that do not just have their defaults: a function can leave out the others
    (`exclude_unset`)."""
    return frozenset(_read_state(model).get("__pydantic_fields_set__") or ())


def _check_names(value: Any, hidden: Collection[str]) -> None:
    if hidden:
        raise refuse(value, f"holds {', '.join(sorted(map(str, hidden)))}, which people would not be shown")


def _read_state(value: Any, of: type | None = None) -> dict[str, Any]:
    """The attributes of the value itself, by name: those of its `__dict__`, and the slots of its classes.

    Raises:
        ParametersError: if a class that is not written in Python, and may hold anything, comes before the class `of`.
    """
    state = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        if of is not None and (kind in of.__mro__ or kind.__module__.startswith("pathlib")):
            continue
        if of is not None and not _is_of_python(kind):
            raise refuse(value, f"is of the class {kind.__qualname__} too, and cannot be shown to people")
        for name, slot in vars(kind).items():
            if inspect.ismemberdescriptor(slot) and (held := _read_slot(slot, value)) is not _UNSET:
                state[name] = held
    state.pop(_OF_TYPING, None)
    return state


def _is_of_python(kind: type) -> bool:
    """Whether a class that a `class` statement may have made has no memory besides its slots, as one of an extension
    can have."""
    base = kind.__base__ or object
    slots = [name for name, it in vars(kind).items() if inspect.ismemberdescriptor(it) or name in _OF_INSTANCES]
    has_more = kind.__basicsize__ - base.__basicsize__ > len(slots) * _POINTER
    return bool(kind.__flags__ & _MADE_AT_RUNTIME) and not has_more


def _read_slot(slot: Any, value: Any) -> Any:
    try:
        return slot.__get__(value)
    except AttributeError:
        return _UNSET
