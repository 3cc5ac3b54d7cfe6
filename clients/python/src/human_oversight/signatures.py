"""What a call runs, with the arguments that are bound to it.

`inspect.signature` omits them, and trusts `__wrapped__` and `__signature__`.
"""

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Runs:
    """A signature, the function of which it is, and the arguments that are bound to it."""

    function: Any
    signature: inspect.Signature
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    is_annotated: bool = True
    """Whether the annotations of the function are of this signature."""

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """All arguments of a call, by name and with defaults.

        Raises:
            TypeError: if these are no arguments of the function.
        """
        bound = self.signature.bind(*self.args, *args, **{**self.kwargs, **kwargs})
        bound.apply_defaults()
        return bound.arguments


def what_runs(function: Callable[..., Any]) -> Runs:
    """What a call of the function runs now: defaults, for example, can be replaced later.

    Raises:
        TypeError: if that cannot be known.
    """
    if isinstance(function, functools.partial) and type(function).__call__ is functools.partial.__call__:
        return _of_partial(function)
    if isinstance(function, types.MethodType):
        return _of_method(function)
    for name in ("__partialmethod__", "_partialmethod"):
        if isinstance(getattr(function, name, None), functools.partialmethod):
            raise TypeError("approval_gate cannot see what a partialmethod binds: gate it as a method of an object")
    if isinstance(getattr(function, "registry", None), types.MappingProxyType):
        raise TypeError("approval_gate cannot know which function a singledispatch runs: gate a function that calls it")
    code, declared = _of_code(function), _declared(function)
    if declared and code is None:
        return declared
    if declared and code and _passes_on(code, declared):
        return _with_own(code, declared)
    if code is None:
        raise TypeError(f"approval_gate cannot know the arguments of {function!r}: gate a function that calls it")
    return code


def _of_partial(partial: "functools.partial[Any]") -> Runs:
    if any(it is getattr(functools, "Placeholder", inspect) for it in partial.args):
        raise TypeError("approval_gate cannot gate a partial with a placeholder: bind the argument by its name")
    inner = what_runs(partial.func)
    kwargs = {**inner.kwargs, **partial.keywords}
    return Runs(inner.function, inner.signature, (*inner.args, *partial.args), kwargs, inner.is_annotated)


def _of_method(method: types.MethodType) -> Runs:
    """A method without its object, or a function with what else is bound in the place of one."""
    inner, bound = what_runs(method.__func__), method.__self__
    kinds = type(bound).__mro__ + (bound.__mro__ if isinstance(bound, type) else ())
    members = (getattr(member, "__func__", member) for kind in kinds for member in vars(kind).values())
    args, signature = inner.args, inner.signature
    if args or not any(member is method.__func__ for member in members):
        args = (*args, bound)
    else:
        parameters = list(signature.parameters.values())
        skipped = 1 if parameters and parameters[0].kind in _POSITIONAL else 0
        signature = signature.replace(parameters=parameters[skipped:])
    return Runs(inner.function, signature, args, inner.kwargs, inner.is_annotated)


def _of_code(function: Any) -> Runs | None:
    """What the function's own code takes, unless it has none, as one of C."""
    if isinstance(function, types.FunctionType):
        code = types.FunctionType(function.__code__, {}, "", function.__defaults__, function.__closure__)
        code.__kwdefaults__ = function.__kwdefaults__
        return Runs(function, inspect.signature(code), is_annotated=not hasattr(function, "__wrapped__"))
    call = inspect.getattr_static(type(function), "__call__", None)
    if hasattr(call, "__get__"):
        call = call.__get__(function, type(function))
    return what_runs(call) if isinstance(call, types.FunctionType | types.MethodType | functools.partial) else None


def _declared(function: Any) -> Runs | None:
    """What the function says that it takes, or what that takes of which it is a wrapper."""
    wrapped = getattr(function, "__wrapped__", None)
    # `functools.wraps` copies a `__signature__` too.
    if wrapped is not None and _signature(function) is _signature(wrapped):
        return what_runs(wrapped)
    try:
        return Runs(function, inspect.signature(function))
    except ValueError:
        return None


def _signature(function: Any) -> Any:
    return getattr(function, "__signature__", None)


def _passes_on(code: Runs, declared: Runs) -> bool:
    """Whether what the code takes by name is taken under the same name, with the same default, by what is declared."""
    own, theirs = _named(code), _named(declared)
    if declared.args or declared.kwargs:
        return not own
    placed, places = ([it for it in some if it.kind in _POSITIONAL] for some in (own, theirs))
    if placed and placed[0].default is inspect.Parameter.empty and places and places[0].name in ("self", "cls"):
        placed, places = placed[1:], places[1:]
    by_name = {it.name: it for it in theirs}
    keyed = [it for it in own if it.kind is inspect.Parameter.KEYWORD_ONLY]
    pairs = [*zip(placed, places, strict=False), *((it, by_name[it.name]) for it in keyed if it.name in by_name)]
    takes_more = any(it.kind in _VARIABLE for it in code.signature.parameters.values())
    return (
        len(placed) <= len(places)
        and (takes_more or len(own) == len(theirs))
        and all((one.name, one.default) == (other.name, other.default) for one, other in pairs)
    )


def _with_own(code: Runs, declared: Runs) -> Runs:
    """What is declared, with what only the wrapper itself takes by name."""
    parameters = list(declared.signature.parameters.values())
    own = [it for it in _named(code) if it.kind is inspect.Parameter.KEYWORD_ONLY]
    own = [it for it in own if it.name not in declared.signature.parameters]
    end = len(parameters) - any(it.kind is inspect.Parameter.VAR_KEYWORD for it in parameters)
    signature = declared.signature.replace(parameters=[*parameters[:end], *own, *parameters[end:]])
    return replace(declared, signature=signature)


def _named(runs: Runs) -> list[inspect.Parameter]:
    return [it for it in runs.signature.parameters.values() if it.kind not in _VARIABLE]
