"""`approval_gate`: what people are shown, what runs, and what a refused call returns."""

import asyncio
import collections
import dataclasses
import importlib
import inspect
import json
import logging
import math
import sys
import types
import typing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag, IntEnum
from pathlib import Path, PurePosixPath
from typing import Any
from unittest.mock import MagicMock
from zoneinfo import ZoneInfo

import pytest

from human_oversight import (
    DEFAULT_REFUSAL_VALUE,
    ApprovalStatus,
    Gate,
    Reason,
    RefusalText,
    Refused,
    approval_gate,
    current_proof,
    tool_call,
)
from human_oversight.mock import APPROVE, EXPIRE, PAUSE, MockGate, ask_for_changes, reject
from human_oversight.receipts import HandOver, Receipt, Vote, verify_permit, verify_receipt

gated = approval_gate("UserManagerAgent", "Delete User Account")


@pytest.fixture
def mock() -> Any:
    mock = MockGate()
    with mock.gate.scope():
        yield mock


def shown(mock: MockGate) -> Any:
    return mock.requests[-1]["parameters"]


def assert_refused_before_anyone_is_asked(mock: MockGate, value: Any) -> None:
    refused = gated(lambda value: "ran")(value).refused
    assert refused.reason is Reason.INVALID
    assert "name the argument in skip" in refused.detail
    assert mock.requests == []


def test_a_function_runs_on_exactly_its_arguments_with_defaults(mock: MockGate) -> None:
    @gated
    def delete(user_id: str, *others: str, force: bool = False, **options: int) -> str:
        return f"{user_id}{others}{force}{options}"

    assert delete("1", "2", days=3) == "1('2',)False{'days': 3}"
    assert shown(mock) == {"user_id": "1", "others": ["2"], "force": False, "options": {"days": 3}}
    delete(user_id="1")
    assert shown(mock) == {"user_id": "1", "others": [], "force": False, "options": {}}
    assert mock.outcomes == ["Executed", "Executed"]


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (b"secret", "/value"),
        ({"a": [0, {"x/y~": b"secret"}]}, "/value/a/1/x~1y~0"),
        (types.SimpleNamespace(secret=b"secret"), "/value"),
        ({"a": {b"secret": 1}}, "/value/a"),
        ({"\ud800": [b"secret"]}, "/value/?/0"),
        ([float("nan")], "/value/0"),
    ],
)
def test_a_refusal_says_which_value_people_cannot_be_shown(mock: MockGate, value: Any, pointer: str) -> None:
    detail = gated(lambda name, value: "ran")("secret", value).refused.detail
    assert detail.startswith(f"{pointer}: ")
    assert "secret" not in detail
    assert mock.requests == []


def test_programs_of_the_legacy_decorator_find_its_names_and_values() -> None:
    names = importlib.import_module("human_oversight.constants")
    for status in ("INITIATED", "APPROVED", "REJECTED", "TIMEOUT", "ERROR", "EXECUTED", "EXECUTION_FAILED"):
        assert getattr(names, f"STATUS_{status}") is getattr(ApprovalStatus, status)
    assert json.dumps([ApprovalStatus.EXECUTION_FAILED, names.STATUS_APPROVED]) == '["ExecutionFailed", "Approved"]'
    assert importlib.import_module("human_oversight.decorator").approval_gate is approval_gate
    assert names.TIMEOUT_SECONDS == 120

    def operate(a: int, b: str, *args: str, c: str | None = None, **kwargs: Any) -> Any:
        return a, b, args, c, kwargs

    for verdict, expected in (
        (APPROVE, (1, "t", ("x", "y"), "z", {"d": True})),
        (reject("No."), DEFAULT_REFUSAL_VALUE),
    ):
        mock = MockGate(lambda _, verdict=verdict: verdict)  # type: ignore[misc]
        with mock.gate.scope():
            secured = approval_gate(
                agent_name="SecurityAgent", action_description="Format", approver_emails=["alice@example.com"]
            )(operate)
            assert secured(1, "t", "x", "y", c="z", d=True) == expected


def test_signature_name_and_docstring_stay() -> None:
    def delete(user_id: str, force: bool = False) -> str:
        """Deletes a user."""
        return user_id

    for function in (gated(delete), approval_gate("A", "B")(delete)):
        assert (function.__name__, function.__doc__) == ("delete", "Deletes a user.")
        assert inspect.signature(function) == inspect.signature(delete)
        assert function.__annotations__ == delete.__annotations__


def test_methods_are_gated_without_their_object(mock: MockGate) -> None:
    class Users:
        @gated
        def delete(self, user_id: str) -> str:
            return f"{user_id} of {type(self).__name__}"

        @classmethod
        @gated
        async def purge(cls, user_id: str) -> str:
            return f"{user_id} of {cls.__name__}"

        @staticmethod
        @gated
        def drop(user_id: str) -> str:
            return user_id

    assert Users().delete("1") == "1 of Users"
    assert asyncio.run(Users.purge("2")) == "2 of Users"
    assert Users.drop("3") == "3"
    assert [request["parameters"] for request in mock.requests] == [{"user_id": it} for it in "123"]


def test_data_in_the_place_of_a_method_s_object_is_shown(mock: MockGate) -> None:
    @gated
    def drop(cls: str, user_id: str) -> str:
        return f"{cls} {user_id}"

    class Users:
        @staticmethod
        @gated
        def drop(self: str) -> str:
            return self

    assert drop("all", "1") == "all 1"
    assert shown(mock) == {"cls": "all", "user_id": "1"}
    assert gated(lambda self: self)({"rows": 9}) == {"rows": 9}
    assert shown(mock) == {"self": {"rows": 9}}
    assert Users.drop("everyone") == "everyone"
    assert shown(mock) == {"self": "everyone"}


def test_a_method_of_a_base_class_is_gated_without_its_object(mock: MockGate) -> None:
    class Base:
        @gated
        def delete(self, user_id: str) -> str:
            return f"{user_id} of {type(self).__name__}"

    @dataclasses.dataclass
    class Users(Base):
        secret: str

    assert Users("x").delete("1") == "1 of Users"
    assert gated(Users("x").delete)("2") == "2 of Users"
    assert [request["parameters"] for request in mock.requests] == [{"user_id": it} for it in "122"]


def test_defaults_that_are_replaced_later_are_those_that_are_shown(mock: MockGate) -> None:
    def delete(user_id: str, force: bool = False, *, days: int = 1, tags: list[str] = []) -> Any:  # noqa: B006
        tags.append("used")
        return force, days

    function = gated(delete)
    delete.__defaults__ = (True,)
    delete.__kwdefaults__["days"] = 30
    for tags in ([], ["used"]):
        assert function("1") == (True, 30)
        assert shown(mock) == {"user_id": "1", "force": True, "days": 30, "tags": tags}


def test_a_positional_argument_and_an_option_of_one_name_are_both_shown(mock: MockGate) -> None:
    def delete(user: str, /, **options: Any) -> Any:
        return user, options

    assert gated(delete)("1", user="2", self=3) == ("1", {"user": "2", "self": 3})
    assert shown(mock) == {"user": "1", "options": {"user": "2", "self": 3}}


def test_a_value_that_poses_as_another_is_shown_as_it_is(mock: MockGate) -> None:
    class Masked(str):
        def __str__(self) -> str:
            return "***"

    class Small(int):
        def __int__(self) -> int:
            return 1

    class Low(float):
        def __float__(self) -> float:
            return 0.5

    value = {Masked("name"): [Masked("everyone"), Small(1_000), Low(99.5)]}
    assert gated(lambda value: "ran")(value) == "ran"
    assert shown(mock) == {"value": {"name": ["everyone", 1_000, 99.5]}}

    class Tiny(int):
        def __abs__(self) -> int:
            return 0

    assert gated(lambda value: "ran")(Tiny(2**60)).refused.reason is Reason.INVALID


@dataclasses.dataclass
class Order:
    amount: int = 1


@dataclasses.dataclass(slots=True)
class Slotted:
    amount: int = 1


class Extended(Order):
    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target


class ExtendedSlotted(Slotted):
    __slots__ = ("target",)

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target


@dataclasses.dataclass
class Failure(Exception):  # noqa: N818 (it holds its `args`)
    amount: int = 1


@dataclasses.dataclass
class Members(dict[str, Any]):
    amount: int = 1


class ExtendedOnly(Order):
    """It has methods of its own, and holds nothing of its own."""


class Listed(list[str]):
    def __iter__(self) -> Any:
        return iter(["shown"])


class Keyed(dict[str, Any]):
    def items(self) -> Any:
        return {"shown": 1}.items()


class Named(typing.NamedTuple):
    amount: int

    def __iter__(self) -> Any:
        return iter([1])


class Noted(str):
    pass


class NotedNumber(int):
    pass


class NotedDay(date):
    pass


class NotedColor(Enum):
    RED = "red"


class NotedShade(str, Enum):
    DARK = "dark"

    def __init__(self, value: str) -> None:
        self.target = "evil"


class NotedPath(PurePosixPath):
    __slots__ = ("target",)


def with_attribute(value: Any) -> Any:
    value.target = "evil"
    return value


@pytest.mark.parametrize(
    "value",
    [
        Extended("evil"),
        ExtendedSlotted("evil"),
        with_attribute(Order()),
        Failure(),
        Members(amount=1),
        Listed(["real"]),
        Keyed(real=2),
        collections.defaultdict(lambda: "evil"),
        collections.UserDict(real=2),
        with_attribute(collections.OrderedDict(a=1)),
        Named(1_000),
        with_attribute(Noted("a")),
        {with_attribute(Noted("a")): 1},
        with_attribute(NotedNumber(1)),
        with_attribute(NotedDay(2026, 1, 2)),
        with_attribute(NotedColor.RED),
        {NotedShade.DARK: 1},
        with_attribute(NotedPath("a")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_not_be_shown_whole_is_refused_before_anyone_is_asked(mock: MockGate, value: Any) -> None:
    assert_refused_before_anyone_is_asked(mock, value)


def test_what_is_shown_whole_is_no_matter_of_its_class(mock: MockGate) -> None:
    @dataclasses.dataclass
    class Box(Order, typing.Generic[typing.TypeVar("V")]):  # type: ignore[misc]
        unit: str = dataclasses.field(default="kg", init=False)

    class Slim(date):
        __slots__ = ()

    class Places(Flag):
        HERE = 1
        THERE = 2

    class Day(date):
        def isoformat(self) -> str:
            return "never"

    pair = collections.namedtuple("pair", "a b")(1, 2)
    value = [Box[int](3), Slotted(2), ExtendedOnly(2)]
    value += [pair, collections.OrderedDict(a=1), Day(2026, 1, 2), PurePosixPath("a/b"), Path("c")]
    value += [Slim(2026, 1, 2), Places.HERE, Places.HERE | Places.THERE, ~Places.HERE]
    assert gated(lambda value: "ran")(value) == "ran"
    whole = [{"amount": 3, "unit": "kg"}, {"amount": 2}, {"amount": 2}]
    assert shown(mock) == {"value": [*whole, [1, 2], {"a": 1}, "2026-01-02", "a/b", "c", "2026-01-02", 1, 3, 2]}


def test_a_field_that_is_not_set_is_refused(mock: MockGate) -> None:
    order = Slotted()
    del order.amount
    assert gated(lambda order: "ran")(order).refused.reason is Reason.INVALID


def test_two_keys_that_json_writes_alike_are_refused(mock: MockGate) -> None:
    key = Enum("Key", {"NAME": "name"}).NAME
    assert gated(lambda value: "ran")({key: "alice", "name": "bob"}).refused.reason is Reason.INVALID
    assert mock.requests == []


def test_an_object_that_has_every_member_is_refused(mock: MockGate) -> None:
    assert gated(lambda value: "ran")(MagicMock()).refused.reason is Reason.INVALID
    assert mock.requests == []


def test_values_have_one_form_in_json(mock: MockGate) -> None:
    class Color(Enum):
        RED = "red"

    @dataclasses.dataclass
    class Order:
        amount: Decimal
        day: date

    @gated
    def pay(order: Order, color: Color, ratio: float, names: tuple[str, ...]) -> str:
        return "paid"

    assert pay(Order(Decimal("1.10"), date(2026, 1, 2)), Color.RED, 0.5, ("a", "b")) == "paid"
    order = {"amount": "1.10", "day": "2026-01-02"}
    assert shown(mock) == {"order": order, "color": "red", "ratio": 0.5, "names": ["a", "b"]}


def test_a_member_of_an_enum_that_is_another_text_or_number_than_its_value_is_refused(mock: MockGate) -> None:
    class Place(str, Enum):
        SHOWN = "staging"

        def __new__(cls, value: str) -> "Place":
            place = str.__new__(cls, "production")
            place._value_ = value
            return place

    class Share(float, Enum):
        HALF = 0.5

        def __new__(cls, value: float) -> "Share":
            share = float.__new__(cls, 1.0)
            share._value_ = value
            return share

    class Level(IntEnum):
        HIGH = 3

    for value in (Place.SHOWN, {Place.SHOWN: 1}, [Share.HALF]):
        assert gated(lambda value: "ran")(value).refused.reason is Reason.INVALID
    assert mock.requests == []
    assert gated(lambda value: "ran")(Level.HIGH) == "ran"
    assert shown(mock) == {"value": 3}


NAIVE = datetime.fromisoformat("2026-10-25T02:30:00")


class Unsaid(tzinfo):
    """A zone that does not say its offset."""

    def utcoffset(self, _: datetime | None) -> None: ...

    def dst(self, _: datetime | None) -> None: ...


class Posing(datetime):
    def utcoffset(self) -> timedelta:
        return timedelta(hours=1)


@pytest.mark.parametrize(
    "value",
    [
        time(2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
        time(2, 30, tzinfo=Unsaid()),
        time(2, 30, fold=1),
        datetime(2026, 10, 25, 2, 30, tzinfo=Unsaid()),
        NAIVE.replace(fold=1),
        Posing(2026, 10, 25, 2, 30, fold=1),
        [{"at": time(2, 30, tzinfo=ZoneInfo("America/New_York"))}],
    ],
    ids=repr,
)
def test_a_zone_or_a_fold_that_a_text_does_not_carry_is_refused(mock: MockGate, value: Any) -> None:
    assert_refused_before_anyone_is_asked(mock, value)


def test_a_moment_is_shown_with_its_offset_from_utc(mock: MockGate) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)
    fixed = timezone(timedelta(hours=2))
    value = [first, first.replace(fold=1), first.astimezone(fixed), time(2, 30, tzinfo=fixed, fold=1)]
    value += [NAIVE, time(2, 30), time(2, 30, tzinfo=ZoneInfo("UTC"))]
    assert gated(lambda value: "ran")(value) == "ran"
    day = "2026-10-25T02:30:00"
    texts = [f"{day}+02:00", f"{day}+01:00", f"{day}+02:00", "02:30:00+02:00", day, "02:30:00", "02:30:00+00:00"]
    assert shown(mock) == {"value": texts}


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53, 1e17, -0.0, [-0.0], {1: "a"}, {"a"}, b"bytes", object(), "\ud800", [[math.nan]], len],
    ids=repr,
)
def test_what_json_cannot_carry_is_refused_before_anyone_is_asked(mock: MockGate, value: Any) -> None:
    @gated
    def pay(value: Any) -> str:
        return "paid"

    text = pay(value)
    assert text.startswith("Not run: the request is invalid. Correct it before you try again. ")
    assert mock.requests == []


def test_a_value_that_contains_itself_is_refused(mock: MockGate) -> None:
    value: list[Any] = []
    value.append(value)
    refused = gated(lambda value: "ran")(value).refused
    assert refused.reason is Reason.INVALID
    assert refused.detail == "parameters cannot be written as JSON: it has more than 64 levels below the top"
    assert mock.requests == []


def test_arguments_that_change_while_people_decide_run_nothing() -> None:
    amounts = [1]

    def change(_: Any) -> Any:
        amounts[0] = 1_000
        from human_oversight.mock import APPROVE

        return APPROVE

    mock = MockGate(change)
    ran: list[Any] = []
    with mock.gate.scope():
        text = gated(lambda amounts: ran.append(amounts))(amounts)
    assert text.refused.reason is Reason.UNVERIFIED
    assert (ran, mock.outcomes) == ([], ["ExecutionFailed"])


class Grade(str, Enum):
    HIGH = "high"


MOMENT = datetime(2026, 1, 2, tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("value", "other"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        (Grade.HIGH, "high"),
        ([1], (1,)),
        (Order(1), {"amount": 1}),
        (Decimal("1.10"), "1.10"),
        ({"high": 1}, {Grade.HIGH: 1}),
        (MOMENT, MOMENT.replace(tzinfo=ZoneInfo("Europe/Paris"))),
    ],
    ids=repr,
)
def test_a_value_whose_place_another_of_the_same_form_takes_while_people_decide_does_not_run(
    value: Any, other: Any
) -> None:
    values = [value]

    def change(_: Any) -> Any:
        values[0] = other
        return APPROVE

    mock = MockGate(change)
    with mock.gate.scope():
        text = gated(lambda values: "ran")(values)
    assert text.refused.reason is Reason.UNVERIFIED
    assert mock.outcomes == ["ExecutionFailed"]


def test_a_function_that_gives_a_setting_and_changes_the_arguments_asks_no_one(
    mock: MockGate, caplog: pytest.LogCaptureFixture
) -> None:
    for setting in ("action_description", "reason", "correlation_id"):
        settings: dict[str, Any] = {"action_description": "B", setting: lambda users: users.pop()}
        assert approval_gate("A", **settings)(lambda users: "ran")(["1", "2"]).refused.reason is Reason.MISCONFIGURED
    assert "a function of the settings has changed the arguments" in caplog.text
    assert mock.requests == []


def test_skipped_arguments_are_not_shown(mock: MockGate) -> None:
    @approval_gate("A", "B", skip=["connection"])
    def delete(connection: object, user_id: str) -> str:
        return user_id

    assert delete(object(), "1") == "1"
    assert shown(mock) == {"user_id": "1"}
    with pytest.raises(TypeError, match="skip names conection"):
        approval_gate("A", "B", skip=["conection"])(lambda connection: None)


def test_an_argument_named_like_a_context_is_shown(mock: MockGate) -> None:
    gated(lambda ctx, context: None)("a", {"b": 1})
    assert shown(mock) == {"ctx": "a", "context": {"b": 1}}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("agents.orders", "Context"),
        ("agents.orders", "ToolContext"),
        ("langchain_core.documents", "Document"),
        ("mcp.orders", "Context"),
        ("pydantic_ai._run_context", "RunContext"),
    ],
)
@pytest.mark.parametrize("has_file", [True, False])
def test_a_class_that_is_named_as_one_of_a_framework_is_not_left_out(
    mock: MockGate, module: str, name: str, has_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = types.ModuleType(module)
    kind = dataclasses.make_dataclass(name, ["amount"], namespace={"__module__": module})
    setattr(made, name, kind)
    if has_file:
        made.__file__ = str(tmp_path / f"{module.replace('.', '/')}.py")
    monkeypatch.setitem(sys.modules, module, made)

    def pay(order: Any) -> str:
        return "paid"

    assert gated(pay)(kind(50)) == "paid"
    assert shown(mock) == {"order": {"amount": 50}}
    pay.__annotations__["order"] = kind
    assert gated(pay)(kind(60)) == "paid"
    assert shown(mock) == {"order": {"amount": 60}}


def test_a_setting_that_json_cannot_carry_is_refused(mock: MockGate) -> None:
    describe = approval_gate("A", lambda name: f"Delete {name[0]}")
    assert describe(lambda name: "ran")("😀".encode("utf-16", "surrogatepass").decode("utf-16")) == "ran"
    assert approval_gate("A", lambda: "Delete \ud800")(lambda: "ran")().refused.reason is Reason.INVALID


def test_settings_may_be_functions_of_the_arguments(mock: MockGate) -> None:
    @approval_gate("A", lambda user_id: f"Delete {user_id}", ["bob@example.com"], reason=lambda user_id: "Left.")
    def delete(user_id: str) -> None: ...

    delete("1")
    request = mock.requests[0]
    assert (request["actionDescription"], request["reason"]) == ("Delete 1", "Left.")
    assert request["approverEmails"] == ["bob@example.com"]


def test_a_failure_is_reported_and_raised(mock: MockGate) -> None:
    @gated
    def delete() -> None:
        raise LookupError("no such user")

    with pytest.raises(LookupError):
        delete()
    assert mock.outcomes == ["ExecutionFailed"]


def test_a_refusal_is_words_a_value_of_a_function_or_raised() -> None:
    def delete(user_id: str) -> str:
        return "deleted"

    words = "Not run: rejected by approver@example.com. Their reason: Ask Legal."
    with MockGate(lambda _: reject("Ask Legal.")).gate.scope():
        assert str(gated(delete)("1")) == words
        assert approval_gate("A", "B", None, "DENIED")(delete)("1") == "DENIED"
        assert approval_gate("A", "B", None, None)(delete)("1") is None
        assert approval_gate("A", "B", None, lambda refused: refused.comment)(delete)("1") == "Ask Legal."
        with pytest.raises(Refused, match="Ask Legal"):
            approval_gate("A", "B", on_refusal="raise")(delete)("1")


def test_a_rule_of_the_policy_that_denies_is_named() -> None:
    refused = Refused(Reason.DENIED, rules=("never",), comment="Open a change instead.")
    words = "Not run: the operator's policy denies this (rule never). Do not try again. The policy's reason: "
    assert str(refused) == f"{words}Open a change instead."


def test_the_last_vote_of_each_person_counts() -> None:
    votes = [("a@x.example", "1", "Approved"), ("A@X.example", None, "Rejected"), ("b@x.example", None, "Approved")]
    receipt = dict.fromkeys(Receipt.__dataclass_fields__) | {"decision": "Approved", "assurance": "link"}
    assert Receipt(**receipt | {"votes": tuple(Vote(*vote) for vote in votes)}).approvals == 1  # type: ignore[arg-type]
    assert Receipt(**receipt | {"votes": ()}).approvals == 1  # type: ignore[arg-type]


def test_the_person_who_decided_is_followed_back_over_whole_hand_overs() -> None:
    receipt = dict.fromkeys(Receipt.__dataclass_fields__) | {"approver": "c@x.example"}
    for steps, first in [
        ((), "c@x.example"),
        (("ab", "bc"), "a@x.example"),
        (("zy", "ab", "bc"), "a@x.example"),
        # Broken, out of order, round in a circle, to another person.
        (("ab",), "c@x.example"),
        (("bc", "ab"), "b@x.example"),
        (("ca", "ac"), "c@x.example"),
        (("ab", "bd"), "c@x.example"),
    ]:
        handed_over = tuple(HandOver(f"{giver}@x.example", f"{to}@x.example") for giver, to in steps)
        assert Receipt(**receipt | {"handed_over": handed_over}).decided_for == first, steps  # type: ignore[arg-type]


def test_words_of_a_refusal_can_be_told_from_a_result() -> None:
    with MockGate(lambda _: EXPIRE).gate.scope():
        text = gated(lambda: "ran")()
    assert isinstance(text, RefusalText)
    assert text.refused.reason is Reason.TIMEOUT
    # What programs of the legacy decorator compare with.
    assert text == DEFAULT_REFUSAL_VALUE
    assert {DEFAULT_REFUSAL_VALUE: "refused"}.get(text) == "refused"
    assert (text != DEFAULT_REFUSAL_VALUE) is False
    assert text == str(text.refused)
    assert text != "ran"


@pytest.mark.parametrize(
    ("legacy", "why"),
    [
        ("", ""),
        (
            "https://prod-1.logic.azure.com/workflows/1/triggers/manual/paths/invoke?sig=a-secret",
            "; HO_LOGIC_APP_URL counts only with the path /api/submit of a gate",
        ),
    ],
)
def test_without_a_gate_no_one_is_asked_and_a_line_says_so(
    legacy: str, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("HO_URL", raising=False)
    monkeypatch.setenv("HO_LOGIC_APP_URL", legacy)
    monkeypatch.setattr("human_oversight.gate._of_environment", None)
    assert gated(lambda: "ran")().refused.reason is Reason.MISCONFIGURED
    assert [(it.levelno, it.getMessage()) for it in caplog.records] == [
        (
            logging.ERROR,
            f"not run, and no one was asked: misconfigured: HO_URL is not set: it must be the gate's address{why}",
        )
    ]


def test_a_pause_has_words_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    with MockGate(lambda _: PAUSE).gate.scope():
        assert str(gated(lambda: "ran")()) == "Not run: the operator has paused operations. Try again later."
    assert "paused" in caplog.text


def generator() -> Any:
    yield 1


async def async_generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    "function",
    [generator, async_generator, staticmethod(generator), classmethod(generator), object(), dict],
    ids=repr,
)
def test_what_cannot_be_gated_is_refused_at_once(function: Any) -> None:
    with pytest.raises(TypeError):
        gated(function)


def test_one_text_is_no_list_of_approvers() -> None:
    with pytest.raises(TypeError, match="approver_emails"):
        approval_gate("A", "B", "alice@example.com")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("agent_name", None),
        ("agent_name", 5),
        ("gate", "http://localhost"),
        ("skip", "connection"),
        ("on_pending", asyncio.sleep),
        ("wait", "5"),
        ("wait", math.nan),
        ("wait", -1),
        ("action_description", 5),
        ("approver_emails", [7]),
        ("timeout", "60"),
        ("reason", 5),
        ("on_behalf_of", ["a@b.example"]),
        ("correlation_id", 5),
        ("supersedes", 5),
        ("callback", ["x"]),
        ("on_pending", "x"),
    ],
)
def test_a_setting_of_another_type_is_refused_at_once(setting: str, value: Any) -> None:
    with pytest.raises(TypeError, match=setting):
        approval_gate(**{"agent_name": "A", "action_description": "B", setting: value})


def test_a_coroutine_function_stays_one_behind_other_decorators(mock: MockGate) -> None:
    async def delete(user_id: str) -> str:
        return user_id

    def traced(function: Callable[..., Any]) -> Callable[..., Any]:
        import functools

        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    assert inspect.iscoroutinefunction(gated(delete))
    assert asyncio.run(gated(traced(delete))("1")) == "1"
    assert mock.outcomes == ["Executed"]


def test_a_tool_call_names_the_request(mock: MockGate) -> None:
    ran: list[str] = []
    delete = gated(lambda user_id: ran.append(user_id))
    with tool_call("call_1"):
        delete("1")
        assert delete("1").refused.reason is Reason.USED
    with tool_call("run 1", "call_1"):
        delete("1")
    assert mock.requests[0]["correlationId"] == "call_1"
    assert (len(mock.requests), ran) == (2, ["1", "1"])


@pytest.mark.parametrize("names", [(), ("",), ("run 1", ""), ("run 1", None)])
def test_a_tool_call_without_an_id_names_no_request(mock: MockGate, names: Any) -> None:
    delete = gated(lambda user_id: "ran")
    with tool_call(*names):
        assert [delete("1"), delete("1"), delete("2")] == ["ran", "ran", "ran"]
    assert len({it["correlationId"] for it in mock.requests}) == 3


def test_a_tool_call_names_the_outer_of_two_gated_functions(mock: MockGate) -> None:
    @gated
    def inner(n: int) -> str:
        return f"inner {n}"

    @gated
    async def inner_async() -> str:
        return "inner"

    @gated
    def outer() -> list[str]:
        return [inner(1), inner(2)]

    @gated
    async def outer_async() -> str:
        return await inner_async()

    with tool_call("call_1"):
        assert outer() == ["inner 1", "inner 2"]
        assert outer().refused.reason is Reason.USED
    with tool_call("call_2"):
        assert asyncio.run(outer_async()) == "inner"
    names = [request["correlationId"] for request in mock.requests]
    assert (names[0], names[3]) == ("call_1", "call_2")
    assert len(set(names)) == 5


def test_the_proof_is_there_while_the_function_runs(mock: MockGate) -> None:
    def read() -> Any:
        return current_proof()

    proof = gated(read)()
    keys = mock.gate._connection.trust.known().keys
    receipt = verify_receipt(proof.receipt, keys)
    assert receipt.approver == "approver@example.com"
    assert verify_permit(proof.permit, keys).sub == receipt.sub
    assert current_proof() is None


def test_threads_loops_and_a_running_loop_share_a_gate(mock: MockGate) -> None:
    @approval_gate("A", "B", gate=mock.gate)
    def sync(n: int) -> int:
        return n

    @approval_gate("A", "B", gate=mock.gate)
    async def coroutine(n: int) -> int:
        return n

    async def inside() -> list[int]:
        # A synchronous function within a running loop, too.
        return [sync(1), *await asyncio.gather(*(coroutine(n) for n in range(20)))]

    with ThreadPoolExecutor(20) as pool:
        in_threads = pool.map(sync, range(20))
        loops = pool.map(lambda _: asyncio.run(inside()), range(3))
        assert list(in_threads) == list(range(20))
        assert list(loops) == [[1, *range(20)]] * 3
    assert mock.outcomes == ["Executed"] * len(mock.requests)


def test_no_text_of_a_gate_or_handle_has_its_secret(mock: MockGate) -> None:
    gate = Gate("https://gate.example.com", "the-key", claim_key="5a" * 32)
    action = gate.action("A", "B", ["a@example.com"])
    handle = action.prepare()
    for text in (repr(gate), repr(action), repr(handle)):
        assert "the-key" not in text
        assert "5a" * 32 not in text
        assert handle.secret not in text


def test_a_changed_request_names_the_one_that_was_rejected() -> None:
    mock = MockGate(lambda it: EXPIRE if it.get("supersedes") else ask_for_changes("Only user 2."))
    refusals: list[Refused] = []

    @approval_gate(
        "UserManagerAgent",
        "Delete User Account",
        supersedes=lambda users: refusals[-1].id if refusals else None,
        refusal_return_value=refusals.append,
    )
    def delete(users: list[str]) -> None:
        raise AssertionError("it ran")

    with mock.gate.scope():
        delete(["1", "2"])
        delete(["2"])
    asked, expired = refusals
    assert asked.question == "Only user 2."
    assert str(asked) == (
        "Not run: rejected by approver@example.com, who asks for changes. Change the request accordingly, and try "
        "again: Only user 2."
    )
    first, second = mock.requests
    assert "supersedes" not in first
    assert second["supersedes"] == asked.id
    assert expired.question is None
