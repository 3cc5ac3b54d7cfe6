"""Computes the report's calculated tables and columns and its measures, with an engine for DAX that is
neither Microsoft's nor ours. Takes the model and the rows as JSON, gives the values; whatever the engine
cannot compute ends it, since a measure that is broken would else be blank."""

import json
import sys
from datetime import date, datetime

from pbix_mcp.dax import calc_tables, engine


def value(given, kind):
    return datetime.fromisoformat(given) if given is not None and kind == "dateTime" else given


def plain(result):
    if isinstance(result, datetime):
        return result.isoformat(timespec="milliseconds")
    if isinstance(result, date):
        return f"{result}T00:00:00.000"
    return result


asked = json.load(sys.stdin)
relationships = [
    {"FromTable": f[0], "FromColumn": f[1], "ToTable": t[0], "ToColumn": t[1], "IsActive": True}
    for f, t in asked["relationships"]
]
tables = {
    name: {
        "columns": [column for column, _ in table["columns"]],
        "rows": [
            [value(given, kind) for given, (_, kind) in zip(row, table["columns"])] for row in table["rows"]
        ],
    }
    for name, table in asked["tables"].items()
}
for table, column, dax in asked["columns"]:
    # As a column of a query, which may look into other tables too.
    query = f'ADDCOLUMNS ( {table}, "{column}", {dax} )'
    rows = tables[table]["rows"]
    added, error = calc_tables.evaluate_calc_table_expression(query, tables, {}, relationships) if rows else ({}, None)
    if error:
        sys.exit(f"{table}[{column}]: {error}")
    if rows and added["columns"] != tables[table]["columns"] + [column]:
        sys.exit(f"{table}[{column}]: {added['columns']}")
    tables[table] = {"columns": tables[table]["columns"] + [column], "rows": added.get("rows", [])}
for name, dax in asked["calculated"].items():
    table, error = calc_tables.evaluate_calc_table_expression(dax, tables, {}, relationships)
    if error:
        sys.exit(f"{name}: {error}")
    tables[name] = table

measures = asked["measures"]
model_columns = {name: set(table["columns"]) for name, table in tables.items()}
measure_tables = {name: "Approvals" for name in measures}
results = []
for selection in asked["selections"]:
    of = {
        key: [datetime.fromisoformat(v) if key == "Calendar.Date" else v for v in values]
        for key, values in selection.items()
    }
    results.append(
        engine.evaluate_measures_batch(
            list(measures), tables, measures, of, "Calendar", "Date", relationships,
            date_tables={"Calendar": "Date"}, measure_tables=measure_tables, model_columns=model_columns,
        )
    )
said = engine._engine
for wrong in (said.eval_errors, said.unsupported_functions, said.timed_out):
    if wrong:
        sys.exit(f"the engine could not compute: {wrong}")
columns = {name: [[plain(v) for v in row] for row in table["rows"]] for name, table in tables.items()}
names = {name: table["columns"] for name, table in tables.items()}
results = [{name: plain(v) for name, v in result.items()} for result in results]
json.dump({"columns": names, "rows": columns, "measures": results}, sys.stdout)
