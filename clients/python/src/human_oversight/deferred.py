"""Results that are still to run, when no one can know any more what was approved."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Coroutine, Generator, Iterable
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


_MANAGERS = (contextlib._GeneratorContextManager, contextlib._AsyncGeneratorContextManager)
"""The context managers of `contextlib`, whose bodies are generators."""


def refuse_deferred(result: Any) -> None:
    """Ends a function's result that would run later, also where a list, a tuple or a dict holds it.

    Raises:
        TypeError: if the result is a generator or another iterator that computes its items, a context manager made of
            a generator, or has to be awaited.
    """
    held = (result, *_items(result))
    # Few types, also where there are many items.
    kinds = {kind: what for kind in set(map(type, held)) if (what := _describe(kind))}
    deferred = [it for it in held if type(it) in kinds] if kinds else []
    if not deferred:
        return
    for it in deferred:
        _end(it)
    what = kinds[type(deferred[0])]
    within = "" if deferred[0] is result else f", in a {type(result).__name__}"
    raise TypeError(
        f"cannot gate a function that returns {what}{within}: it runs when no one can know any more what was approved"
    )


def _items(result: Any) -> Iterable[Any]:
    if isinstance(result, dict):
        return dict.values(result)
    return tuple(result) if isinstance(result, list | tuple) else ()


def _describe(kind: type) -> str | None:
    """What a value of this type is, if it would run later."""
    if issubclass(kind, Generator | AsyncGenerator):
        return "a generator"
    if issubclass(kind, _MANAGERS):
        return "a context manager made of a generator"
    if _is_lazy(kind):
        return "an iterator, unless it makes a list of it"
    if issubclass(kind, Awaitable):
        return "what has to be awaited, unless it is a coroutine function (async def)"
    return None


def _is_lazy(kind: type) -> bool:
    """Whether it is an iterator such as `map`. What can be closed, such as a file or a cursor, is open by then: it is
    a result."""
    is_iterator = hasattr(kind, "__next__") or hasattr(kind, "__anext__")
    return is_iterator and not hasattr(kind, "close") and not issubclass(kind, _OF_CONTAINERS)


def _end(deferred: Any) -> None:
    if isinstance(deferred, contextlib._GeneratorContextManager):
        deferred = deferred.gen
    if isinstance(deferred, Generator | Coroutine):
        deferred.close()
    elif isinstance(deferred, asyncio.Future):
        deferred.cancel()
