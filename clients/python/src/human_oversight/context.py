"""What belongs to a call: the framework's name for it, and the proof that it may run."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .handle import to_correlation_id
from .proof import Proof

_tool_call: ContextVar[str | None] = ContextVar("human_oversight_tool_call", default=None)
_proof: ContextVar[Proof | None] = ContextVar("human_oversight_proof", default=None)


@contextmanager
def tool_call(*names: str) -> Iterator[None]:
    """Names the requests of gated functions that are called within after a tool call of the model.

    The same call again is the same request, and asks no one again. So two gated functions in one tool call, one beside
    the other, need a `correlation_id` each; a gated function that another one calls has a name of its own. Ids of tool
    calls are not unique everywhere: name the run, or the thread of the conversation, too. If the last name is empty, as
    with servers of models that give calls no ids, each gated call within is a request of its own.

        with tool_call(run_id, call_id):
            delete_user("1")
    """
    token = _tool_call.set(to_correlation_id(*names))
    try:
        yield
    finally:
        _tool_call.reset(token)


def current_correlation_id() -> str | None:
    return _tool_call.get()


def current_proof() -> Proof | None:
    """Receipt and permit of the gated function that is running, for a service that demands them."""
    return _proof.get()


@contextmanager
def proof_scope(proof: Proof) -> Iterator[None]:
    """While a gated function runs. The name of the tool call is that of its request, and of no other within."""
    token, named = _proof.set(proof), _tool_call.set(None)
    try:
        yield
    finally:
        _tool_call.reset(named)
        _proof.reset(token)
