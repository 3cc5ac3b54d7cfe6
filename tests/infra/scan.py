"""Runs checkov over what each of infra/variants/ deploys, and holds its findings against checkov.json, which has a reason
for each that stays.

    python tests/infra/scan.py CHECKOV [--write]    --write keeps the reasons, and writes where each finding is
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from predict import parameters, predict

HERE = Path(__file__).parent
INFRA = HERE.parent.parent / "infra"
SCHEMA = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"


def findings(checkov):
    """The resource types and the variants of each finding, by its id and name."""
    with tempfile.TemporaryDirectory() as directory:
        for path in (INFRA / "variants").glob("*.bicepparam"):
            made = predict(INFRA / "main.bicep", parameters(path))
            template = {"$schema": SCHEMA, "contentVersion": "1.0.0.0", "resources": made["predictedResources"]}
            (Path(directory) / f"{path.stem}.json").write_text(json.dumps(template))
        # Without --skip-download it asks its makers' service.
        command = [checkov, "-d", directory, "--framework", "arm", "--skip-download", "--compact", "--output", "json"]
        done = subprocess.run(command, capture_output=True, text=True)
    report = json.loads(done.stdout)
    summary = report["summary"]
    if summary["parsing_errors"] or summary["resource_count"] < 200:
        sys.exit(f"checkov did not read everything: {summary}\n{done.stderr}")
    found = {}
    for failed in report["results"]["failed_checks"]:
        types, variants = found.setdefault((failed["check_id"], failed["check_name"]), (set(), set()))
        types.add(failed["resource"].split(".")[0] + "." + failed["resource"].split(".")[1])
        variants.add(Path(failed["file_path"]).stem)
    return [
        {"check": check, "name": name, "on": sorted(types), "in": sorted(variants)}
        for (check, name), (types, variants) in sorted(found.items())
    ]


def main(checkov, write=None):
    path = HERE / "checkov.json"
    accepted = json.loads(path.read_text())
    found = findings(checkov)
    if write:
        reasons = {entry["check"]: entry["why"] for entry in accepted}
        lines = [json.dumps({**entry, "why": reasons.get(entry["check"], "")}) for entry in found]
        path.write_text("[\n" + ",\n".join(lines) + "\n]\n")
        return
    if any(not entry["why"] for entry in accepted):
        sys.exit("checkov.json: each finding needs its reason")
    known = [{name: value for name, value in entry.items() if name != "why"} for entry in accepted]
    for entry in [entry for entry in found if entry not in known]:
        print(f"a finding that checkov.json does not accept: {json.dumps(entry)}", file=sys.stderr)
    for entry in [entry for entry in known if entry not in found]:
        print(f"checkov.json accepts what checkov does not find: {json.dumps(entry)}", file=sys.stderr)
    sys.exit(0 if found == known else 1)


main(*sys.argv[1:])
