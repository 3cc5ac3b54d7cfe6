"""Predicts what a deployment of infra/ makes, in the form of `bicep snapshot`, on a machine without the compiler.

It evaluates what these files use of the language. What only Azure knows stays text in square brackets."""

import ipaddress
import re
from pathlib import Path

from bicep import File, evaluate, fail, literal, member, members, text

SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000001"
GROUP = f"{SUBSCRIPTION}/resourceGroups/rg-gate"
TENANT = "00000000-0000-0000-0000-000000000002"
# Of the modules: a module's scope is the group, and nothing that is made has another one.
BUILT_IN = {
    "resourceGroup().id": GROUP,
    "resourceGroup().name": "rg-gate",
    "resourceGroup().location": "westeurope",
    "subscription().id": SUBSCRIPTION,
    "tenant().tenantId": TENANT,
    "deployer().objectId": "00000000-0000-0000-0000-000000000003",
    "environment().suffixes.storage": "core.windows.net",
    "environment().suffixes.keyvaultDns": ".vault.azure.net",
    "environment().authentication.loginEndpoint": "https://login.microsoftonline.com/",
    "app::delivery.listKeys().default": "[listKeys('functions/delivery').default]",
    "null": None,
    "any": lambda value: value,
    "guid": lambda *parts: "[guid(" + ", ".join(f"'{part}'" for part in parts) + ")]",
    "subscriptionResourceId": lambda kind, name: f"{SUBSCRIPTION}/providers/{kind}/{name}",
    "uniqueString": lambda *_: "3cnjw3mixzqau",
    "cidrSubnet": lambda cidr, size, index: str(list(ipaddress.ip_network(cidr).subnets(new_prefix=size))[index]),
}


class Unknown(Exception):
    """A name that is not known yet, or never."""


def valued(node, names):
    try:
        return evaluate(node, names)
    except ValueError as unknown:
        raise Unknown(str(unknown)) from unknown


def parts_of(declaration):
    """The condition, the loop and the body of a declared resource or module."""
    node, condition = declaration, None
    if node.type == "if_statement":
        condition, node = node.named_children
    if node.type == "for_statement":
        return condition, node.named_children[:-1], node.named_children[-1]
    return condition, None, node


def instances(declaration, names):
    """Each instance of a declaration as its body and the names that it sees; none if its condition is false."""
    condition, loop, body = parts_of(declaration)
    if condition is not None and not valued(condition, names):
        return
    if loop is None:
        yield body, names
        return
    variables = [text(v) for v in loop[0].named_children] or [text(loop[0])]
    for index, item in enumerate(valued(loop[1], names)):
        yield body, {**names, **dict(zip(variables, (item, index)))}


class Prediction:
    def __init__(self, path, given):
        self.file = File(path)
        self.path = Path(path)
        self.resources, self.outputs = [], {}
        self.names = {**BUILT_IN, **self.file.functions, "loadTextContent": lambda name: (self.path.parent / name).read_text()}
        self._parameters(given)
        self._settle({name: (lambda node=node: valued(node, self.names)) for name, node in self.file.vars.items()}
                     | {f"{s}.id": (lambda s=s: self._identify(s)) for s in self.file.resources}
                     | {f"{s}.outputs": (lambda s=s: self._module(s)) for s in self.file.modules})
        for symbol, resource in self.file.resources.items():
            if not resource.existing:
                self._make(symbol, resource)
        self.outputs = {name: valued(node, self.names) for name, node in self.file.outputs.items()}

    def _parameters(self, given):
        unknown = given.keys() - self.file.params.keys()
        if unknown:
            fail(f"no such parameters: {sorted(unknown)}")
        for name, (_, default) in self.file.params.items():
            self.names[name] = given[name] if name in given else valued(default, self.names)

    def _settle(self, pending):
        """Evaluates what depends on each other, in the order that this needs."""
        while pending:
            settled = {}
            for name, value in pending.items():
                try:
                    settled[name] = value()
                    self.names[name] = settled[name]
                except Unknown as unknown:
                    last = unknown
            if not settled:
                raise last
            pending = {name: value for name, value in pending.items() if name not in settled}

    def _identify(self, symbol):
        """The id of a resource, and what is read of it."""
        resource = self.file.resources[symbol]
        if parts_of(resource.declared)[1] is not None:
            return None
        name = self._full_name(resource, valued(member(resource.body, "name"), self.names))
        provider, *types = resource.type.split("/")
        parts = [name] if name.startswith("[") else name.split("/")
        pairs = "/".join(f"{kind}/{part}" for kind, part in zip(types, parts))
        scope = member(resource.body, "scope")
        within = self._known(f"{text(scope)}.id") if scope else GROUP
        identity = f"{within}/providers/{provider}/{pairs}"
        self.names[f"{symbol}.fullName"] = name
        self.names[f"{symbol}.name"] = name.rsplit("/", 1)[-1]
        for ways in [symbol, *([f"{resource.parent}::{symbol}"] if resource.parent else [])]:
            self.names[f"{ways}.id"] = identity
            for path in re.findall(rf"(?<![\w.:]){ways}\.(properties(?:\.\w+)+)", self.file.source):
                self.names[f"{ways}.{path}"] = f"[reference('{identity}').{path.removeprefix('properties.')}]"
        return identity

    def _full_name(self, resource, name):
        named = member(resource.body, "parent")
        parent = resource.parent or (named and text(named))
        return f"{self._known(f'{parent}.fullName')}/{name}" if parent else name

    def _known(self, name):
        if name not in self.names:
            raise Unknown(name)
        return self.names[name]

    def _module(self, symbol):
        path, _ = self.file.modules[symbol]
        for body, names in instances(self.file.declared_modules[symbol], self.names):
            given = valued(member(body, "params"), names)
            try:
                made = Prediction(self.path.parent / path, given)
            except Unknown as unknown:
                raise LookupError(f"{path}: {unknown}") from unknown
            self.resources += made.resources
            for output, value in made.outputs.items():
                self.names[f"{symbol}.outputs.{output}"] = self.names[f"{symbol}!.outputs.{output}"] = value
        return True

    def _make(self, symbol, resource):
        for body, names in instances(resource.declared, self.names):
            made = {"type": resource.type, "apiVersion": resource.version, "id": self.names.get(f"{symbol}.id")}
            made["name"] = self.names.get(f"{symbol}.fullName")
            for name, node in members(body):
                if name == "scope":
                    made["scope"] = self.names[f"{text(node)}.id"]
                elif name == "name" and made["name"] is None:
                    made["name"] = self._full_name(resource, valued(node, names))
                elif name not in ("name", "parent", "dependsOn"):
                    made[name] = valued(node, names)
            self.resources.append(made)


def predict(path, given):
    made = Prediction(path, given)
    return {"predictedResources": made.resources, "outputs": made.outputs, "diagnostics": []}


def parameters(path, environment=()):
    """The values that a .bicepparam file gives."""
    file = File(path)
    names = {f"readEnvironmentVariable('{name}', '{default}')": dict(environment).get(name, default)
             for name, default in re.findall(r"readEnvironmentVariable\('(\w+)', '([^']*)'\)", file.source)}
    names |= {f"readEnvironmentVariable('{name}')": value for name, value in dict(environment).items()}
    names["loadTextContent"] = lambda name: (Path(path).parent / name).read_text()
    return {name: evaluate(value, names) for name, (_, value) in file.params.items()}
