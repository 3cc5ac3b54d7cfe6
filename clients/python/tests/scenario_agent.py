"""The agent of `conformance/run.py`: see `conformance/README.md`."""

import asyncio
import json
import os
import sys
import threading
from typing import Any

from human_oversight import Approval, Gate, Handle, Refused, flush

ORDER: dict[str, Any] = json.loads(sys.stdin.readline())


def tell(event: str, **members: Any) -> None:
    print(json.dumps({"event": event, **members}), flush=True)


async def run(gate: Gate) -> None:
    handle = Handle(**ORDER["handle"]) if ORDER.get("handle") else None

    told = False
    votes = None

    def on_pending(approval: Approval) -> None:
        nonlocal told, votes
        if not told:
            tell("pending", handle={"id": prepared.id, "secret": prepared.secret})
        told = True
        if approval.progress and votes != (votes := (approval.progress.given, approval.progress.needed)):
            tell("progress", given=votes[0], needed=votes[1])

    action = gate.action(
        ORDER["agentName"],
        ORDER["actionDescription"],
        ORDER["approverEmails"],
        timeout=ORDER["timeoutSeconds"],
        supersedes=ORDER.get("supersedes"),
        on_pending=on_pending,
    )
    prepared = handle or action.prepare()
    try:
        pending = await action.submit_async(ORDER["parameters"], prepared)
        pending.detached = handle is not None
        permit = await pending.claim_async()
        tell("ran", parameters=ORDER["parameters"])
        if ORDER["fails"]:
            await permit.failed_async(ORDER["fails"])
            tell("end", outcome="failed")
        else:
            await permit.executed_async()
            tell("end", outcome="executed", comment=permit.proof.comment)
    except Refused as refused:
        question = refused.question
        tell("end", outcome="refused", reason=refused.reason.value, text=str(refused), question=question, id=refused.id)


async def main() -> None:
    gate = Gate.from_env()
    agents = asyncio.gather(*(run(gate) for _ in range(ORDER["copies"])))
    loop = asyncio.get_running_loop()

    def await_cancel() -> None:
        if sys.stdin.readline():
            loop.call_soon_threadsafe(agents.cancel)

    threading.Thread(target=await_cancel, daemon=True).start()
    try:
        await agents
    except asyncio.CancelledError:
        tell("end", outcome="cancelled")


if __name__ == "__main__":
    asyncio.run(main())
    flush()
    os._exit(0)  # a thread still reads the standard input
