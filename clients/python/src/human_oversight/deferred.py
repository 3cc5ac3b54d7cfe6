"""Results that are still to run, when no one can know any more what was approved."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any


def refuse_deferred(result: Any) -> None:
    """Ends a function's result that would run later.

    Raises:
        TypeError: if the result is a generator, or has to be awaited.
    """
    if isinstance(result, Generator | AsyncGenerator):
        kind = "a function that returns a generator"
    elif inspect.isawaitable(result):
        kind = "a function that returns what has to be awaited, unless it is a coroutine function (async def)"
    else:
        return
    if isinstance(result, Generator | Coroutine):
        result.close()
    elif isinstance(result, asyncio.Future):
        result.cancel()
    raise TypeError(f"cannot gate {kind}: it runs when no one can know any more what was approved")
