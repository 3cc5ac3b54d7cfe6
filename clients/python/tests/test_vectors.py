"""Receipts, permits and canonical JSON, against the vectors that every implementation reads."""

import json
import math
import re
import struct
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from vectors import FILES, read

from human_oversight.handle import Handle
from human_oversight.jws import NotSignedError, read_keys
from human_oversight.parameters import Parameters, ParametersError
from human_oversight.permit import GIVEN_UP, NOT_RUN
from human_oversight.receipts import NotPermittedError, verify_permit, verify_receipt
from human_oversight.strict_json import StrictJsonError, loads


def cases(file: str, *path: str) -> list[Any]:
    found = read(file)
    for member in path:
        found = found[member]
    return [pytest.param(case, id=case["name"]) for case in found]


def text(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["hex"]) if "hex" in case else case["json"].encode()


@pytest.mark.parametrize("case", cases("handles", "cases"))
def test_a_claim_key_gives_the_handles_of_the_vectors(case: dict[str, Any]) -> None:
    handle = Handle.create(case["agent"], case["correlationId"], case["key"])
    assert (handle.id, handle.secret) == (case["id"], case["secret"])


def test_the_errors_of_reports_begin_as_the_vectors_say() -> None:
    assert [case["begins"] for case in read("reports")["cases"]] == [NOT_RUN, GIVEN_UP]


@pytest.mark.parametrize("case", cases("canonical", "numbers"))
def test_doubles_are_written_as_the_vectors_say(case: dict[str, Any]) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(case["bits"]))
    if "error" in case:
        with pytest.raises(rfc8785.CanonicalizationError):
            rfc8785.dumps(number)
    else:
        assert rfc8785.dumps(number).decode() == case["canonical"]


@pytest.mark.parametrize("case", cases("canonical", "values"))
def test_values_are_written_as_the_vectors_say(case: dict[str, Any]) -> None:
    written = rfc8785.dumps(json.loads(case["json"], parse_int=float))
    assert written == case["canonical"].encode()
    assert written.hex() == case.get("utf8", written.hex())


@pytest.mark.parametrize("case", cases("parameters", "accepted"))
def test_accepted_parameters_have_the_digest_of_the_vectors(case: dict[str, Any]) -> None:
    parameters = Parameters(loads(text(case)))
    assert parameters.canonical.decode() == case["canonical"]
    assert parameters.digest == case["digest"]


@pytest.mark.parametrize("case", cases("parameters", "refused"))
def test_refused_parameters_are_not_submitted(case: dict[str, Any]) -> None:
    with pytest.raises((StrictJsonError, ParametersError)):
        Parameters(loads(text(case)))


@pytest.mark.parametrize("case", cases("strict-json", "accepted"))
def test_strict_json_is_read(case: dict[str, Any]) -> None:
    assert rfc8785.dumps(loads(text(case))).decode() == case["canonical"]


@pytest.mark.parametrize("case", cases("strict-json", "refused"))
def test_ambiguous_json_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(StrictJsonError):
        loads(text(case))


def is_permitted(case: dict[str, Any], keys: dict[str, Any]) -> bool:
    try:
        receipt = verify_receipt(case["receipt"], read_keys(keys["keys"]))
        run = {name: case[name] for name in ("agent", "action", "now")}
        demands = {"at_least": case.get("atLeast", 0), "rules": case.get("rules", ())}
        receipt.permit(**run, **demands, parameters=Parameters(case["parameters"]))
    except (NotSignedError, NotPermittedError):
        return False
    return True


def is_granted(case: dict[str, Any], keys: dict[str, Any]) -> bool:
    names = ("issuers", "agent", "id", "nonce", "claimant", "receipt", "now", "leeway")
    try:
        permit = verify_permit(case["permit"], read_keys(keys["keys"]))
        permit.grant(**{name: case[name] for name in names}, parameters=Parameters(case["parameters"]))
    except (NotSignedError, NotPermittedError):
        return False
    return True


@pytest.mark.parametrize("case", cases("receipts", "cases"))
def test_a_receipt_permits_what_the_vectors_say(case: dict[str, Any]) -> None:
    assert is_permitted(case, read("receipts")["keys"]) == (case["result"] == "permitted")


@pytest.mark.parametrize("case", cases("demands", "cases"))
def test_a_receipt_permits_what_meets_the_demands_of_the_vectors(case: dict[str, Any]) -> None:
    assert is_permitted(case, read("demands")["keys"]) == (case["result"] == "permitted")


def test_demands_that_are_none_permit_nothing() -> None:
    vectors = read("permits")
    case = next(it for it in vectors["cases"] if it["result"] == "granted")
    assert is_permitted(case | {"action": "Refund an order"}, vectors["keys"])
    assert not is_permitted(case | {"action": "Refund an order", "now": math.nan}, vectors["keys"])
    assert not is_granted(case | {"now": math.nan}, vectors["keys"])
    with pytest.raises(TypeError, match="issuers"):
        is_granted(case | {"issuers": case["issuers"][0] + "/"}, vectors["keys"])
    with pytest.raises(TypeError, match="keys"):
        read_keys(vectors["keys"])
    header, _, signature = case["receipt"].split(".")
    with pytest.raises(NotSignedError):
        verify_receipt(f"{header}.\ud800.{signature}", read_keys(vectors["keys"]["keys"]))


@pytest.mark.parametrize("case", cases("permits", "cases"))
def test_a_permit_grants_what_the_vectors_say(case: dict[str, Any]) -> None:
    assert is_granted(case, read("permits")["keys"]) == (case["result"] == "granted")


@pytest.mark.parametrize("case", cases("es256", "receipts"))
def test_a_receipt_of_a_p256_key_permits_what_the_vectors_say(case: dict[str, Any]) -> None:
    assert is_permitted(case, read("es256")["keys"]) == (case["result"] == "permitted")


@pytest.mark.parametrize("case", cases("keys", "receipts"))
def test_a_receipt_counts_only_while_its_key_is_in_force(case: dict[str, Any]) -> None:
    assert is_permitted(case, read("keys")["keys"]) == (case["result"] == "permitted")


@pytest.mark.parametrize("case", cases("es256", "permits"))
def test_a_permit_of_a_p256_key_grants_what_the_vectors_say(case: dict[str, Any]) -> None:
    assert is_granted(case, read("es256")["keys"]) == (case["result"] == "granted")


@pytest.mark.parametrize("file", FILES)
def test_the_vectors_are_what_these_keys_sign(file: str) -> None:
    assert read(file) == FILES[file]()


def test_the_sample_of_the_documentation_verifies_what_the_vectors_say(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs/receipts.md").read_text()
    sample: dict[str, Any] = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], sample)
    file = read("permits")
    results = set()
    for case in file["cases"]:
        # The sample takes from the receipt what the agent knows, and no lapsed receipt; its leeway is the default.
        is_known = case["result"] not in ("other-nonce", "other-claimant", "other-request")
        if not (is_known and case["claimant"] and case["leeway"] == 60 and case["now"] < 1_800_000_900):
            continue
        keys = {**file["keys"], "issuers": case["issuers"]}
        monkeypatch.setattr("time.time", lambda now=case["now"]: now)
        try:
            found = sample["verify"](
                case["receipt"], case["permit"], keys, case["agent"], "Refund an order", case["parameters"]
            )
        except (NotSignedError, NotPermittedError):
            found = None
        assert (found is not None) == (case["result"] == "granted"), case["name"]
        results.add(case["result"])
    assert {"granted", "other-agent", "other-parameters", "other-receipt", "bad-signature"} <= results
