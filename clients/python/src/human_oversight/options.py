"""Checks of settings, for programs without types."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any


def to_list(name: str, values: Iterable[str]) -> list[str]:
    """A copy of the list.

    Raises:
        TypeError: if it is no list of texts.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} must be a list, not one text")
    listed = list(values)
    if not all(isinstance(value, str) for value in listed):
        raise TypeError(f"{name} must be a list of texts")
    return listed


def check_seconds(name: str, seconds: Any) -> None:
    """Raises:
    TypeError: if they are given, and are no seconds, or fewer than none.
    """
    if seconds is not None and not (isinstance(seconds, int | float) and seconds >= 0):
        raise TypeError(f"{name} must be seconds, and not negative")


def check_texts(**texts: Any) -> None:
    """Raises:
    TypeError: if one is given, and is none.
    """
    for name, text in texts.items():
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{name} must be a text")


def check_callback(callback: Any) -> None:
    """Raises:
    TypeError: if it is given, and neither names a channel nor has the members of one that does.
    """
    members = list(callback.items()) if isinstance(callback, Mapping) else [("channel", callback)]
    if callback is not None and not all(isinstance(it, str) for member in members for it in member):
        raise TypeError("callback must be a text, or a dict of texts")


def check_on_pending(on_pending: Any) -> None:
    """Raises:
    TypeError: if it is given, and is no function, or an asynchronous one.
    """
    if on_pending is not None and not callable(on_pending):
        raise TypeError("on_pending must be a function")
    if inspect.iscoroutinefunction(on_pending):
        raise TypeError("on_pending must not be asynchronous")
