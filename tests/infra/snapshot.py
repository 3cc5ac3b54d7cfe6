"""What is checked of a whole deployment, as `bicep snapshot` or predict.py gives it."""

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
FLEX = json.loads((HERE / "flex.json").read_text())
ROLES = json.loads((HERE / "roles.json").read_text())

# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
NAMES = {
    "Microsoft.Communication/communicationServices": r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    "Microsoft.Communication/emailServices": r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    "Microsoft.EventGrid/systemTopics": r"[A-Za-z0-9-]{3,128}",
    "Microsoft.Insights/actionGroups": r"[^:<>+/&%\\?|]{1,259}[^:<>+/&%\\?| .]",
    "Microsoft.Insights/components": r"[^%&\\?/]{1,259}[^%&\\?/ .]",
    "Microsoft.Insights/scheduledQueryRules": r"[^*#&+:<>?@%{}\\/]{1,259}[^*#&+:<>?@%{}\\/ .]",
    "Microsoft.KeyVault/vaults/secrets": r"[A-Za-z0-9-]{1,127}",
    "Microsoft.KeyVault/vaults": r"[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]",
    "Microsoft.ManagedIdentity/userAssignedIdentities": r"[A-Za-z0-9][A-Za-z0-9_-]{2,127}",
    "Microsoft.Network/networkSecurityGroups": r"[A-Za-z0-9][A-Za-z0-9_.-]{0,78}[A-Za-z0-9_]",
    "Microsoft.Network/privateEndpoints": r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}[A-Za-z0-9_]",
    "Microsoft.Network/virtualNetworks": r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}[A-Za-z0-9_]",
    "Microsoft.OperationalInsights/workspaces": r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]",
    "Microsoft.Storage/storageAccounts": r"[a-z0-9]{3,24}",
    "Microsoft.Storage/storageAccounts/tableServices/tables": r"[A-Za-z][A-Za-z0-9]{2,62}",
    "Microsoft.Web/serverfarms": r"[A-Za-z0-9-]{1,60}",
    "Microsoft.Web/sites": r"[A-Za-z0-9][A-Za-z0-9-]{0,58}[A-Za-z0-9]",
}

# Each role as docs/deployment.md has it: what it is given on, and who gets it.
ASSIGNED = {
    "Communication and Email Service Owner": ("Microsoft.Communication/communicationServices", "the gate"),
    "Key Vault Secrets Officer": ("Microsoft.KeyVault/vaults", "who deploys"),
    "Key Vault Secrets User": ("Microsoft.KeyVault/vaults", "the gate"),
    "Monitoring Metrics Publisher": ("Microsoft.Insights/components", "the gate"),
    "Storage Blob Data Owner": ("Microsoft.Storage/storageAccounts", "the gate"),
    "Storage Table Data Contributor": ("Microsoft.Storage/storageAccounts", "the gate"),
    "Storage Table Data Reader": ("Microsoft.Storage/storageAccounts", "readers"),
}

# What has no tags of its own: it belongs to something that has.
WITHOUT_TAGS = re.compile(
    r"Microsoft\.(Authorization|EventGrid/systemTopics/|KeyVault/vaults/|Web/sites/|Insights/diagnosticSettings|Storage/storageAccounts/|OperationalInsights/workspaces/"
    r"|Network/privateEndpoints/|Network/virtualNetworks/)"
)

# What keeps or shows something: each must record who did what.
RECORDED = [
    "Microsoft.Communication/communicationServices",
    "Microsoft.KeyVault/vaults",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.Storage/storageAccounts/tableServices",
]

# A reference to the vault, or what only Azure knows.
SECRETS = {"HO_LINK_KEYS": "link-keys", "HO_RECEIPT_KEYS": "receipt-keys", "HO_SMTP_PASSWORD": "smtp-password"}


def settings():
    """Who sets each setting, by docs/deployment.md."""
    documentation = HERE.parent.parent / "docs/deployment.md"
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", documentation.read_text(), re.M))


class Snapshot:
    def __init__(self, snapshot):
        self.diagnostics, self.outputs = snapshot["diagnostics"], snapshot.get("outputs", {})
        self.resources = snapshot["predictedResources"]

    def of(self, kind):
        return [r for r in self.resources if r["type"] == kind]

    def one(self, kind):
        (found,) = self.of(kind)
        return found

    def settings(self):
        (found,) = [r for r in self.of("Microsoft.Web/sites/config") if r["name"].endswith("/appsettings")]
        return found["properties"]

    def targets(self, kind):
        """What resources of a kind are given on. The compiler has it in the id or the scope."""
        return [r.get("scope") or r["id"] for r in self.of(kind)]


def faults(snapshot, given, known):
    """What is wrong with a snapshot, a line each. `given` are the parameters; `known` is who sets each setting."""
    whole = Snapshot(snapshot)
    for diagnostic in whole.diagnostics:
        yield f"diagnostic: {diagnostic}"
    for check in (_site, _settings, _secrets, _names, _roles, _public, _recorded, _tags, _networks):
        yield from check(whole, given, known)


def _site(whole, given, known):
    site = whole.one("Microsoft.Web/sites")["properties"]
    for group, values in [("properties", site), ("siteConfig", site["siteConfig"]), ("functionAppConfig", site["functionAppConfig"])]:
        for name in values.keys() - FLEX["takes"][group].keys():
            yield f"site: {group} has {name}, which is not known to be taken on Flex Consumption"
    for name in whole.settings().keys() & FLEX["refuses"]["settings"].keys():
        yield f"site: the setting {name} is refused on Flex Consumption"


def _settings(whole, given, known):
    settings = whole.settings()
    for name, by in known.items():
        if by.startswith("Bicep") and name not in settings:
            yield f"settings: {name} is missing"
    for name, value in settings.items():
        if name.startswith("HO_CHANNEL_"):
            yield from _channel(whole, given, name, value)
        elif name not in known:
            yield f"settings: {name} is read by nothing"
        elif not known[name].startswith("Bicep") and name not in given.get("settings", {}):
            yield f"settings: {name} must not be set"
        if name in SECRETS and value and f"secrets/{SECRETS[name]}" not in value:
            yield f"settings: {name} is no reference to the vault"


def _channel(whole, given, name, value):
    """One that `channels` brings is a reference to what the vault gets of it, and to nothing else."""
    if name in given.get("settings", {}):
        return
    vault = whole.one("Microsoft.KeyVault/vaults")["name"]
    kept = {r["name"]: r["properties"]["value"] for r in whole.of("Microsoft.KeyVault/vaults/secrets")}
    named = re.fullmatch(r"@Microsoft\.KeyVault\(VaultName=([^;]+);SecretName=([^;)]+)\)", value)
    secret = named and f"{named[1]}/{named[2]}"
    if not named or named[1] != vault or secret not in kept:
        yield f"settings: {name} is no reference to the vault"
    elif kept[secret] != given["channels"].get(name):
        yield f"settings: {name} refers to the secret of another"


def _secrets(whole, given, known):
    """What is secret is written into the vault, and nowhere else."""
    for resource in whole.resources:
        found = json.dumps(resource)
        for name, value in given.get("channels", {}).items():
            is_kept = resource["type"] == "Microsoft.KeyVault/vaults/secrets" and found.count(value) == 1
            if value in found and not is_kept:
                yield f"secrets: {resource['type']} {resource['name']} shows {name}"


def _names(whole, given, known):
    seen = set()
    for resource in whole.resources:
        kind, name = resource["type"], resource["name"].rsplit("/", 1)[-1]
        if kind in NAMES and not re.fullmatch(NAMES[kind], name):
            yield f"names: {kind} {name}"
        if resource["id"] and resource["id"] in seen and not resource["id"].startswith("["):
            yield f"names: {resource['id']} twice"
        seen.add(resource["id"])


def _roles(whole, given, known):
    kind = "Microsoft.Authorization/roleAssignments"
    for resource, target in zip(whole.of(kind), whole.targets(kind)):
        role = ROLES.get(resource["properties"]["roleDefinitionId"].rsplit("/", 1)[-1])
        if role not in ASSIGNED:
            yield f"roles: {role} is not documented"
            continue
        on, who = ASSIGNED[role]
        principal = resource["properties"]["principalId"]
        is_gate = "reference(" in principal and "userAssignedIdentities" in principal
        if f"/providers/{on}/" not in target:
            yield f"roles: {role} is not given on {on}"
        if is_gate != (who == "the gate") or (who == "readers" and principal not in given.get("readers", [])):
            yield f"roles: {role} is not given to {who}"


def _public(whole, given, known):
    """Nothing that a private deployment keeps may be reached from outside its network."""
    if not given.get("privateNetwork"):
        return
    kinds = ["Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"]
    if given.get("privateApp"):
        kinds.append("Microsoft.Web/sites")
    for resource in (resource for kind in kinds for resource in whole.of(kind)):
        properties = resource["properties"]
        kind, is_hosts = resource["type"], resource["name"].endswith("h")
        if given.get("publicVault" if kind == "Microsoft.KeyVault/vaults" else "publicPackage" if is_hosts else ""):
            continue
        # The addresses of operators reach the requests and the vault, and nothing else does.
        operators = given.get("operatorIps") and properties.get("networkAcls", {}).get("ipRules")
        if properties["publicNetworkAccess"] != "Disabled" and not operators:
            yield f"public: {resource['type']} {resource['name']}"
        if "networkAcls" in properties and properties["networkAcls"]["defaultAction"] != "Deny":
            yield f"public: {resource['type']} {resource['name']} lets every address in"
    if whole.one("Microsoft.Web/sites")["properties"]["virtualNetworkSubnetId"] is None:
        yield "public: the app calls from outside the network"
    endpoints = {r["properties"]["privateLinkServiceConnections"][0]["properties"]["groupIds"][0] for r in whole.of("Microsoft.Network/privateEndpoints")}
    for group in {"blob", "table", "vault", *(["sites"] if given.get("privateApp") else [])} - endpoints:
        yield f"public: no private endpoint for {group}"


def _recorded(whole, given, known):
    if given.get("diagnostics") == "none":
        return
    kinds = RECORDED + (["Microsoft.Web/sites"] if given.get("diagnostics") == "all" else [])
    recorded = whole.targets("Microsoft.Insights/diagnosticSettings")
    for resource in (resource for kind in kinds for resource in whole.of(kind)):
        if not any(f"{resource['id']}/providers/" in f"{target}/providers/" or f"'{resource['id']}'" in target for target in recorded):
            yield f"recorded: nothing of {resource['type']} {resource['name']}"


def _tags(whole, given, known):
    for resource in whole.resources:
        wanted = given.get("tags", {}).items()
        if not WITHOUT_TAGS.match(resource["type"]) and not wanted <= resource.get("tags", {}).items():
            yield f"tags: {resource['type']} {resource['name']}"
    if whole.one("Microsoft.Web/sites").get("tags", {}).get("azd-service-name") != "gate":
        yield "tags: azd does not find the app"


def _networks(whole, given, known):
    for network in whole.of("Microsoft.Network/virtualNetworks"):
        for subnet in network["properties"]["subnets"]:
            if "networkSecurityGroup" not in subnet["properties"]:
                yield f"networks: the subnet {subnet['name']} has no network security group"
            if subnet["name"] == "endpoints" and subnet["properties"]["privateEndpointNetworkPolicies"] == "Disabled":
                yield "networks: no rule applies to the private endpoints"
