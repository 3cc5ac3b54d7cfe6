"""Makes types.json: what infra/ uses of Azure's published resource types.

    python tests/infra/extract.py GIT_DIR_OF_A_CLONE_OF_github.com/Azure/bicep-types-az

To be run when infra/ uses a type or an API version that it did not use before.
"""

import json
import subprocess
import sys
from pathlib import Path

from bicep import File

HERE = Path(__file__).parent
INFRA = HERE.parent.parent / "infra"


def git(repo, *arguments):
    return subprocess.run(["git", "-C", repo, *arguments], capture_output=True, check=True, text=True).stdout


def main(repo):
    wanted = {
        f"{r.type}@{r.version}" for path in INFRA.glob("*.bicep") for r in File(path).resources.values()
    }
    files = [f for f in git(repo, "ls-tree", "-r", "--name-only", "HEAD", "generated").splitlines()
             if f.endswith("/types.json")]
    places = {f"{w.split('/')[0].lower()}/{w.split('@')[1]}/types.json" for w in wanted}
    resources, types = {}, []
    for path in files:
        if "/".join(path.split("/")[2:]) not in places:
            continue
        source = json.loads(git(repo, "show", f"HEAD:{path}"))
        copied = {}

        def copy(reference):
            index = int(reference["$ref"].removeprefix("#/"))
            if index not in copied:
                copied[index] = len(types)
                types.append(None)
                types[copied[index]] = shape(source[index])
            return copied[index]

        def properties(given):
            return {name: [p["flags"], copy(p["type"])] for name, p in given.items()}

        def shape(given):
            kind = given["$type"]
            if kind == "ObjectType":
                rest = given.get("additionalProperties")
                return ["object", properties(given["properties"]), rest and copy(rest)]
            if kind == "DiscriminatedObjectType":
                variants = {name: copy(v) for name, v in given["elements"].items()}
                return ["oneof", given["discriminator"], properties(given["baseProperties"]), variants]
            if kind == "ArrayType":
                return ["array", copy(given["itemType"])]
            if kind == "UnionType":
                return ["union", [copy(e) for e in given["elements"]]]
            if kind == "StringLiteralType":
                return ["literal", given["value"]]
            return [{"StringType": "string", "IntegerType": "int", "BooleanType": "bool"}.get(kind, "any")]

        for resource in source:
            if resource["$type"] == "ResourceType" and resource["name"] in wanted:
                resources[resource["name"]] = copy(resource["body"])
    missing = wanted - resources.keys()
    if missing:
        sys.exit(f"not published: {sorted(missing)}")
    rows = ",\n".join(json.dumps(t, separators=(",", ":")) for t in types)
    where = f"https://github.com/Azure/bicep-types-az at {git(repo, 'rev-parse', 'HEAD').strip()}, MIT License, Copyright (c) Microsoft Corporation"
    (HERE / "types.json").write_text(
        f'{{"from":{json.dumps(where)},\n"resources":{json.dumps(dict(sorted(resources.items())), indent=1)},\n"types":[\n{rows}\n]}}\n'
    )


main(sys.argv[1])
