"""Arguments that have the names of LangChain's managers of callbacks."""

from typing import Any

from langchain_core.tools import FILTERED_ARGS
from langchain_core.utils.pydantic import get_fields


def refuse_managers(tool: Any, names: set[str]) -> None:
    """LangChain keeps arguments with the names of its managers out of sight, also where they are the model's.

    Raises:
        ValueError: if one of the names is such, and the tool's schema does not name it.
    """
    schema = tool.args_schema
    known = (schema.get("properties") or {}) if isinstance(schema, dict) else get_fields(tool.get_input_schema())
    if unknown := [it for it in FILTERED_ARGS if it in names and it not in known]:
        raise ValueError(f"there is no argument {', '.join(unknown)}")
