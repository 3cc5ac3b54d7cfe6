"""The arguments that a function tool gets, before anyone is asked."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

from agents import FunctionTool, ModelBehaviorError
from agents.function_schema import FuncSchema, function_schema

from human_oversight.strict_json import StrictJsonError, loads

from .arguments import made, read_twice
from .json_schema import check, refuse_unknown

Got = tuple[list[Any], dict[str, Any]]


def reader(tool: FunctionTool) -> Callable[[str], tuple[Got | None, dict[str, Any]]]:
    """Reads a call: what the tool's function gets, if the tool is one of a function, and what people are shown of it.

    It raises a `ModelBehaviorError`, as the tool itself does, if the call is invalid.
    """
    function = getattr(tool, "__wrapped__", None)  # none of a tool that has only a JSON schema
    schema = None if function is None else _schema(tool, function)

    def read(text: str) -> tuple[Got | None, dict[str, Any]]:
        try:
            given = loads(text or "{}")
            if not isinstance(given, dict):
                raise ValueError("they are no object")
            if schema is None:
                check(tool.params_json_schema, given)
                return None, given
            refuse_unknown(tool.params_json_schema, given)
            return read_twice(lambda: _validated(schema, copy.deepcopy(given)))
        except (TypeError, ValueError, StrictJsonError) as error:
            raise ModelBehaviorError(f"Invalid JSON input for tool {tool.name}: {error}") from None

    return read


def _schema(tool: FunctionTool, function: Any) -> FuncSchema:
    """The schema of the function, by which the tool validates."""
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = function.__call__
    return function_schema(function, name_override=tool.name, strict_json_schema=tool.strict_json_schema)


def _validated(schema: FuncSchema, given: dict[str, Any]) -> tuple[Got, dict[str, Any]]:
    """The values, and those that no factory makes."""
    model = schema.params_pydantic_model(**given)
    left_out = made(model)
    return schema.to_call_args(model), {name: it for name, it in vars(model).items() if name not in left_out}
