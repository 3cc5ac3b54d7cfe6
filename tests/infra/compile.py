"""What scripts/bicep does with a compiler, or without one."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cases import IMPOSSIBLE, REFUSED, REQUIRED, TAKEN
from predict import SUBSCRIPTION, TENANT, parameters, predict
from snapshot import faults, settings

ROOT = Path(__file__).parent.parent.parent
SNAPSHOTS = Path(__file__).parent / "snapshots"
OLDEST = (0, 49)  # the oldest compiler that these files are tried with


class Compiler:
    """What is asked of a compiler about a copy of infra/. `run` runs it with arguments in a folder."""

    def __init__(self, run, work):
        self.run, self.work = lambda *arguments: run(arguments, work), work

    def version(self):
        said = self.run("--version").stdout.strip()
        number = tuple(int(n) for n in re.search(r"(\d+)\.(\d+)", said).groups())
        yield from [] if number >= OLDEST else [f"{said}: needs {'.'.join(map(str, OLDEST))} or later"]
        print(said)

    def builds(self):
        """Not a single warning, from the compiler or the linter."""
        for command in (("build", "infra/main.bicep", "--stdout"), ("lint", "infra/main.bicep")):
            done = self.run(*command)
            said = done.stderr.strip() + ("" if command[0] == "build" else done.stdout.strip())
            if done.returncode or said:
                yield f"{command[0]}: {said or done.returncode}"

    def formats(self):
        written = ["infra/*.bicep", "infra/main.bicepparam", "infra/variants/*.bicepparam"]
        for path in sorted(path for pattern in written for path in self.work.glob(pattern)):
            done = self.run("format", str(path), "--stdout")
            if done.returncode or done.stdout.replace("\r\n", "\n").strip() != path.read_text().strip():
                yield f"format: {path.relative_to(self.work)} is laid out otherwise: `bicep format` writes it {done.stderr}"

    def snapshot(self, path):
        """The deployment of a file of parameters, or what the compiler says against it."""
        where = ["--tenant-id", TENANT, "--subscription-id", SUBSCRIPTION.rsplit("/", 1)[-1]]
        where += ["--resource-group", "rg-gate", "--location", "westeurope"]
        done = self.run("snapshot", str(path), "--mode", "overwrite", *where)
        made = path.with_suffix(".snapshot.json")
        return (json.loads(made.read_text()), "") if done.returncode == 0 and made.exists() else (None, done.stdout + done.stderr)

    def variant(self, path):
        given = parameters(path)
        made, said = self.snapshot(path)
        if made is None:
            yield f"{path.stem}: {said.strip()}"
            return
        yield from (f"{path.stem}: {fault}" for fault in faults(made, given, settings()))
        predicted = predict(self.work / "infra/main.bicep", given)
        expected, found = (sorted(r["type"] for r in s["predictedResources"]) for s in (predicted, made))
        if expected != found:
            yield f"{path.stem}: the compiler makes other resources than tests/infra/predict.py: {set(expected) ^ set(found)}"

    def case(self, number, given, says):
        path = self.work / f"infra/case-{number}.bicepparam"
        lines = [f"param {name} = {written(value)}" for name, value in {**REQUIRED, **given}.items()]
        path.write_text("\n".join(["using './main.bicep'", "", *lines, ""]))
        made, said = self.snapshot(path)
        if says is None and made is None:
            yield f"must be taken: {given}: {said.strip()}"
        if says is not None and (made is not None or says not in said):
            yield f"must be refused with {says!r}: {given}: {said.strip()}"


def written(value):
    """A value as Bicep writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, dict):
        named = lambda name: name if re.fullmatch(r"[A-Za-z_]\w*", name) else written(name)
        return "{ " + ", ".join(f"{named(name)}: {written(v)}" for name, v in value.items()) + " }"
    return str(value) if isinstance(value, int) else "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def copied(work):
    shutil.copytree(ROOT / "infra", work / "infra")
    shutil.copytree(ROOT / "examples/policies", work / "examples/policies")
    return sorted((work / "infra/variants").glob("*.bicepparam"))


def compiled(path):
    def run(arguments, work):
        return subprocess.run([path, *arguments], cwd=work, capture_output=True, text=True, timeout=300)

    with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(4) as pool:
        work = Path(directory)
        variants, compiler = copied(work), Compiler(run, work)
        cases = [*REFUSED, *IMPOSSIBLE, *((given, None) for given in TAKEN)]
        tasks = [compiler.version, compiler.builds, compiler.formats]
        tasks += [lambda v=v: compiler.variant(v) for v in variants]
        tasks += [lambda n=n, c=c: compiler.case(n, *c) for n, c in enumerate(cases)]
        found = [fault for faults in pool.map(lambda task: list(task()), tasks) for fault in faults]
    print(f"{len(variants)} variants, {len(cases)} cases")
    return found


def recorded():
    """The checks, on the compiler's snapshots of an earlier commit: they must find its known faults, and nothing else."""
    known = json.loads((SNAPSHOTS / "known.json").read_text())
    for name, expected in known["faults"].items():
        made = json.loads((SNAPSHOTS / f"{name}.snapshot.json").read_text())
        found = list(faults(made, parameters(SNAPSHOTS / f"{name}.bicepparam"), known["settings"]))
        yield from (f"{name}: not found: {fault}" for fault in expected if fault not in found)
        yield from (f"{name}: not known: {fault}" for fault in found if fault not in expected)


def main(path):
    if path:
        found = compiled(path)
    else:
        print("!! There is no Bicep compiler here, so infra/ was NOT COMPILED: set BICEP, or put bicep on the PATH.")
        print("!! tests/infra/check.py holds its files, and the checks of snapshots are tried on recorded ones.")
        found = list(recorded())
    for fault in found:
        print(fault, file=sys.stderr)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(sys.argv[1])
