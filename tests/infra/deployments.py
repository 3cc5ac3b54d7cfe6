"""Whole deployments: as predict.py evaluates them, as the compiler once did, and as scripts/bicep has a compiler do it."""

import json
import os
import re
import subprocess
import tempfile
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from bicep import Failure
from cases import LEDGER, REFUSED, TAKEN
from compile import Compiler, copied, written
from predict import parameters, predict
from snapshot import faults, settings

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
INFRA = ROOT / "infra"
MAIN = INFRA / "main.bicep"
VARIANTS = sorted((INFRA / "variants").glob("*.bicepparam"))
SNAPSHOTS = HERE / "snapshots"
KNOWN = json.loads((SNAPSHOTS / "known.json").read_text())
RECORDED = {path.name.split(".")[0]: json.loads(path.read_text()) for path in sorted(SNAPSHOTS.glob("*.snapshot.json"))}
SEEDS = [
    ("Microsoft.Web/sites", lambda r, _: r["properties"]["siteConfig"].update(ftpsState="Disabled"), "siteConfig has ftpsState"),
    ("Microsoft.Web/sites", lambda r, _: r["properties"].update(virtualNetworkSubnetId=None), "the app calls from outside"),
    ("Microsoft.Web/sites", lambda r, _: r["tags"].pop("azd-service-name"), "azd does not find"),
    ("Microsoft.Web/sites/config", lambda r, _: r["properties"].pop("HO_STORE"), "HO_STORE is missing"),
    ("Microsoft.Web/sites/config", lambda r, _: r["properties"].update(HO_STORES="x"), "HO_STORES is read by nothing"),
    ("Microsoft.Web/sites/config", lambda r, _: r["properties"].update(HO_LOCAL="1"), "HO_LOCAL must not be set"),
    ("Microsoft.Web/sites/config", lambda r, _: r["properties"].update(HO_LINK_KEYS="k:x"), "no reference to the vault"),
    ("Microsoft.Web/sites/config", lambda r, _: r["properties"].update(HO_CHANNEL_LEDGER="https://example.com"), "HO_CHANNEL_LEDGER is no reference"),
    ("Microsoft.Web/sites", lambda r, _: r["tags"].update(LEDGER), "secrets: Microsoft.Web/sites "),
    ("Microsoft.KeyVault/vaults/secrets", lambda r, all: all.remove(r), "HO_CHANNEL_LEDGER is no reference"),
    ("Microsoft.KeyVault/vaults/secrets", lambda r, _: r["properties"].update(value="x"), "HO_CHANNEL_LEDGER refers to the secret of another"),
    ("Microsoft.Web/sites/config", lambda r, _: r["properties"].update(WEBSITE_CONTENTSHARE="x"), "WEBSITE_CONTENTSHARE is refused"),
    ("Microsoft.KeyVault/vaults", lambda r, _: r["properties"].update(publicNetworkAccess="Enabled"), "public: Microsoft.KeyVault/vaults"),
    ("Microsoft.KeyVault/vaults", lambda r, _: r["properties"]["networkAcls"].update(defaultAction="Allow"), "lets every address in"),
    ("Microsoft.KeyVault/vaults", lambda r, _: r.update(name="kv-much-too-long-for-a-vault"), "names: Microsoft.KeyVault/vaults"),
    ("Microsoft.KeyVault/vaults", lambda r, _: r["tags"].pop("dataClass"), "tags: Microsoft.KeyVault/vaults"),
    ("Microsoft.Network/virtualNetworks", lambda r, _: r["properties"]["subnets"][0]["properties"].pop("networkSecurityGroup"), "the subnet app has no"),
    ("Microsoft.Network/privateEndpoints", lambda r, all: all.remove(r), "no private endpoint for blob"),
    ("Microsoft.Insights/diagnosticSettings", lambda r, all: all.remove(r), "recorded: nothing of"),
    ("Microsoft.Authorization/roleAssignments", lambda r, _: r["properties"].update(roleDefinitionId="/x/owner"), "roles: None is not documented"),
    ("Microsoft.Authorization/roleAssignments", lambda r, _: r["properties"].update(principalId="x"), "is not given to the gate"),
]


def comparable(snapshot):
    """The resources in one order and one form: without what only Azure knows, which both write differently."""
    def known(value):
        if isinstance(value, dict):
            return {name: known(v) for name, v in value.items() if name not in ("id", "scope", "condition")}
        if isinstance(value, list):
            return [known(v) for v in value]
        is_azures = isinstance(value, str) and (value.startswith("[") or "[reference(" in value)
        return "" if is_azures or (isinstance(value, str) and AZURE_ALONE.fullmatch(value)) else value

    return sorted((known(r) for r in snapshot["predictedResources"]), key=lambda r: json.dumps(r, sort_keys=True))


# What the compiler leaves open, and predict.py has a value for.
AZURE_ALONE = re.compile(
    r"00000000-0000-0000-0000-000000000003|https://login\.microsoftonline\.com/.*|(.*/)?privatelink\.(blob|table|vaultcore)\..*"
)


class Deployments(unittest.TestCase):
    """Whole deployments, as predict.py evaluates them, and as the compiler once did."""

    def test_every_variant_is_without_a_fault(self):
        known = settings()
        self.assertGreater(len(VARIANTS), 7)
        for path in VARIANTS:
            with self.subTest(path.stem):
                given = parameters(path)
                self.assertEqual(list(faults(predict(MAIN, given), given, known)), [])

    def test_the_checks_find_exactly_what_was_wrong_with_what_the_compiler_made(self):
        for name, recorded in RECORDED.items():
            with self.subTest(name):
                given = parameters(SNAPSHOTS / f"{name}.bicepparam")
                self.assertEqual(list(faults(recorded, given, KNOWN["settings"])), KNOWN["faults"][name])

    def test_a_seeded_fault_is_found(self):
        given = {**parameters(INFRA / "variants/private.bicepparam"), "channels": LEDGER}
        whole = predict(MAIN, given)
        known = settings()
        for kind, change, says in SEEDS:
            changed = json.loads(json.dumps(whole))
            change(next(r for r in changed["predictedResources"] if r["type"] == kind), changed["predictedResources"])
            found = list(faults(changed, given, known))
            self.assertIn(len(found), (1, 2, 3), (says, found))
            self.assertTrue(any(says in fault for fault in found), (says, found))

    def test_predictions_are_what_the_compiler_makes(self):
        """On the files of the commit whose snapshots are recorded, wherever the history is there."""
        archive = subprocess.run(["git", "archive", KNOWN["commit"], "infra"], cwd=ROOT, capture_output=True)
        if archive.returncode:
            self.skipTest(f"{KNOWN['commit']} is not in the history")
        with tempfile.TemporaryDirectory() as directory:
            subprocess.run(["tar", "x", "-C", directory], input=archive.stdout, check=True)
            for name, recorded in RECORDED.items():
                predicted = predict(f"{directory}/infra/main.bicep", parameters(SNAPSHOTS / f"{name}.bicepparam"))
                self.assertEqual(comparable(predicted), comparable(recorded), name)


def stand_in(fault):
    """Like the compiler as far as scripts/bicep sees it, with one thing wrong."""

    def run(arguments, work):
        command, *rest = arguments
        says = {"--version": f"Bicep CLI version {'0.30.1' if fault == 'old' else '0.49.2'} (0000000000)"}.get(command, "")
        if command == "format":
            text = Path(rest[0]).read_text()
            says = text.replace("  ", "    ") if fault == "format" and rest[0].endswith("app.bicep") else text
        warns = "infra/main.bicep(1,1) : Warning no-unused-params: of no use" if command == fault else ""
        code = 0
        if command == "snapshot":
            code, warns = deployed(Path(rest[0]), work)
        return subprocess.CompletedProcess(arguments, code, says, warns)

    def deployed(path, work):
        try:
            made = predict(work / "infra/main.bicep", parameters(path))
        except Failure as failure:
            if fault != "lenient":
                return 1, f"Template snapshotting could not be completed for the following reason: '{failure}'."
            made = {"predictedResources": [], "diagnostics": []}
        if fault == "site":
            next(r for r in made["predictedResources"] if r["type"] == "Microsoft.Web/sites")["properties"]["siteConfig"]["ftpsState"] = "Disabled"
        path.with_suffix(".snapshot.json").write_text(json.dumps(made))
        return (1, "not to be had") if fault == "strict" else (0, "")

    return run


class WithACompiler(unittest.TestCase):
    """scripts/bicep, and a stand-in for the compiler."""

    def test_each_step_finds_what_is_wrong(self):
        for fault, says in [
            ("", []),
            ("old", ["Bicep CLI version 0.30.1 (0000000000): needs 0.49 or later"]),
            ("build", ["build: infra/main.bicep(1,1) : Warning no-unused-params: of no use"]),
            ("lint", ["lint: infra/main.bicep(1,1) : Warning no-unused-params: of no use"]),
            ("format", ["format: infra/app.bicep is laid out otherwise"]),
            ("site", ["acs: site: siteConfig has ftpsState"]),
            ("lenient", ["must be refused with 'stem must'"]),
            ("strict", ["acs: not to be had", "must be taken: {'stem': 'gate1'}: not to be had"]),
        ]:
            with self.subTest(fault), tempfile.TemporaryDirectory() as directory, redirect_stdout(StringIO()):
                variants = copied(Path(directory))
                compiler = Compiler(stand_in(fault), Path(directory))
                steps = [compiler.version(), compiler.builds(), compiler.formats(), compiler.variant(variants[0])]
                steps += [compiler.case(0, {"stem": "My-Gate"}, "stem must"), compiler.case(1, {"stem": "gate1"}, None)]
                found = [line for step in steps for line in step]
                self.assertEqual(len(found), len(says), found)
                for line, start in zip(found, says):
                    self.assertTrue(line.startswith(start), line)

    def test_values_are_written_as_bicep_reads_them(self):
        for given, _ in [*REFUSED, *((given, None) for given in TAKEN)]:
            with tempfile.NamedTemporaryFile("w", suffix=".bicepparam") as file:
                file.write("\n".join(f"param {name} = {written(value)}" for name, value in given.items()))
                file.flush()
                self.assertEqual(parameters(file.name), given)

    def test_without_a_compiler_it_says_so(self):
        path = ":".join(folder for folder in os.environ["PATH"].split(":") if not (Path(folder) / "bicep").exists())
        environment = {**{name: value for name, value in os.environ.items() if name != "BICEP"}, "PATH": path}
        done = subprocess.run([ROOT / "scripts/bicep"], env=environment, capture_output=True, text=True, timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("NOT COMPILED", done.stdout)
