"""What a gated function gets is what people are shown, also where it is bound to it, or a signature says otherwise."""

import functools
import inspect
import types
from collections.abc import Callable
from typing import Any

import pytest

from human_oversight import Reason, approval_gate
from human_oversight.mock import MockGate

gated = approval_gate("UserManagerAgent", "Delete User Account")


@pytest.fixture
def mock() -> Any:
    mock = MockGate()
    with mock.gate.scope():
        yield mock


def delete(user_id: str, force: bool = False, *others: str, days: int = 1) -> Any:
    return {"user_id": user_id, "force": force, "others": list(others), "days": days}


class Users:
    delete = delete

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def drop(self, user_id: str, force: bool = False) -> Any:
        return {"user_id": user_id, "force": force}

    @classmethod
    def purge(cls, user_id: str, force: bool = False) -> Any:
        return {"user_id": user_id, "force": force}

    def __call__(this, user_id: str) -> Any:  # noqa: N805
        return {"user_id": user_id}

    bound = functools.partialmethod(drop, "1")


class Later(functools.partial[Any]):
    def __call__(self, user_id: str) -> Any:
        return {"user_id": user_id}


class Wrapper:
    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)  # type: ignore[attr-defined]


def passing(function: Callable[..., Any]) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def named(partial: Any) -> Any:
    functools.update_wrapper(partial, delete)
    return partial


PARTIALS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "positional": (functools.partial(delete, "1"), ()),
    "positional and more": (functools.partial(delete, "1"), (True, "2")),
    "keyword": (functools.partial(delete, user_id="1", days=9), ()),
    "nested": (functools.partial(named(functools.partial(delete, "1", days=9)), True, "2"), ("3",)),
    "named after its function": (named(functools.partial(delete, "1")), ()),
    "behind a wrapper": (passing(functools.partial(delete, "1")), (True,)),
    "of a wrapper": (functools.partial(passing(delete), "1"), (True,)),
    "of a method": (functools.partial(Users("x").drop, "1"), ()),
    "partialmethod": (Users("x").bound, ()),
    "of a class that runs something else": (Later(delete, "2"), ("1",)),
}


@pytest.mark.parametrize("name", PARTIALS)
def test_what_a_partial_binds_is_shown(mock: MockGate, name: str) -> None:
    function, args = PARTIALS[name]
    result = gated(function)(*args)
    assert result["user_id"] == "1"
    assert mock.requests[0]["parameters"] == result


def test_what_a_partial_binds_is_skipped_by_its_name(mock: MockGate) -> None:
    def delete(connection: object, user_id: str) -> str:
        return user_id

    function = functools.partial(delete, object())
    assert gated(function)("1").refused.reason is Reason.INVALID
    assert mock.requests == []
    assert approval_gate("A", "B", skip=["connection"])(function)("1") == "1"
    assert mock.requests[0]["parameters"] == {"user_id": "1"}
    with pytest.raises(TypeError, match="skip names nothing"):
        approval_gate("A", "B", skip=["nothing"])(function)


METHODS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "of an object": (Users("x").drop, ("1",)),
    "of a class": (Users.purge, ("1",)),
    "callable": (Users("x"), ("1",)),
    "behind a wrapper": (passing(Users("x").drop), ("1",)),
    "of data": (types.MethodType(delete, "1"), ()),
    "of data in a partial": (functools.partial(types.MethodType(delete, "1"), True), ("2",)),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_shown_without_its_object_and_with_other_data(mock: MockGate, name: str) -> None:
    function, args = METHODS[name]
    result = gated(function)(*args)
    assert result["user_id"] == "1"
    assert mock.requests[0]["parameters"] == result


def other_default(user_id: str, force: bool = True) -> Any:
    return {"user_id": user_id, "force": force}


def swapped(force: bool, user_id: str) -> Any:
    return {"user_id": user_id, "force": force}


def keyed(user_id: str, *, force: bool = True, **_: Any) -> Any:
    return {"user_id": user_id, "force": force, "_": {}}


@pytest.mark.parametrize("function", [other_default, swapped, keyed], ids=lambda it: it.__name__)
@pytest.mark.parametrize("says", ["wrapper", "signature", "object"])
def test_a_signature_is_not_believed_against_the_code(mock: MockGate, says: str, function: Any) -> None:
    def like(user_id: str, force: bool = False) -> Any:
        raise AssertionError("it ran")

    copy = types.FunctionType(function.__code__, globals(), argdefs=function.__defaults__)
    copy.__kwdefaults__ = function.__kwdefaults__
    if says == "wrapper":
        functools.update_wrapper(copy, like)
    else:
        copy.__signature__ = inspect.signature(like)  # type: ignore[attr-defined]
    args = ("1", True) if function is swapped else ("1",)
    result = gated(Wrapper(copy) if says == "object" else copy)(*args)
    assert mock.requests[0]["parameters"] == result


def test_a_wrapper_that_passes_on_what_it_gets_is_shown_as_what_it_wraps(mock: MockGate) -> None:
    class Users:
        @gated
        @passing
        def drop(self, user_id: str, force: bool = False) -> Any:
            return {"user_id": user_id, "force": force}

        def _first(method: Any) -> Any:  # type: ignore[misc]  # noqa: N805
            @functools.wraps(method)
            def wrapper(instance: Any, *args: Any, **kwargs: Any) -> Any:
                return method(instance, *args, **kwargs)

            return wrapper

        @gated
        @_first
        def purge(self, user_id: str, force: bool = False) -> Any:
            return {"user_id": user_id, "force": force}

    cached = functools.lru_cache(passing(lambda user_id, force=False: {"user_id": user_id, "force": force}))
    for call in (Users().drop, Users().purge, gated(cached), gated(Wrapper(Users.drop.__wrapped__.__get__(Users())))):
        assert call("1") == {"user_id": "1", "force": False}
        assert mock.requests[-1]["parameters"] == {"user_id": "1", "force": False}


def test_what_a_wrapper_itself_takes_is_shown_beside_what_it_passes_on(mock: MockGate) -> None:
    def drop(user_id: str, force: bool = False, **more: str) -> Any:
        return {"user_id": user_id, "force": force, **more}

    @gated
    @functools.wraps(drop)
    def retried(*args: Any, retries: int = 3, **kwargs: Any) -> Any:
        return drop(*args, **kwargs)

    assert retried("1") == {"user_id": "1", "force": False}
    assert mock.requests[-1]["parameters"] == {"user_id": "1", "force": False, "retries": 3, "more": {}}
    assert retried("1", force=True, retries=5, to="2") == {"user_id": "1", "force": True, "to": "2"}
    assert mock.requests[-1]["parameters"] == {"user_id": "1", "force": True, "retries": 5, "more": {"to": "2"}}


@pytest.mark.parametrize(
    "function",
    [Users.bound, functools.singledispatch(delete), passing(functools.singledispatch(delete)), max],
    ids=["partialmethod", "singledispatch", "singledispatch behind a wrapper", "of C"],
)
def test_what_cannot_be_known_is_refused_at_once(function: Any) -> None:
    with pytest.raises(TypeError, match="approval_gate cannot"):
        gated(function)
