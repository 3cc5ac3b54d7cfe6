"""Reads Bicep: not its compiler, but what of it can be checked on a machine without one."""

import re
from dataclasses import dataclass
from operator import add, eq, gt, lt, ne, sub
from pathlib import Path

import tree_sitter
import tree_sitter_bicep

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language()))


@dataclass
class Resource:
    type: str
    version: str
    existing: bool
    body: tree_sitter.Node
    declared: tree_sitter.Node
    parent: str | None


def text(node):
    return node.text.decode()


def walk(node):
    yield node
    for child in node.named_children:
        yield from walk(child)


# What a string has besides the expressions in it.
LITERAL = {"string_content", "escape_sequence"}


def unescaped(content):
    """What stands in a string, without its escapes."""
    return re.sub(r"\\(['\\$])", r"\1", content)


def literal(node):
    """A string's value, if it has no parts that are only known later."""
    if node.type == "string" and all(c.type in LITERAL for c in node.named_children):
        return unescaped(text(node)[1:-1])
    return None


def pairs(node):
    """An object's properties, in pairs of the nodes of name and value; resources in it are none."""
    for item in node.named_children:
        if item.type != "object_property" or item.named_children[0].type == "resource_declaration":
            continue
        name, *rest = [c for c in item.named_children if c.type != "comment"]
        yield name, rest[-1] if rest else None


def members(node):
    """The same, with the name as text."""
    for name, value in pairs(node):
        yield (literal(name) if name.type == "string" else text(name)), value


def member(node, name):
    return next((value for key, value in members(node) if key == name), None)


def bodies(node):
    """What a declaration comes to, with its condition and its loop left out."""
    if node.type == "if_statement":
        return bodies(node.named_children[-1])
    if node.type == "for_statement":
        return bodies(node.child_by_field_name("body"))
    return node


NAMED = {
    "object_property", "parameter_declaration", "variable_declaration", "output_declaration", "resource_declaration",
    "module_declaration", "user_defined_function",
}  # fmt: skip


def names_used(node):
    """The names that expressions use, without those of functions that decorate."""
    if node.type == "decorator":
        return set()
    if node.type == "user_defined_function":
        parameters = {text(p.named_children[0]) for p in node.named_children[1].named_children}
        return names_used(node.named_children[-1]) - parameters
    if node.type == "identifier":
        is_name = node.parent.type in NAMED and node.parent.named_children[0] == node
        return set() if is_name else {text(node)}
    return {name for child in node.named_children for name in names_used(child)}


def values(node):
    """The expressions that a value can come to: the branches of its conditions."""
    if node.type == "ternary_expression":
        return values(node.child_by_field_name("consequence")) + values(node.child_by_field_name("alternative"))
    if node.type == "parenthesized_expression":
        return values(node.named_children[0])
    return [node]


class Failure(Exception):
    """What `fail` says."""


def fail(says):
    raise Failure(says)


CALLS = {
    "concat": lambda *lists: [item for items in lists for item in items],
    "contains": lambda where, what: what in where,
    "empty": lambda value: not value,
    "endsWith": lambda value, end: value.endswith(end),
    "fail": fail,
    "filter": lambda items, is_kept: [item for item in items if is_kept(item)],
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
    "join": lambda items, between: between.join(items),
    "length": len,
    "map": lambda items, change: [change(item) for item in items],
    "replace": lambda value, old, new: value.replace(old, new),
    "range": lambda start, count: list(range(start, start + count)),
    "skip": lambda value, count: value[count:],
    "split": lambda value, at: value.split(at),
    "startsWith": lambda value, start: value.startswith(start),
    "string": str,
    "substring": lambda value, start, count: value[start : start + count],
    "take": lambda value, count: value[:count],
    "toLower": str.lower,
    "trim": str.strip,
    "toObject": lambda items, name, value: {name(item): value(item) for item in items},
}


def evaluate(node, names):
    """What an expression comes to, of the kinds that settings are made of. What is neither in `names`
    nor known here is an error."""
    if text(node) in names:
        return names[text(node)]
    if node.type == "null":
        return None
    if node.type == "for_statement":
        (loop, items), body = node.named_children[:2], node.named_children[-1]
        variables = [text(v) for v in loop.named_children] or [text(loop)]
        return [evaluate(body, {**names, **dict(zip(variables, (item, i)))}) for i, item in enumerate(evaluate(items, names))]
    part = node.child_by_field_name
    if node.type == "string":
        if literal(node) is not None:
            return literal(node)
        of = lambda c: unescaped(text(c)) if c.type in LITERAL else str(evaluate(c.named_children[0], names))
        parts = [of(c) for c in node.named_children]
        return "".join(parts)
    if node.type == "boolean":
        return text(node) == "true"
    if node.type == "number":
        return int(text(node))
    if node.type == "array":
        return [evaluate(item, names) for item in node.named_children if item.type != "comment"]
    if node.type == "object":
        named = lambda name: evaluate(name, names) if name.type == "string" else text(name)
        return {named(name): evaluate(value, names) for name, value in pairs(node)}
    if node.type == "parenthesized_expression":
        return evaluate(node.named_children[0], names)
    if node.type == "ternary_expression":
        chosen = "consequence" if evaluate(part("condition"), names) else "alternative"
        return evaluate(part(chosen), names)
    if node.type == "unary_expression" and text(node).startswith("!"):
        return not evaluate(part("argument"), names)
    if node.type == "binary_expression":
        left, right = (lambda: evaluate(part("left"), names)), (lambda: evaluate(part("right"), names))
        operator = next(text(c) for c in node.children if not c.is_named)
        if operator in ("&&", "||"):
            return (left() and right()) if operator == "&&" else (left() or right())
        compare = {"==": eq, "!=": ne, ">": gt, "<": lt, "+": add, "-": sub}.get(operator)
        if compare:
            return compare(left(), right())
    if node.type == "member_expression" and part("object").type == "ternary_expression":
        # The parser takes `a ? b : c.name` for `(a ? b : c).name`.
        choice, name = part("object").child_by_field_name, text(part("property"))
        if evaluate(choice("condition"), names):
            return evaluate(choice("consequence"), names)
        full = f"{text(choice('alternative'))}.{name}"
        return names[full] if full in names else evaluate(choice("alternative"), names)[name]
    if node.type == "member_expression":
        found, name = evaluate(part("object"), names), text(part("property"))
        # The parser takes `x => x.name` for `(x => x).name`.
        return (lambda value: found(value)[name]) if callable(found) else found[name]
    if node.type == "call_expression":
        function = text(part("function"))
        arguments = [evaluate(a, names) for a in part("arguments").named_children if a.type != "comment"]
        if function == "union":
            return {name: value for argument in arguments for name, value in argument.items()}
        if function in names:
            return names[function](*arguments)
        if function in CALLS:
            return CALLS[function](*arguments)
    if node.type == "lambda_expression":
        argument, body = (c for c in node.named_children if c.type != "comment")
        return lambda value: evaluate(body, {**names, text(argument): value})
    raise ValueError(f"not known: {text(node)}")


def user_defined(node, functions):
    """A function that the file declares, which sees its parameters and the file's other functions only."""
    parameters = [text(p.named_children[0]) for p in node.named_children[1].named_children]
    return lambda *given: evaluate(node.named_children[-1], {**functions, **dict(zip(parameters, given, strict=True))})


class File:
    """What one file declares."""

    def __init__(self, path, source=None):
        self.path = Path(path)
        source = self.path.read_text() if source is None else source
        if self.path.suffix == ".bicepparam":
            # The grammar knows parameters that are declared, not ones that are given.
            source = re.sub(r"^using .*$", "", source, flags=re.M)
            source = re.sub(r"^param (\w+) =", r"param \1 object =", source, flags=re.M)
        self.source = source
        self.root = PARSER.parse(source.encode()).root_node
        self.params, self.vars, self.resources, self.modules, self.outputs, self.functions = {}, {}, {}, {}, {}, {}
        self.declared_modules = {}
        for declaration in self.root.named_children:
            self._declare(declaration)
        described = r"^@description\('(?:[^'\\]|\\.)+'\)\n(?:@.*\n|  '.*'\n|\]\)\n)*(?:param|output) (\w+)"
        self.described = set(re.findall(described, source, flags=re.M))

    def errors(self):
        return [n for n in walk(self.root) if n.is_error or n.is_missing] + (
            [self.root] if self.root.has_error else []
        )

    def _declare(self, node):
        parts = [c for c in node.named_children if c.type != "comment"]
        if node.type == "parameter_declaration":
            self.params[text(parts[0])] = (text(parts[1]), parts[2] if len(parts) > 2 else None)
        elif node.type == "user_defined_function":
            self.functions[text(parts[0])] = user_defined(node, self.functions)
        elif node.type == "variable_declaration":
            self.vars[text(parts[0])] = parts[-1]
        elif node.type == "resource_declaration":
            self._resource(node, None)
        elif node.type == "module_declaration":
            self.modules[text(parts[0])] = (literal(parts[1]), bodies(parts[-1]))
            self.declared_modules[text(parts[0])] = parts[-1]
        elif node.type == "output_declaration":
            self.outputs[text(parts[0])] = parts[-1]

    def _resource(self, node, parent, within=None):
        symbol, kind, *rest = [c for c in node.named_children if c.type != "comment"]
        body = bodies(rest[-1])
        name, _, version = literal(kind).partition("@")
        if parent:
            name, version = f"{parent.type}/{name}", version or parent.version
        existing = " existing " in text(node).split("{")[0]
        resource = Resource(name, version, existing, body, rest[-1], within)
        self.resources[text(symbol)] = resource
        for item in body.named_children:
            if item.type == "object_property" and item.named_children[0].type == "resource_declaration":
                self._resource(item.named_children[0], resource, text(symbol))


class Types:
    """The resource types, as tests/infra/types.json has them; see extract.py."""

    def __init__(self, extract):
        self.resources, self.types = extract["resources"], extract["types"]

    def check(self, resource):
        """What is wrong with a resource."""
        name = f"{resource.type}@{resource.version}"
        if name not in self.resources:
            yield f"{name}: no such type, or extract.py was not run for it"
        elif not resource.existing:
            given = {"parent", "scope", "dependsOn"}
            yield from self._object(name, resource.body, self.types[self.resources[name]], given)

    def _value(self, place, node, index):
        kind, *rest = self.types[index]
        for node in values(node):
            if kind == "union":
                literals = [self.types[i][1] for i in rest[0] if self.types[i][0] == "literal"]
                known = literal(node)
                # Most say that any other string may do as well; one that is not listed is a mistake here.
                if known is not None and literals and known not in literals:
                    yield f"{place}: {known!r} is none of {literals}"
            elif kind == "literal":
                if literal(node) not in (None, rest[0]):
                    yield f"{place}: {literal(node)!r} is not {rest[0]!r}"
            elif node.type == "object":
                if kind in ("object", "oneof"):
                    yield from self._object(place, node, self.types[index], set())
                elif kind != "any":
                    yield f"{place}: an object, but it must be {kind}"
            elif node.type == "call_expression" and text(node.child_by_field_name("function")) == "union":
                for argument in node.child_by_field_name("arguments").named_children:
                    yield from self._value(place, argument, index)
            elif node.type in ("array", "for_statement"):
                if kind not in ("array", "any"):
                    yield f"{place}: an array, but it must be {kind}"
                items = node.named_children if node.type == "array" else [node.child_by_field_name("body")]
                for item in items if kind == "array" else []:
                    if item.type != "comment":
                        yield from self._value(f"{place}[]", item, rest[0])
            else:
                is_now = {"string": "string", "boolean": "bool", "number": "int"}.get(node.type)
                if is_now and kind not in (is_now, "any"):
                    yield f"{place}: {text(node)} is a {is_now}, but it must be {kind}"

    def _object(self, place, node, kind, given):
        if kind[0] == "oneof":
            _, discriminator, properties, variants = kind
            chosen = literal(member(node, discriminator) or node)
            if chosen not in variants:
                yield f"{place}: {discriminator} {chosen!r} is none of {sorted(variants)}"
                return
            _, more, rest = self.types[variants[chosen]]
            properties = {**properties, **more}
        else:
            _, properties, rest = kind
        seen = set()
        for name, value in members(node):
            seen.add(name)
            if name in given:
                continue
            if name in properties:
                flags, index = properties[name]
                if flags & 2:
                    yield f"{place}.{name}: read only"
                yield from self._value(f"{place}.{name}", value, index)
            elif rest is not None:
                yield from self._value(f"{place}.{name}", value, rest)
            else:
                yield f"{place}.{name}: no such property"
        for name, (flags, _) in properties.items():
            if flags & 1 and name not in seen:
                yield f"{place}.{name}: must be given"

    def path(self, resource, names):
        """Whether a resource has a property of this path, which some other part of the file reads."""
        kind = self.types[self.resources[f"{resource.type}@{resource.version}"]]
        for name in names:
            if kind[0] == "oneof":
                variant = kind[3].get(literal(member(resource.body, kind[1]) or resource.body))
                kind = ["object", {**kind[2], **self.types[variant][1]}, None]
            if kind[0] != "object":
                return kind[0] == "any"
            if name in kind[1]:
                kind = self.types[kind[1][name][1]]
            elif kind[2] is not None:
                kind = self.types[kind[2]]
            else:
                return False
        return True
