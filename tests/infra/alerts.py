"""Prints the query of each alert of infra/alerts.bicep as JSON, by its name, for tests/kusto/check.js."""

import json
from pathlib import Path

from bicep import File, evaluate

ALERTS = File(Path(__file__).parent.parent.parent / "infra/alerts.bicep")


def queries():
    """The query of each alert, as Azure gets it."""
    return {rule["name"]: rule["query"] for rule in evaluate(ALERTS.vars["rules"], ALERTS.functions)}


if __name__ == "__main__":
    print(json.dumps(queries()))
