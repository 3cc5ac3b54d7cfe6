"""The arguments that a function tool gets, before anyone is asked."""

import inspect
import json
from collections.abc import Callable
from typing import Any

from agents import FunctionTool, ModelBehaviorError
from agents.function_schema import function_schema

from human_oversight.strict_json import StrictJsonError, loads

from .arguments import made, read_twice
from .json_schema import by_schema, refuse_unknown


def reader(tool: FunctionTool) -> Callable[[str], tuple[str, dict[str, Any]]]:
    """Reads a call: the JSON that the tool is to get, and what people are shown of it.

    It raises a `ModelBehaviorError`, as the tool itself does, if the call is invalid.
    """
    function = getattr(tool, "__wrapped__", None)  # none of a tool that has only a JSON schema
    model = None if function is None else _model(tool, function)

    def read(text: str) -> tuple[str, dict[str, Any]]:
        try:
            given = loads(text or "{}")
            if not isinstance(given, dict):
                raise ValueError("they are no object")
            if model is None:
                arguments = by_schema(tool.params_json_schema, given)
                return json.dumps(arguments), arguments
            refuse_unknown(tool.params_json_schema, given)
            return text, read_twice(lambda: _validated(model, given))
        except (TypeError, ValueError, StrictJsonError) as error:
            raise ModelBehaviorError(f"Invalid JSON input for tool {tool.name}: {error}") from None

    return read


def _model(tool: FunctionTool, function: Any) -> Any:
    """The model of Pydantic by which the tool validates."""
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = function.__call__
    schema = function_schema(function, name_override=tool.name, strict_json_schema=tool.strict_json_schema)
    return schema.params_pydantic_model


def _validated(model: Any, given: dict[str, Any]) -> dict[str, Any]:
    """The values, without those that a factory makes."""
    left_out = made(model, given)
    return {name: it for name, it in vars(model(**given)).items() if name not in left_out}
