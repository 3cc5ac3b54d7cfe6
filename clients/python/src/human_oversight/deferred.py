"""Results that are still to run, when no one can know any more what was approved."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any

_CONTAINERS: tuple[Any, ...] = (
    [],
    (),
    {},
    {}.values(),
    {}.items(),
    set(),
    "",
    b"",
    bytearray(),
    range(0),
    range(2**65),
)
_OF_CONTAINERS = tuple({type(iter(it)) for it in _CONTAINERS} | {type(reversed(it)) for it in _CONTAINERS[:5]})
"""The iterators that compute nothing: their items are there."""


def refuse_deferred(result: Any) -> None:
    """Ends a function's result that would run later.

    Raises:
        TypeError: if the result is a generator or another iterator that computes its items, or has to be awaited.
    """
    if isinstance(result, Generator | AsyncGenerator):
        kind = "a function that returns a generator"
    elif _is_lazy(result):
        kind = "a function that returns an iterator, unless it makes a list of it"
    elif inspect.isawaitable(result):
        kind = "a function that returns what has to be awaited, unless it is a coroutine function (async def)"
    else:
        return
    if isinstance(result, Generator | Coroutine):
        result.close()
    elif isinstance(result, asyncio.Future):
        result.cancel()
    raise TypeError(f"cannot gate {kind}: it runs when no one can know any more what was approved")


def _is_lazy(result: Any) -> bool:
    """Whether it is an iterator such as `map`. What can be closed, such as a file or a cursor, is open by then: it is
    a result."""
    kind = type(result)
    is_iterator = hasattr(kind, "__next__") or hasattr(kind, "__anext__")
    return is_iterator and not hasattr(kind, "close") and not isinstance(result, _OF_CONTAINERS)
