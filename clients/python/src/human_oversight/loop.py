"""The event loop of the client, on a thread of its own.

All calls to the gate run there. So gated functions work in any thread and under any event loop, or none, and a
caller that blocks holds up no call but its own.
"""

import asyncio
import atexit
import concurrent.futures
import concurrent.futures.thread  # first, so that its hook at the end of the program runs last
import os
import threading
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.RLock()  # a finalizer may interrupt its holder
_loop: asyncio.AbstractEventLoop | None = None
_thread: threading.Thread | None = None
_background: set[concurrent.futures.Future[Any]] = set()

_EXIT_SECONDS = 5


def get() -> asyncio.AbstractEventLoop:
    """The loop, which is started at first use."""
    global _loop, _thread
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            _thread = threading.Thread(target=_run, args=[_loop, os.getpid()], name="human-oversight", daemon=True)
            _thread.start()
        return _loop


def _run(running: asyncio.AbstractEventLoop, process: int) -> None:
    """Runs the loop also after a callback that exits: its call ends so, and no other."""
    while True:
        try:
            running.run_forever()
        except BaseException:
            if os.getpid() != process:  # a fork, where this thread is the only one
                raise


def wait(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` and blocks this thread. An interrupt cancels the work."""
    if threading.current_thread() is _thread:
        work.close()
        raise RuntimeError("a callback of the client must not wait for the gate")
    future = asyncio.run_coroutine_threadsafe(work, get())
    try:
        return future.result()
    except BaseException:
        _cancel(future, work)
        raise


async def join(work: Coroutine[Any, Any, T]) -> T:
    """Runs `work` and awaits it. Cancelling the caller cancels the work."""
    future = asyncio.run_coroutine_threadsafe(work, get())
    try:
        return await asyncio.wrap_future(future)
    except BaseException:
        _cancel(future, work)
        raise


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """Awaits `work`, and cancels it when the seconds have passed. `asyncio.wait_for` forgets, before Python 3.12, a
    cancellation that comes with the result.

    Raises:
        asyncio.TimeoutError: if it took longer.
    """
    task = asyncio.ensure_future(work)
    try:
        if not (await asyncio.wait([task], timeout=seconds))[0]:
            raise asyncio.TimeoutError
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


def _cancel(future: "concurrent.futures.Future[T]", work: Coroutine[Any, Any, T]) -> None:
    """Cancels `work`, unless it is done. Its future ends at once, and the work, which may spawn a withdrawal, later."""
    if future.cancel():
        spawn(_ended(work))


async def _ended(work: Coroutine[Any, Any, T]) -> None:
    if tasks := [task for task in asyncio.all_tasks() if task.get_coro() is work]:
        await asyncio.wait(tasks)


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Awaits `work` on this loop, where it goes on in the background if the caller is cancelled."""
    future = asyncio.wrap_future(spawn(work))
    future.add_done_callback(lambda it: it.cancelled() or it.exception())  # which a cancelled caller does not read
    await asyncio.wait([future])
    return future.result()


def spawn(work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
    """Runs `work` in the background; `flush` waits for it."""
    future = asyncio.run_coroutine_threadsafe(work, get())
    _background.add(future)
    future.add_done_callback(_background.discard)
    return future


def flush(timeout: float | None = None) -> bool:
    """Waits for what runs in the background: withdrawals, and reports of actions that were given up.

    A program that ends waits for five seconds by itself. Returns whether all is done.
    """
    ends = None if timeout is None else time.monotonic() + timeout
    while pending := list(_background):  # what ends may have spawned more
        left = None if ends is None else max(0, ends - time.monotonic())
        if concurrent.futures.wait(pending, left).not_done:
            return False
        _background.difference_update(pending)
    return True


def _forget() -> None:
    """The threads of a process do not live in its fork."""
    global _lock, _loop, _thread
    _lock = threading.RLock()
    _loop = _thread = None
    _background.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
# Before the interpreter ends the threads that look up addresses, which it does before `atexit`.
getattr(threading, "_register_atexit", atexit.register)(flush, _EXIT_SECONDS)
