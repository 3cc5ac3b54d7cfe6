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
from pathlib import Path

import yaml
from bicep import CALLS, Failure, File, Types, evaluate, literal, member, members, names_used, text

ROOT = Path(__file__).parent.parent.parent
HERE = ROOT / "tests/infra"
INFRA = ROOT / "infra"
FILES = {path.name: File(path) for path in sorted(INFRA.glob("*.bicep"))}
EXAMPLE = File(INFRA / "main.bicepparam")
MAIN, APP = FILES["main.bicep"], FILES["app.bicep"]
TYPES = Types(json.loads((HERE / "types.json").read_text()))
GATE = ROOT / os.environ.get("HUMAN_OVERSIGHT", "target/debug/human-oversight")

FUNCTIONS = {
    "any", "cidrSubnet", "deployer", "environment", "guid", "loadTextContent", "readEnvironmentVariable", "replace",
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
        for file in [*FILES.values(), EXAMPLE]:
            self.assertEqual([(file.path.name, n.start_point) for n in file.errors()], [])
        self.assertTrue(File("broken.bicep", "param a string = {\n").errors())

    def test_every_parameter_and_output_is_described(self):
        for name, file in FILES.items():
            self.assertEqual({*file.params, *file.outputs} - file.described, set(), name)

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
            ("storageAccounts@2024-01-01", "storageAccounts@2024-01-02", "no such type"),
            ("publicAccess: 'None'", "hasLegalHold: true", "read only"),
            ("'Disabled' : 'Enabled'", "'Disabled' : 'On'", "'On' is none of"),
            ("'tableServices'", "'tableService'", "no such type"),
        ]:
            self.assertIn(line, storage)
            file = File("storage.bicep", storage.replace(line, instead))
            wrong = [w for r in file.resources.values() for w in TYPES.check(r)]
            self.assertTrue(any(says in w for w in wrong), f"{instead}: {wrong}")

    def test_the_app_has_only_what_flex_consumption_takes(self):
        # Azure's types describe every plan. These are refused on this one, or set in functionAppConfig instead:
        # https://learn.microsoft.com/azure/azure-functions/functions-app-settings#flex-consumption-plan-deprecations
        site = member(APP.resources["app"].body, "properties")
        refused = {
            "alwaysOn", "appSettings", "containerSize", "ftpsState", "functionAppScaleLimit", "functionsRuntimeScaleMonitoringEnabled",
            "isReserved", "javaVersion", "linuxFxVersion", "minimumElasticInstanceCount", "netFrameworkVersion", "nodeVersion",
            "powerShellVersion", "preWarmedInstanceCount", "pythonVersion", "use32BitWorkerProcess", "windowsFxVersion",
        }  # fmt: skip
        given = {name for name, _ in [*members(site), *members(member(site, "siteConfig"))]}
        self.assertEqual(given & refused, set())
        deprecated = {
            "ENABLE_ORYX_BUILD", "FUNCTIONS_EXTENSION_VERSION", "FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_WORKER_RUNTIME_VERSION",
            "SCM_DO_BUILD_DURING_DEPLOYMENT", "WEBSITE_CONTENTAZUREFILECONNECTIONSTRING", "WEBSITE_CONTENTSHARE",
            "WEBSITE_RUN_FROM_PACKAGE", "WEBSITE_VNET_ROUTE_ALL",
        }  # fmt: skip
        self.assertEqual(app_settings().keys() & deprecated, set())

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
            declared = {*file.params, *file.vars, *file.resources, *file.modules}
            # The parser takes `name!` in an object for a type.
            used = names_used(file.root) | {name for name in declared if f"{name}!.outputs" in file.source}
            loops = {name for pair in re.findall(r"\[\s*for \(?(\w+)(?:, (\w+)\))? in", file.source) for name in pair if name}
            loops |= set(re.findall(r"\b(\w+) => ", file.source))
            self.assertEqual(used - declared - loops - FUNCTIONS, set(), name)
            self.assertEqual({*file.params, *file.vars} - used, set(), f"{name}: not used")

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
            self.assertEqual(re.findall(r"\blist[A-Z]\w*\(|@secure|AccountKey|SharedAccess\w*=", file.source), [], name)
            for output, value in file.outputs.items():
                self.assertNotIn("KeyVault", text(value), output)

    def test_every_query_is_saved_where_operators_look(self):
        loaded = re.findall(r"loadTextContent\('queries/(\w+)\.kql'\)", FILES["monitoring.bicep"].source)
        self.assertEqual(sorted(loaded), sorted(path.stem for path in (INFRA / "queries").glob("*.kql")))
        documented = re.findall(r"\(\.\./infra/queries/(\w+)\.kql\)", (ROOT / "docs/operations.md").read_text())
        self.assertEqual(set(documented), set(loaded))

    def test_alerts_look_for_what_is_logged(self):
        rules = FILES["alerts.bicep"].vars["rules"].named_children
        sources = "".join(path.read_text() for path in (ROOT / "src").rglob("*.rs"))
        phrases = [p for rule in rules for p in re.findall(r'contains "(.+?)"', literal(member(rule, "query")))]
        self.assertGreater(len(phrases), 3)
        for phrase in phrases:
            # The sweep's own answer ends with a variable.
            self.assertIn(phrase.replace("true", "{complete}"), sources)


class Costs(unittest.TestCase):
    def test_the_documented_ones_are_computed_from_what_is_so(self):
        subprocess.run([ROOT / "scripts/cost", "--check"], check=True)


class Settings(unittest.TestCase):
    def test_the_table_is_what_the_gate_reads_and_what_bicep_writes(self):
        read, rows, bicep = read_settings(), table(), app_settings()
        self.assertGreater(len(read), 30)
        known = re.findall(r'^    "([A-Z_]+)",$', (ROOT / "src/config/known.rs").read_text(), re.M)
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
        hook = dict(re.findall(r"^put (\w+) ([\w-]+)$", (ROOT / "scripts/vault-keys").read_text(), re.M))
        secrets = {name: re.search(r"secrets/([\w-]+)", reference)[1] for name, reference in references.items()}
        # The relay's password is not ours to make.
        self.assertIn(f"--name {secrets.pop('HO_SMTP_PASSWORD')} ", (ROOT / "docs/deployment.md").read_text())
        self.assertEqual(secrets, hook)

    def test_azd_runs_what_is_there(self):
        azd = yaml.safe_load((ROOT / "azure.yaml").read_text())
        (service, what), = azd["services"].items()
        self.assertEqual(text(member(member(APP.resources["app"].body, "tags"), "azd-service-name")), f"'{service}'")
        self.assertTrue((ROOT / azd["infra"]["path"] / f"{azd['infra']['module']}.bicep").exists())
        for hook in [*azd["hooks"].values(), *what["hooks"].values()]:
            script = ROOT / hook["posix"]["run"].removeprefix("exec ")
            self.assertTrue(os.access(script, os.X_OK), script)
        self.assertEqual(what["dist"], "dist")
        # azd refuses this language unless it is switched on.
        switch = f"azd config set alpha.language.{what['language']} on"
        deployment = (ROOT / "docs/deployment.md").read_text()
        self.assertIn(switch, deployment)
        self.assertNotIn("alpha.resourceGroupDeployments", deployment)
        self.assertIn(f"azd {azd['requiredVersions']['azd'].removeprefix('>= ').removesuffix('.0')}", deployment)
        hook = (ROOT / "scripts/vault-keys").read_text()
        for name in set(re.findall(r"\$\{(AZURE_\w+):\?", hook)):
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
    names = {**AZURES, "deployer().objectId": "", "resourceGroup().location": "westeurope"}
    for name, (_, default) in MAIN.params.items():
        names[name] = given[name] if name in given else evaluate(default, names)
    for name in ["signIn", "signs", "unusableNames", "refusals"]:
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
            return evaluate(MAIN.vars["prefix"], names_of({"allowedApprovers": "alice@example.com", **given}))
        except Failure as failure:
            return str(failure)

    def test_what_azure_or_the_gate_would_refuse_is_refused_first(self):
        client = {"entraClientId": "22222222-3333-4444-5555-666666666666"}
        smtp = {"mail": "smtp", "smtpUrl": "smtps://relay.example.com", "mailFrom": "gate@example.com"}
        for given, says in [
            ({"stem": "My-Gate_X"}, "stem must"),
            ({"stem": "1gate"}, "stem must"),
            ({"stem": "gäte"}, "stem must"),
            ({"tableName": "My-Table"}, "tableName must"),
            ({"tableName": "1table"}, "tableName must"),
            ({"identity": "entra"}, "entraClientId"),
            ({"requireEntraFor": "Delete *"}, "entraClientId"),
            ({"identity": "entra", "entraClientId": "gate"}, "entraClientId must be the GUID"),
            ({"identity": "entra", **client, "entraTenant": "contoso.com"}, "entraTenant must"),
            ({"mail": "graph"}, "needs mailbox"),
            ({**smtp, "smtpUrl": ""}, "needs smtpUrl"),
            ({**smtp, "mailFrom": ""}, "needs mailFrom"),
            ({"mailDomainVerified": True}, "needs mailDomain"),
            ({"privateApp": True}, "needs privateNetwork"),
            ({"privateNetwork": True, "networkAddresses": "10.0.0.0/28"}, "at least a /24"),
            ({"operatorIps": ["198.51.100.7", "10.0.0.0/8"]}, "single addresses"),
            ({"sweepSchedule": "* *"}, "5 or 6 fields"),
        ]:
            with self.subTest(given):
                self.assertIn(says, self.refused(given))
        both = self.refused({"privateApp": True, "mail": "graph"})
        self.assertTrue("needs mailbox" in both and "needs privateNetwork" in both, both)

    def test_what_can_be_used_is_not_refused(self):
        client = {"entraClientId": "22222222-3333-4444-5555-666666666666"}
        for given in [
            {},
            {"stem": "gate1", "tableName": "Approvals2"},
            {"identity": "entra", **client},
            {"mail": "graph", "mailbox": "gate@example.com"},
            {"mail": "graph", "settings": {"HO_GRAPH_MAILBOX": "gate@example.com"}},
            {"mail": "smtp", "smtpUrl": "smtps://relay.example.com", "mailFrom": "gate@example.com"},
            {"mailDomain": "example.com", "mailDomainVerified": True},
            {"privateNetwork": True, "privateApp": True, "networkAddresses": "10.0.0.0/16"},
            {"operatorIps": ["198.51.100.7"]},
            {"sweepSchedule": "*/2 * * * *"},
            {"sweepSchedule": "00:01:00"},
        ]:
            with self.subTest(given):
                self.assertEqual(self.refused(given), given.get("stem", "oversight"))

    def test_nothing_is_made_past_a_refusal(self):
        after = MAIN.source.split("var prefix = ")[1].split("\n", 1)[1]
        self.assertNotIn("stem", after)
        self.assertGreater(after.count("${prefix}"), 10)


class Start(unittest.TestCase):
    """The gate, in production, with the settings that Bicep writes."""

    def start(self, given, more):
        self.assertTrue(GATE.exists(), "build the gate first")
        printed = subprocess.run([GATE, "keygen"], capture_output=True, text=True, timeout=20).stdout
        keys = dict(line.split("=", 1) for line in printed.splitlines())
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
            ({"allowedApprovers": "*@example.com", "allowWildcardLinks": True}, {}),
            ({"baseUrl": "https://gate.example.com", "settings": {"HO_OPEN_LIMIT": "5000"}}, {}),
            ({**evaluate_example(), **approvers}, {}),
        ]:
            with self.subTest(given):
                url = given.get("baseUrl", "https://func-oversight.azurewebsites.net")
                self.assertIn(f'listening url="{url}"', self.start({**approvers, **given}, more))

    def test_it_does_not_start_with_less(self):
        for given, says in [
            ({"allowedApprovers": ""}, "HO_ALLOWED_APPROVERS is not set"),
            ({"allowedApprovers": "*@example.com"}, "HO_ALLOWED_APPROVERS cannot be used"),
            ({"allowedApprovers": "alice@example.com", "mail": "graph"}, "HO_GRAPH_MAILBOX is not set"),
            ({"allowedApprovers": "alice@example.com", "identity": "entra"}, "WEBSITE_AUTH_ENABLED cannot be used"),
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

    def run_hook(self):
        given = {
            "PATH": f"{self.home}:{os.environ['PATH']}",
            "FAKE": str(self.home),
            "TMPDIR": str(self.home / "tmp"),
            "HUMAN_OVERSIGHT": str(GATE),
            "AZURE_KEY_VAULT_NAME": "kv-1",
            "AZURE_FUNCTION_APP_NAME": "func-1",
            "AZURE_RESOURCE_GROUP": "rg-1",
            "AZURE_SUBSCRIPTION_ID": "sub-1",
        }
        done = subprocess.run([ROOT / "scripts/vault-keys"], env=given, capture_output=True, text=True, timeout=20)
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
        refreshed = [c for c in calls if c[0] == "rest"]
        site = "/subscriptions/sub-1/resourceGroups/rg-1/providers/Microsoft.Web/sites/func-1/"
        self.assertEqual(len(refreshed), 1)
        self.assertIn(f"{site}config/configreferences/appsettings/refresh?", refreshed[0][-1])

        self.assertEqual(self.run_hook().returncode, 0)
        self.assertEqual(self.vault(), vault)
        self.assertEqual([c[:3] for c in self.calls()], [["keyvault", "secret", "list"]])

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
