"""The agent of `conformance/run.py`: see `conformance/README.md`."""

import asyncio
import json
import os
import sys
import threading
from typing import Any

from human_oversight import (
    Action,
    Approval,
    CallbackError,
    Gate,
    Handle,
    Permit,
    Refused,
    Undecided,
    flush,
    verify_callback,
)

ORDER: dict[str, Any] = json.loads(sys.stdin.readline())


def tell(event: str, **members: Any) -> None:
    print(json.dumps({"event": event, **members}), flush=True)


async def run(gate: Gate) -> None:
    handle = Handle(**ORDER["handle"]) if ORDER.get("handle") else None

    votes = None

    def on_pending(approval: Approval) -> None:
        nonlocal votes
        if approval.progress and votes != (votes := (approval.progress.given, approval.progress.needed)):
            tell("progress", given=votes[0], needed=votes[1])

    action = gate.action(
        ORDER["agentName"],
        ORDER["actionDescription"],
        ORDER["approverEmails"],
        timeout=ORDER["timeoutSeconds"],
        supersedes=ORDER.get("supersedes"),
        callback=ORDER.get("callback"),
        on_pending=on_pending,
    )
    try:
        if "callback" in ORDER:
            await await_callback(action, handle or action.prepare())
            return
        pending = await action.submit_async(ORDER["parameters"], handle)
        if pending.approval and pending.approval.status == "Pending":
            tell("pending", handle={"id": pending.handle.id, "secret": pending.handle.secret})
        await run_under(await pending.claim_async())
    except Refused as refused:
        question = refused.question
        tell("end", outcome="refused", reason=refused.reason.value, text=str(refused), question=question, id=refused.id)


async def run_under(permit: Permit) -> None:
    tell("ran", parameters=ORDER["parameters"])
    if ORDER["fails"]:
        await permit.failed_async(ORDER["fails"])
        tell("end", outcome="failed")
    else:
        await permit.executed_async()
        tell("end", outcome="executed", comment=permit.proof.comment)


async def await_callback(action: Action, handle: Handle) -> None:
    """Submits the request, unless it was before, and claims when a callback about it finds a decision."""
    if "handle" not in ORDER:
        await action.submit_async(ORDER["parameters"], handle)
        tell("pending", handle={"id": handle.id, "secret": handle.secret})
    while True:
        call = json.loads(await asyncio.to_thread(sys.stdin.readline))["callback"]
        try:
            callback = verify_callback(call["headers"], call["body"].encode())
        except CallbackError:
            tell("callback", result="not-verified")
            continue
        if callback.id != handle.id:
            tell("callback", result="unknown")
            continue
        try:
            permit = await action.resume(handle, ORDER["parameters"]).claim_async(wait=0)
        except Undecided:
            tell("callback", result="undecided")
            continue
        except Refused:
            tell("callback", result="settled")
            raise
        tell("callback", result="settled")
        await run_under(permit)
        return


async def main() -> None:
    gate = Gate.from_env()
    agents = asyncio.gather(*(run(gate) for _ in range(ORDER["copies"])))
    loop = asyncio.get_running_loop()

    def await_cancel() -> None:
        if sys.stdin.readline():
            loop.call_soon_threadsafe(agents.cancel)

    if "callback" not in ORDER:  # else each line is one
        threading.Thread(target=await_cancel, daemon=True).start()
    try:
        await agents
    except asyncio.CancelledError:
        tell("end", outcome="cancelled")


if __name__ == "__main__":
    asyncio.run(main())
    flush()
    os._exit(0)  # a thread still reads the standard input
