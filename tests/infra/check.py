"""Holds infra/, azure.yaml and their documentation against Azure's published types and against the gate.

scripts/test runs it, after the gate was built.
"""

import json
import os
import re
import socket
import subprocess
import tempfile
import unittest
from datetime import UTC, datetime
from pathlib import Path

import yaml
from bicep import CALLS, Failure, File, Types, evaluate, literal, member, members, names_used, text
from cases import IMPOSSIBLE, REFUSED, REQUIRED, TAKEN
from deployments import Deployments, WithACompiler  # noqa: F401, for unittest
from predict import parameters, predict
from snapshot import FLEX

ROOT = Path(__file__).parent.parent.parent
HERE = ROOT / "tests/infra"
INFRA = ROOT / "infra"
FILES = {path.name: File(path) for path in sorted(INFRA.glob("*.bicep"))}
EXAMPLE = File(INFRA / "main.bicepparam")
VARIANTS = {path.stem: File(path) for path in sorted((INFRA / "variants").glob("*.bicepparam"))}
MAIN, APP = FILES["main.bicep"], FILES["app.bicep"]
TYPES = Types(json.loads((HERE / "types.json").read_text()))
GATE = ROOT / os.environ.get("HUMAN_OVERSIGHT", "target/debug/human-oversight")

FUNCTIONS = {
    "any", "cidrSubnet", "deployer", "environment", "guid", "loadTextContent", "readEnvironmentVariable",
    "resourceGroup", "subscription", "subscriptionResourceId", "tenant", "union", "uniqueString", *CALLS,
}  # fmt: skip


def written(node):
    """The settings that a call of union() merges."""
    objects = [a for a in node.child_by_field_name("arguments").named_children if a.type == "object"]
    return {name: value for each in objects for name, value in members(each)}


def app_settings():
    gate = member(member(MAIN.modules["app"][1], "params"), "settings")
    platform = member(APP.resources["appsettings"].body, "properties")
    return {**written(platform), **written(gate)}


def read_settings():
    """What the gate reads, and where; and what function.json has the host read."""
    found = {}
    for path in [ROOT / "src/config.rs", *sorted((ROOT / "src/config").glob("*.rs"))]:
        if path.name == "tests.rs":
            continue
        source = path.read_text().split("#[cfg(test)]")[0]
        for name in re.findall(r'"((?:HO|WEBSITE|FUNCTIONS|AZURE|IDENTITY)_[A-Z_]+)"', source):
            found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    for path in ROOT.glob("*/function.json"):
        for name in re.findall(r"%(\w+)%", path.read_text()):
            found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def table():
    """The settings' table of docs/deployment.md: name, who sets it, default, who reads it."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", (ROOT / "docs/deployment.md").read_text(), re.M)
    return {name: (by, reader) for name, by, _, reader in rows}


class Bicep(unittest.TestCase):
    def test_every_file_parses(self):
        for file in [*FILES.values(), *VARIANTS.values(), EXAMPLE]:
            self.assertEqual([(file.path.name, n.start_point) for n in file.errors()], [])
        self.assertTrue(File("broken.bicep", "param a string = {\n").errors())

    def test_every_parameter_and_output_is_described(self):
        for name, file in FILES.items():
            self.assertEqual({*file.params, *file.outputs} - file.described, set(), name)

    def test_the_rules_of_bicepconfig_hold(self):
        config = re.sub(r"^\s*//.*$", "", (INFRA / "bicepconfig.json").read_text(), flags=re.M)
        rules = json.loads(config)["analyzers"]["core"]["rules"]
        self.assertEqual(rules.keys(), {"no-module-name", "use-recent-api-versions", "use-recent-module-versions", "use-user-defined-types"})
        self.assertEqual([s for s, (_, body) in MAIN.modules.items() if member(body, "name")], [], "no-module-name")
        untyped = [f"{name}: {p}" for name, file in FILES.items() for p, (kind, _) in file.params.items() if kind in ("array", "object")]
        self.assertEqual(untyped, [], "use-user-defined-types")

    def test_every_resource_is_of_a_published_type(self):
        wrong = [f"{name}: {w}" for name, file in FILES.items() for r in file.resources.values() for w in TYPES.check(r)]
        self.assertEqual(wrong, [])

    def test_what_is_wrong_is_found(self):
        storage = FILES["storage.bicep"].source
        for line, instead, says in [
            ("allowBlobPublicAccess: false", "allowBlobPublic: false", "allowBlobPublic: no such property"),
            ("allowBlobPublicAccess: false", "allowBlobPublicAccess: 'no'", "is a string, but it must be bool"),
            ("minimumTlsVersion: 'TLS1_2'", "minimumTlsVersion: 'SSL3'", "'SSL3' is none of"),
            ("  kind: 'StorageV2'\n", "", "kind: must be given"),
            ("storageAccounts@2025-08-01", "storageAccounts@2025-08-02", "no such type"),
            ("publicAccess: 'None'", "hasLegalHold: true", "read only"),
            ("'Disabled' : 'Enabled'", "'Disabled' : 'On'", "'On' is none of"),
            ("'tableServices'", "'tableService'", "no such type"),
        ]:
            self.assertIn(line, storage)
            file = File("storage.bicep", storage.replace(line, instead))
            wrong = [w for r in file.resources.values() for w in TYPES.check(r)]
            self.assertTrue(any(says in w for w in wrong), f"{instead}: {wrong}")

    def test_the_app_has_only_what_flex_consumption_takes(self):
        # Azure's types describe every plan; flex.json says what this one takes and refuses, each with its source.
        site = member(APP.resources["app"].body, "properties")
        for group, node in [("properties", site), ("siteConfig", member(site, "siteConfig")), ("functionAppConfig", member(site, "functionAppConfig"))]:
            given = {name for name, _ in members(node)}
            self.assertEqual(given - FLEX["takes"][group].keys(), set(), group)
            self.assertEqual(FLEX["takes"][group].keys() & FLEX["refuses"].get(group, {}).keys(), set(), group)
        self.assertEqual(app_settings().keys() & FLEX["refuses"]["settings"].keys(), set())
        for kind in ["takes", "refuses"]:
            for source in (source for group in FLEX[kind].values() for source in group.values()):
                self.assertTrue(source in FLEX["sources"] or " " in source, source)

    def test_lines_break_where_the_formatter_breaks_them(self):
        # Its width is 120, and it breaks what is wider wherever it can: objects, arrays, calls, conditions, lambdas.
        for path in [*FILES.values(), *VARIANTS.values(), EXAMPLE]:
            lines = path.path.read_text().splitlines()
            for line, after in zip(lines, [*lines[1:], ""]):
                if len(line) > 120:
                    self.assertRegex(line, r"^ *(@description\('.*'\)|says: '.*'|: fail\('.*'\)|(query: )?'traces .*'|param \w+ = '.*')$", path.path.name)
                if line.endswith(" =>"):
                    self.assertGreater(len(f"{line} {after.strip()}"), 120, line)

    def test_what_is_read_of_a_resource_is_there(self):
        looked_at = 0
        for name, file in FILES.items():
            for symbol, path in re.findall(r"(?<![\w.:])(\w+)\.((?:properties\.)\w+(?:\.\w+)*)", file.source):
                if symbol in file.resources:
                    looked_at += 1
                    self.assertTrue(TYPES.path(file.resources[symbol], path.split(".")), f"{name}: {symbol}.{path}")
        self.assertGreater(looked_at, 8)
        self.assertFalse(TYPES.path(APP.resources["app"], ["properties", "defaultHost"]))

    def test_every_name_is_declared_and_every_declaration_used(self):
        for name, file in FILES.items():
            declared = {*file.params, *file.vars, *file.functions, *file.resources, *file.modules}
            # The parser takes `name!` in an object for a type.
            used = names_used(file.root) | {name for name in declared if f"{name}!.outputs" in file.source}
            loops = {name for pair in re.findall(r"\[\s*for \(?(\w+)(?:, (\w+)\))? in", file.source) for name in pair if name}
            loops |= set(re.findall(r"\b(\w+) => ", file.source))
            self.assertEqual(used - declared - loops - FUNCTIONS, set(), name)
            self.assertEqual({*file.params, *file.vars, *file.functions} - used, set(), f"{name}: not used")

    def test_modules_get_what_they_take_and_give_what_is_read(self):
        for symbol, (path, body) in MAIN.modules.items():
            module = FILES[path]
            given = {name for name, _ in members(member(body, "params"))}
            needed = {name for name, (_, default) in module.params.items() if default is None}
            self.assertEqual((given - module.params.keys(), needed - given), (set(), set()), symbol)
        reads = re.findall(r"(\w+)!?\.outputs\.(\w+)", MAIN.source)
        self.assertGreater(len(reads), 10)
        for symbol, output in reads:
            self.assertIn(output, FILES[MAIN.modules[symbol][0]].outputs, symbol)
        used = {path for path, _ in MAIN.modules.values()}
        self.assertEqual(used, FILES.keys() - {"main.bicep"})

    def test_outputs_of_what_may_not_be_made_are_marked(self):
        for symbol in re.findall(r"^module (\w+) '.*' = if ", MAIN.source, re.M):
            for line in MAIN.source.splitlines():
                if f"{symbol}.outputs" in line:
                    self.fail(f"{line.strip()}: {symbol} may not be there: `condition ? {symbol}!.outputs…`")

    def test_the_example_gives_what_is_needed(self):
        self.assertIn("\nusing './main.bicep'\n", EXAMPLE.path.read_text())
        needed = {name for name, (_, default) in MAIN.params.items() if default is None}
        self.assertEqual((EXAMPLE.params.keys() - MAIN.params.keys(), needed - EXAMPLE.params.keys()), (set(), set()))
        more = {name for name, _ in members(EXAMPLE.params["settings"][1])}
        self.assertEqual(more - {n for n, (by, _) in table().items() if by == "`settings`"}, set())

    def test_each_role_is_named_and_is_the_one_it_is_called(self):
        roles = json.loads((HERE / "roles.json").read_text())
        seen = set()
        for name, file in FILES.items():
            for line in file.source.splitlines():
                for guid in re.findall(r"[0-9a-f]{8}-[0-9a-f-]{27}", line):
                    seen.add(guid)
                    self.assertTrue(line.endswith(f"// {roles.get(guid)}"), f"{name}: {line}")
            # One that may act is always told what on: never a whole resource group.
            for symbol, resource in file.resources.items():
                if resource.type == "Microsoft.Authorization/roleAssignments":
                    self.assertIn(text(member(resource.body, "scope")), file.resources, symbol)
        self.assertEqual(seen, roles.keys())

    def test_no_secret_is_written_or_given_out(self):
        for name, file in FILES.items():
            # Event Grid sends this key in the address, and shows it to no one who reads the subscription.
            allowed = ["listKeys("] if name == "reports.bicep" else []
            self.assertEqual(re.findall(r"\blist[A-Z]\w*\(|AccountKey|SharedAccess\w*=", file.source), allowed, name)
            # What is secret comes in by one parameter, which only the vault gets; the app gets references by its names.
            secure = re.findall(r"^@secure\(\)\nparam (\w+) ", file.source, re.M)
            self.assertEqual(secure, ["channels"] if name in ("main.bicep", "vault.bicep") else [], name)
            self.assertEqual(len(secure), file.source.count("@secure"), name)
            for output, value in file.outputs.items():
                self.assertNotIn("KeyVault", text(value), output)
                self.assertNotIn("channel", text(value), output)
        given = {symbol for symbol, (_, body) in MAIN.modules.items() if "channels" in names_used(body)}
        self.assertEqual(given, {"vault"})

    def test_every_query_is_saved_where_operators_look(self):
        loaded = re.findall(r"loadTextContent\('queries/(\w+)\.kql'\)", FILES["monitoring.bicep"].source)
        self.assertEqual(sorted(loaded), sorted(path.stem for path in (INFRA / "queries").glob("*.kql")))
        documented = re.findall(r"\(\.\./infra/queries/(\w+)\.kql\)", (ROOT / "docs/operations.md").read_text())
        self.assertEqual(set(documented), set(loaded))


class Costs(unittest.TestCase):
    def test_the_documented_ones_are_computed_from_what_is_so(self):
        subprocess.run([ROOT / "scripts/cost", "--check"], check=True)


class Settings(unittest.TestCase):
    def test_the_table_is_what_the_gate_reads_and_what_bicep_writes(self):
        read, rows, bicep = read_settings(), table(), app_settings()
        self.assertGreater(len(read), 30)
        of_gate = (ROOT / "src/config/known.rs").read_text().split("const AGENTS")[0]
        known = set(re.findall(r'^    "([A-Z_]+)",$', of_gate, re.M))
        named = {name for name in rows if name.startswith("HO_")}
        self.assertEqual({f"HO_{name}" for name in known}, named, "in src/config/known.rs, in docs/deployment.md")
        self.assertEqual(read.keys() - rows.keys(), set(), "not in docs/deployment.md")
        for name, (by, reader) in rows.items():
            if name in read:
                self.assertIn(reader.strip("`"), read[name], name)
            else:
                self.assertIn(reader, ("the host", "the platform's sign-in"), f"{name}: it is not read")
        by_bicep = {name for name, (by, _) in rows.items() if by.startswith("Bicep")}
        self.assertEqual(by_bicep, bicep.keys())
        for name, (by, _) in rows.items():
            for parameter in re.findall(r"`(\w+)`", by.removeprefix("`settings`")):
                self.assertIn(parameter, MAIN.params, name)
            self.assertRegex(by, r"^(Bicep(: .+)?|`settings`|the platform|not set: .+)$", name)

    def test_secrets_are_references_to_what_the_hook_writes(self):
        references = {name: text(v) for name, v in app_settings().items() if "@Microsoft.KeyVault" in text(v)}
        self.assertEqual(references.keys(), {"HO_LINK_KEYS", "HO_RECEIPT_KEYS", "HO_SMTP_PASSWORD"})
        hook = dict(re.findall(r"^ *put (\w+) ([\w-]+)$", (ROOT / "scripts/vault-keys").read_text(), re.M))
        secrets = {name: re.search(r"secrets/([\w-]+)", reference)[1] for name, reference in references.items()}
        # The relay's password is not ours to make.
        self.assertIn(f"put_password {secrets.pop('HO_SMTP_PASSWORD')}\n", (ROOT / "scripts/vault-keys").read_text())
        self.assertEqual(secrets, hook)

    def test_azd_runs_what_is_there(self):
        azd = yaml.safe_load((ROOT / "azure.yaml").read_text())
        (service, what), = azd["services"].items()
        self.assertIn(f"'azd-service-name': '{service}'", text(member(APP.resources["app"].body, "tags")))
        self.assertTrue((ROOT / azd["infra"]["path"] / f"{azd['infra']['module']}.bicep").exists())
        for hook in [*azd["hooks"].values(), *what["hooks"].values()]:
            script = ROOT / hook["posix"]["run"].removeprefix("exec ")
            self.assertTrue(os.access(script, os.X_OK), script)
        # The zip that scripts/package writes, and tests: azd publishes one as it is, and would pack a folder again.
        self.assertEqual(what["dist"], "dist.zip")
        self.assertIn(f'ZipFile("{what["dist"]}", "w"', (ROOT / "scripts/package").read_text())
        # azd refuses this language unless it is switched on.
        switch = f"azd config set alpha.language.{what['language']} on"
        deployment = (ROOT / "docs/deployment.md").read_text()
        self.assertIn(switch, deployment)
        self.assertNotIn("alpha.resourceGroupDeployments", deployment)
        self.assertIn(f"azd {azd['requiredVersions']['azd'].removeprefix('>= ').removesuffix('.0')}", deployment)
        hook = (ROOT / "scripts/vault-keys").read_text()
        for name in set(re.findall(r"\$\{(AZURE_\w+):", hook)) - {"AZURE_SUBSCRIPTION_ID"}:
            self.assertIn(name, MAIN.outputs)


# What only Azure knows when infra/ is deployed.
AZURES = {
    "storage.outputs.tablesEndpoint": "https://stoversight.table.core.windows.net/",
    "vault.outputs.uri": "https://kv-oversight.vault.azure.net/",
    "communication!.outputs.sender": "DoNotReply@a.azurecomm.net",
    "communication!.outputs.endpoint": "https://acs-oversight.europe.communication.azure.com",
    "tenant().tenantId": "11111111-2222-3333-4444-555555555555",
    "app.properties.defaultHostName": "func-oversight.azurewebsites.net",
    "hostAccount": "stoversighth",
    "identityClientId": "66666666-7777-8888-9999-000000000000",
    "insightsConnectionString": "InstrumentationKey=…",
}


def names_of(given):
    """The parameters and the variables of the refusals."""
    names = {**AZURES, **MAIN.functions, "deployer().objectId": "", "resourceGroup().location": "westeurope"}
    for name, (_, default) in MAIN.params.items():
        names[name] = given[name] if name in given else evaluate(default, names)
    names["vaultName"] = "kv-oversight"
    for name in ["signIn", "usesEntra", "approvers", "setsIdentity", "takesPatterns", "hasPassword", "publicUrl", "refusals", "channelReferences"]:
        names[name] = evaluate(MAIN.vars[name], names)
    return names


def settings_of(given):
    """The app's settings as Bicep would write them for these parameters."""
    names = names_of(given)
    gate = evaluate(member(member(MAIN.modules["app"][1], "params"), "settings"), names)
    names["settings"] = gate
    return evaluate(member(APP.resources["appsettings"].body, "properties"), names)


class Refusals(unittest.TestCase):
    """What the template refuses before anything is made."""

    def refused(self, given):
        try:
            predict(MAIN.path, {**REQUIRED, **given})
        except Failure as failure:
            return str(failure)
        return None

    def test_what_azure_or_the_gate_would_refuse_is_refused_first(self):
        for given, says in REFUSED:
            with self.subTest(given):
                refused = self.refused(given) or ""
                self.assertEqual(len(re.findall(r" must | needs? ", refused)), 1, refused)
                self.assertIn(says, refused)
        both = self.refused({"privateApp": True, "mail": "graph"})
        self.assertTrue("needs mailbox" in both and "needs privateNetwork" in both, both)

    def test_what_can_be_used_is_not_refused(self):
        for given in TAKEN:
            with self.subTest(given):
                self.assertIsNone(self.refused(given))

    def test_values_that_are_none_of_a_few_are_refused_by_the_compiler(self):
        for name in {name for given, _ in IMPOSSIBLE for name in given}:
            self.assertRegex(MAIN.source, rf"@(allowed\(\[[^\]]+\]|minValue\(\d+|minLength\(\d+)\)\n(@maxValue\(\d+\)\n)?param {name} ")

    def test_the_address_of_the_gate_is_the_same_everywhere(self):
        for given in ["https://gate.example.com", "https://gate.example.com/", "https://gate.example.com/api"]:
            with self.subTest(given):
                made = predict(MAIN.path, {**REQUIRED, "deliveryReports": True, "baseUrl": given})
                self.assertEqual(made["outputs"]["HO_URL"], "https://gate.example.com")
                found = dict(re.findall(r"'(endpointUrl|HO_BASE_URL)': [\"'](.+?)[\"'?]", str(made["predictedResources"])))
                self.assertEqual(found, {"endpointUrl": "https://gate.example.com/api/delivery", "HO_BASE_URL": "https://gate.example.com"})

    def test_nothing_is_made_past_a_refusal(self):
        after = MAIN.source.split("var prefix = ")[1].split("\n", 1)[1]
        self.assertNotIn("stem", after)
        self.assertGreater(after.count("${prefix}"), 10)


class Start(unittest.TestCase):
    """The gate, in production, with the settings that Bicep writes."""

    def start(self, given, more):
        self.assertTrue(GATE.exists(), "build the gate first")
        printed = subprocess.run([GATE, "keygen"], capture_output=True, text=True, timeout=20).stdout
        keys = {**dict(line.split("=", 1) for line in printed.splitlines()), **given.get("channels", {})}
        settings = settings_of(given)
        for name, value in settings.items():
            # The platform puts in what the vault holds.
            if value.startswith("@Microsoft.KeyVault("):
                settings[name] = keys.get(name, "a password")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment = {**settings, **more, "FUNCTIONS_CUSTOMHANDLER_PORT": str(port)}
        gate = subprocess.Popen([GATE], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with gate:
            opened = next((line for line in gate.stdout if "listening" in line), None)
            gate.kill()
            return opened or gate.stderr.read()

    def test_it_starts_with_each_way_to_mail_and_to_sign_in(self):
        approvers = {"allowedApprovers": "alice@example.com"}
        on = {"WEBSITE_AUTH_ENABLED": "True"}
        registration = {"entraClientId": "22222222-3333-4444-5555-666666666666"}
        for given, more in [
            ({}, {}),
            ({"mailDomain": "example.com", "mailFrom": "gate@example.com"}, {}),
            ({"mail": "graph", "mailbox": "gate@example.com"}, {}),
            ({"mail": "smtp", "smtpUrl": "smtps://relay.example.com", "mailFrom": "gate@example.com"}, {}),
            ({"mail": "smtp", "smtpUrl": "smtps://gate@relay.example.com", "smtpPassword": True, "mailFrom": "gate@example.com"}, {}),
            ({"identity": "entra", **registration}, on),
            ({"requireEntraFor": "Delete *", **registration}, on),
            ({"identity": "entra", "entraMaxAge": 3600, "hasAuthTimeClaim": True, **registration}, on),
            ({"agentIdentity": "both", **registration}, on),
            ({"agentIdentity": "entra", "identity": "entra", **registration}, on),
            ({"allowedApprovers": "*@example.com", "allowWildcardLinks": True}, {}),
            ({"baseUrl": "https://gate.example.com", "settings": {"HO_OPEN_LIMIT": "5000"}}, {}),
            ({**evaluate_example(), **approvers}, {}),
        ]:
            with self.subTest(given):
                url = given.get("baseUrl", "https://func-oversight.azurewebsites.net")
                self.assertIn(f'listening url="{url}"', self.start({**approvers, **given}, more))

    def test_it_starts_with_each_variant(self):
        for name, file in VARIANTS.items():
            with self.subTest(name):
                given = parameters(file.path)
                more = {"WEBSITE_AUTH_ENABLED": "True"} if "entraClientId" in given else {}
                url = given.get("baseUrl", "https://func-oversight.azurewebsites.net")
                self.assertIn(f'listening url="{url}"', self.start(given, more))

    def test_it_does_not_start_with_less(self):
        for given, says in [
            ({"allowedApprovers": ""}, "HO_ALLOWED_APPROVERS is not set"),
            ({"allowedApprovers": "*@example.com"}, "HO_ALLOWED_APPROVERS cannot be used"),
            ({"allowedApprovers": "alice@example.com", "mail": "graph"}, "HO_GRAPH_MAILBOX is not set"),
            ({"allowedApprovers": "alice@example.com", "identity": "entra"}, "WEBSITE_AUTH_ENABLED cannot be used"),
            ({"allowedApprovers": "alice@example.com", "agentIdentity": "entra"}, "WEBSITE_AUTH_ENABLED cannot be used"),
        ]:
            with self.subTest(given):
                self.assertIn(says, self.start(given, {}))


def evaluate_example():
    """The example's parameters where nothing is in the environment."""
    names = {f"readEnvironmentVariable('{name}', '{default}')": default
             for name, default in re.findall(r"readEnvironmentVariable\('(\w+)', '([^']*)'\)", EXAMPLE.source)}
    # Bicep refuses the file where this is not set.
    names["readEnvironmentVariable('ALLOWED_APPROVERS')"] = ""
    return {name: evaluate(value, names) for name, (_, value) in EXAMPLE.params.items()}


FAKE_DIRECTORY = """#!/usr/bin/env -S python3 -IS
import json, os, sys
home = os.environ["FAKE"]
a = sys.argv[1:]
option = lambda name: a[a.index(name) + 1]
read = lambda name: json.load(open(home + "/" + name))
def body():
    return json.load(open(option("--body").removeprefix("@")))
if a[:3] == ["ad", "sp", "show"]:
    sys.exit(0 if os.path.exists(home + "/principal") else "not found")
elif a[:3] == ["ad", "sp", "create"]:
    open(home + "/principal", "w").close()
elif a[0] == "rest":
    path = option("--url").removeprefix("https://graph.microsoft.com/v1.0/")
    method = option("--method")
    client = "22222222-3333-4444-5555-666666666666"
    if path == f"applications(appId='{client}')" and method == "get":
        print(json.dumps(read("application")))
    elif path == f"applications(appId='{client}')" and method == "patch":
        changed = {**read("application"), **body()}
        json.dump(changed, open(home + "/application", "w"))
    elif path == f"servicePrincipals(appId='{client}')":
        print(json.dumps({"id": "gate-1", "appRoles": read("application").get("appRoles", [])}))
    elif path.endswith("/appRoleAssignments"):
        print(open(home + "/assigned").read() if os.path.exists(home + "/assigned") else "")
    elif path == "servicePrincipals/gate-1/appRoleAssignedTo" and method == "post":
        json.dump(body(), open(home + "/assigned", "w"))
    else:
        sys.exit("unexpected: " + " ".join(a))
else:
    sys.exit("unexpected: " + " ".join(a))
"""


class AgentIdentity(unittest.TestCase):
    """scripts/agent-identity with a stand-in for `az`."""

    CLIENT = "22222222-3333-4444-5555-666666666666"
    PROGRAM = "7d1f0a52-0000-4000-8000-0000000a9e47"

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.home = Path(directory.name)
        (self.home / "az").write_text(FAKE_DIRECTORY)
        (self.home / "az").chmod(0o755)
        self.write({"appRoles": []})

    def write(self, application):
        (self.home / "application").write_text(json.dumps(application))

    def read(self, name):
        return json.loads((self.home / name).read_text())

    def run_script(self, *arguments):
        env = {"PATH": f"{self.home}:{os.environ['PATH']}", "FAKE": str(self.home)}
        return subprocess.run([ROOT / "scripts/agent-identity", *arguments], env=env, capture_output=True, text=True, timeout=20)

    def test_the_registration_gets_what_is_missing_and_keeps_the_rest(self):
        role = {"id": "1", "value": "Other"}
        claim = {"name": "acct"}
        self.write({
            "appRoles": [role], "optionalClaims": {"idToken": [claim], "accessToken": [claim]},
            "identifierUris": ["https://gate.example.com"], "api": {"acceptMappedClaims": True},
        })
        for _ in range(2):
            done = self.run_script("register", self.CLIENT)
            self.assertEqual((done.returncode, done.stdout), (0, f"HO_AUDIENCE=api://{self.CLIENT}\n"), done.stderr)
        changed = self.read("application")
        self.assertEqual(changed["appRoles"][0], role)
        self.assertEqual([it["value"] for it in changed["appRoles"]], ["Other", "Agent.Ask"])
        self.assertEqual(changed["appRoles"][1]["allowedMemberTypes"], ["Application"])
        self.assertEqual(changed["optionalClaims"]["idToken"], [claim])
        self.assertEqual([it["name"] for it in changed["optionalClaims"]["accessToken"]], ["acct", "idtyp"])
        self.assertEqual(changed["identifierUris"], ["https://gate.example.com", f"api://{self.CLIENT}"])
        self.assertEqual(changed["api"], {"acceptMappedClaims": True, "requestedAccessTokenVersion": 2})

    def test_a_program_gets_the_role_once(self):
        refused = self.run_script("allow", self.CLIENT, self.PROGRAM)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("agent-identity register", refused.stderr)
        self.assertEqual(self.run_script("register", self.CLIENT).returncode, 0)
        (role,) = self.read("application")["appRoles"]
        for says in ["may ask", "may ask already"]:
            done = self.run_script("allow", self.CLIENT, self.PROGRAM)
            self.assertEqual(done.stdout, f"{self.PROGRAM}: {says}\n", done.stderr)
            expected = {"principalId": self.PROGRAM, "resourceId": "gate-1", "appRoleId": role["id"]}
            self.assertEqual(self.read("assigned"), expected)

    def test_what_is_no_id_is_refused(self):
        for arguments in [(), ("register",), ("register", "x"), ("allow", self.CLIENT), ("allow", self.CLIENT, "x'"), ("other", self.CLIENT)]:
            with self.subTest(arguments):
                done = self.run_script(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertIn("agent-identity register CLIENT_ID", done.stderr)


FAKE_AZ = """#!/usr/bin/env -S python3 -IS
import json, os, sys
home = os.environ["FAKE"]
a = sys.argv[1:]
option = lambda name: a[a.index(name) + 1]
with open(home + "/calls", "a") as calls:
    calls.write(json.dumps(a) + "\\n")
vault = home + "/vault"
if a[:3] == ["keyvault", "secret", "list"]:
    if os.path.exists(home + "/locked"):
        os.remove(home + "/locked")
        sys.exit("Forbidden")
    print("\\n".join(sorted(os.listdir(vault))))
elif a[:3] == ["keyvault", "secret", "set"]:
    file = option("--file")
    assert os.stat(file).st_mode & 0o077 == 0, "others can read " + file
    assert option("--encoding") == "utf-8" and option("--output") == "none"
    with open(vault + "/" + option("--name"), "x") as secret:
        secret.write(open(file).read())
elif a[:3] == ["role", "assignment", "delete"]:
    assert os.listdir(vault), "the role ends before the keys are there"
elif a[0] == "rest" and option("--method") == "get":
    if os.path.exists(home + "/unresolved"):
        left = int(open(home + "/unresolved").read())
        if left:
            print("HO_LINK_KEYS\\tAccessToKeyVaultDenied")
        open(home + "/unresolved", "w").write(str(max(left - 1, 0)))
    if os.path.exists(home + "/unknown"):
        sys.exit("NotFound")
elif a[0] == "rest":
    assert option("--method") == "post" and option("--output") == "none"
else:
    sys.exit("unexpected: " + " ".join(a))
"""


class Hook(unittest.TestCase):
    """scripts/vault-keys with a stand-in for `az`."""

    def setUp(self):
        self.assertTrue(GATE.exists(), "build the gate first")
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.home = Path(directory.name)
        (self.home / "vault").mkdir()
        (self.home / "tmp").mkdir()
        # A stand-in for sleep, so that no test waits.
        for name, script in [("az", FAKE_AZ), ("sleep", "#!/bin/sh\n")]:
            (self.home / name).write_text(script)
            (self.home / name).chmod(0o755)

    def run_hook(self, **more):
        given = {
            "PATH": f"{self.home}:{os.environ['PATH']}",
            "FAKE": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "HUMAN_OVERSIGHT": str(GATE),
            "AZURE_KEY_VAULT_NAME": "kv-1",
            "AZURE_FUNCTION_APP_NAME": "func-1",
            "AZURE_RESOURCE_GROUP": "rg-1",
            "AZURE_SUBSCRIPTION_ID": "sub-1",
            "AZURE_KEY_WRITER_ROLE": "/role-1",
            **more,
        }
        call = {"env": given, "cwd": self.home, "capture_output": True, "text": True, "timeout": 20}
        done = subprocess.run([ROOT / "scripts/vault-keys"], **call)
        self.assertEqual(list((self.home / "tmp").iterdir()), [], "something is left over")
        return done

    def calls(self):
        calls = [json.loads(line) for line in (self.home / "calls").read_text().splitlines()]
        (self.home / "calls").unlink()
        return calls

    def vault(self):
        return {path.name: path.read_text() for path in (self.home / "vault").iterdir()}

    def test_keys_are_made_once_and_never_shown(self):
        (self.home / "locked").touch()
        done = self.run_hook()
        self.assertEqual(done.returncode, 0, done.stderr)
        vault = self.vault()
        self.assertEqual(vault.keys(), {"link-keys", "receipt-keys"})
        for value in vault.values():
            self.assertRegex(value, r"\A[0-9a-f]{8}:[A-Za-z0-9+/]{40,}=*\Z")
        calls = self.calls()
        everything = done.stdout + done.stderr + json.dumps(calls)
        for value in vault.values():
            self.assertNotIn(value.split(":")[1], everything)
        refreshed = [c for c in calls if c[0] == "rest" and "post" in c]
        site = "/subscriptions/sub-1/resourceGroups/rg-1/providers/Microsoft.Web/sites/func-1/"
        self.assertEqual(len(refreshed), 1)
        self.assertIn(f"{site}config/configreferences/appsettings/refresh?", refreshed[0][-1])

        self.assertEqual(self.run_hook().returncode, 0)
        self.assertEqual(self.vault(), vault)
        begins = [c[:3] for c in self.calls()]
        self.assertEqual(begins, [["keyvault", "secret", "list"], ["role", "assignment", "delete"], ["rest", "--method", "get"]])

    def test_the_role_of_who_deploys_ends_when_the_keys_are_there(self):
        self.run_hook()
        calls = self.calls()
        begins = [c[:3] for c in calls]
        self.assertIn(["role", "assignment", "delete", "--ids", "/role-1", "--output", "none"], calls)
        self.assertGreater(begins.index(["role", "assignment", "delete"]), begins.index(["keyvault", "secret", "set"]))
        # Where no role was assigned, nothing is asked of the vault.
        done = self.run_hook(AZURE_KEY_WRITER_ROLE="")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the vault stays as it is", done.stdout)
        self.assertEqual([c[:3] for c in self.calls()], [["rest", "--method", "get"]])

    def test_the_password_of_a_relay_is_in_the_vault_before_the_role_ends(self):
        (self.home / "password").write_text("a word, and more\n")
        done = self.run_hook(AZURE_RELAY_PASSWORD="true", RELAY_PASSWORD_FILE="password")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.vault()["smtp-password"], "a word, and more")
        calls = self.calls()
        self.assertNotIn("a word", done.stdout + done.stderr + json.dumps(calls))
        self.assertEqual([c[:3] for c in calls].count(["keyvault", "secret", "set"]), 3)
        self.assertGreater(
            [c[:3] for c in calls].index(["role", "assignment", "delete"]),
            max(n for n, c in enumerate(calls) if c[:3] == ["keyvault", "secret", "set"]),
        )
        # It stays, and the file is not needed again.
        done = self.run_hook(AZURE_RELAY_PASSWORD="true")
        self.assertEqual((done.returncode, self.vault()["smtp-password"]), (0, "a word, and more"), done.stderr)

    def test_the_role_stays_until_the_password_of_a_relay_is_given(self):
        for file in ["", str(self.home / "nowhere"), str(self.home / "empty")]:
            with self.subTest(file):
                (self.home / "empty").write_text("\n")
                done = self.run_hook(AZURE_RELAY_PASSWORD="true", RELAY_PASSWORD_FILE=file)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn("RELAY_PASSWORD_FILE", done.stderr)
                self.assertNotIn(["role", "assignment", "delete"], [c[:3] for c in self.calls()])
                self.assertNotIn("smtp-password", self.vault())

    def test_keys_expire_when_the_deployment_says_so(self):
        self.run_hook()
        self.assertFalse([c for c in self.calls() if "--expires" in c])
        for key in (self.home / "vault").iterdir():
            key.unlink()
        self.run_hook(AZURE_SECRET_DAYS="365")
        dates = [c[c.index("--expires") + 1] for c in self.calls() if "--expires" in c]
        self.assertEqual(len(dates), 2)
        for date in dates:
            left = datetime.fromisoformat(date.replace("Z", "+00:00")) - datetime.now(UTC)
            self.assertEqual(left.days, 364)

    def test_references_that_the_app_cannot_resolve_stop_the_deployment(self):
        (self.home / "unresolved").write_text("3")
        done = self.run_hook()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("references to the vault: resolved", done.stdout)
        # With each try, the app is asked to resolve them again.
        self.assertEqual(len([c for c in self.calls() if c[0] == "rest" and "post" in c]), 4)
        (self.home / "unresolved").write_text("1000")
        done = self.run_hook()
        self.assertEqual(done.returncode, 1)
        self.assertIn("HO_LINK_KEYS\tAccessToKeyVaultDenied", done.stderr)
        self.assertIn("publicVault", done.stderr)
        (self.home / "unknown").touch()
        (self.home / "unresolved").write_text("0")
        done = self.run_hook()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("could not be checked", done.stderr)

    def test_what_is_there_stays_and_what_is_missing_is_made(self):
        (self.home / "vault/link-keys").write_text("as it was")
        self.assertEqual(self.run_hook().returncode, 0)
        vault = self.vault()
        self.assertEqual(vault.pop("link-keys"), "as it was")
        self.assertEqual(vault.keys(), {"receipt-keys"})

    def test_the_gate_starts_with_what_the_hook_makes(self):
        self.run_hook()
        vault = self.vault()
        environment = {"HO_LINK_KEYS": vault["link-keys"], "HO_RECEIPT_KEYS": vault["receipt-keys"]}
        done = subprocess.run(
            [GATE, "verify"], env={**environment, "HO_STORE": f"embedded:{self.home}/store"}, capture_output=True, text=True, timeout=20
        )
        self.assertNotIn("cannot be used", done.stderr)
        broken = subprocess.run(
            [GATE, "verify"], env={**environment, "HO_LINK_KEYS": "x"}, capture_output=True, text=True, timeout=20
        )
        self.assertIn("HO_LINK_KEYS cannot be used", broken.stderr)

    def test_a_vault_that_stays_closed_gets_nothing(self):
        (self.home / "vault").rmdir()
        done = self.run_hook()
        self.assertEqual(done.returncode, 1)
        self.assertIn("the vault kv-1 cannot be read", done.stderr)
        self.assertEqual({tuple(c[:3]) for c in self.calls()}, {("keyvault", "secret", "list")})


if __name__ == "__main__":
    unittest.main()
