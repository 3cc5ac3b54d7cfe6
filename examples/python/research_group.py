"""A Researcher that reads public code on GitHub, a Critic, and a Publisher, on Microsoft Agent Framework. A person must
approve what is published.

    HO_URL=http://127.0.0.1:7071 APPROVER_EMAILS=approver@example.com python research_group.py [--offline]

Online it takes AZURE_OPENAI_ENDPOINT, AZURE_OPENAI_API_KEY, AZURE_OPENAI_DEPLOYMENT_NAME, and a GITHUB_TOKEN with the
scope `gist`.
"""

import asyncio
import base64
import json
import os
import sys
from typing import Any

import httpx
import stand_in
from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient

from human_oversight import Approval, approval_gate

QUESTION = "How do Rust services shut down gracefully?"
RESEARCHER = (
    "You are the Researcher. Answer the question from public code: search it, read the files that matter, and write a "
    "report that names them. When the Critic finds gaps, close them and write the whole report anew."
)
CRITIC = (
    "You are the Critic. Check the report: does it answer the question, and does it follow from the code that it "
    "names? Say what is missing, or say that the report is ready to be published."
)
PUBLISHER = (
    "You are the Publisher. Publish the report as a gist. A person must approve that. If it was not published, do not "
    "try again: say why, word for word."
)
ROUNDS = 4

FILES = {"src/main.rs": "server.shutdown(signal()).await", "src/signal.rs": "tokio::signal::ctrl_c().await"}
"""What GitHub has in `--offline`."""


class GitHub:
    def __init__(self, address: str, token: str) -> None:
        self._http = httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {token}"})

    async def search_code(self, query: str) -> str:
        """Finds files of public code on GitHub, by words and GitHub's qualifiers."""
        print(f"Researcher calls search_code({query})", flush=True)
        answer = (await self._http.get("/search/code", params={"q": query})).raise_for_status().json()
        return json.dumps([{"repository": it["repository"]["full_name"], "path": it["path"]} for it in answer["items"]])

    async def file_content(self, repository: str, path: str) -> str:
        """The beginning of a file on GitHub; the repository as owner/name."""
        print(f"Researcher calls file_content({repository}, {path})", flush=True)
        answer = (await self._http.get(f"/repos/{repository}/contents/{path}")).raise_for_status().json()
        return base64.b64decode(answer["content"]).decode()[:8_000]

    @approval_gate(
        agent_name="ResearchGroup",
        action_description="Publish GitHub Gist",
        on_pending=lambda approval: tell(approval),
    )
    async def publish_gist(self, title: str, content: str, public: bool = False) -> str:
        """Publishes a report as a gist, after a person approved."""
        gist = {"description": title, "public": public, "files": {"report.md": {"content": content}}}
        answer = (await self._http.post("/gists", json=gist)).raise_for_status().json()
        return f"Published: {answer['html_url']}"


def tell(approval: Approval) -> None:
    print(f"Waiting for a person to decide, until {approval.expires_at:%Y-%m-%d %H:%M} UTC", flush=True)


async def converse(client: Any, github: GitHub) -> None:
    researcher = Agent(client, RESEARCHER, tools=[github.search_code, github.file_content])
    critic = Agent(client, CRITIC)
    publisher = Agent(client, PUBLISHER, tools=[github.publish_gist])
    said = f"Question: {QUESTION}"
    print(said)
    for _ in range(ROUNDS):
        report = (await researcher.run(said)).text
        critique = (await critic.run(f"{said}\n\nResearcher: {report}")).text
        said += f"\n\nResearcher: {report}\n\nCritic: {critique}"
        print(f"\nResearcher: {report}\n\nCritic: {critique}", flush=True)
        if "ready" in critique:
            print(f"\nPublisher: {(await publisher.run(said)).text}")
            return
    print("\nNothing was ready to be published.")


def script(instructions: str, said: str, results: list[str]) -> "str | stand_in.Call":
    """The models of `--offline`."""
    report = said.rpartition("Researcher: ")[2].partition("\n\nCritic: ")[0]
    if "Publisher" in instructions:
        gist = {"title": QUESTION, "content": report}
        return results[0] if results else stand_in.Call("publish_gist", gist)
    if "Critic." in instructions:
        is_ready = "ctrl_c" in report
        return "It is ready to be published." if is_ready else "The report does not say what signal() waits for."
    files = list(FILES)[: 2 if "Critic: " in said else 1]
    if not results:
        return stand_in.Call("search_code", {"query": "graceful shutdown language:rust"})
    if len(results) <= len(files):
        return stand_in.Call("file_content", {"repository": "example/server", "path": files[len(results) - 1]})
    return "example/server shuts down so: " + "; ".join(results[1:])


async def main() -> None:
    if sys.argv[1:] == ["--offline"]:
        files = {path: base64.b64encode(text.encode()).decode() for path, text in FILES.items()}
        address = stand_in.start(script, files)
        model = OpenAIChatCompletionClient("stand-in", azure_endpoint=address, api_key="none", api_version="2024-10-21")
        await converse(model, GitHub(address, "none"))
    else:
        model = OpenAIChatCompletionClient(
            os.environ["AZURE_OPENAI_DEPLOYMENT_NAME"],
            azure_endpoint=os.environ["AZURE_OPENAI_ENDPOINT"],
            api_key=os.environ["AZURE_OPENAI_API_KEY"],
            api_version="2024-10-21",
        )
        await converse(model, GitHub("https://api.github.com", os.environ["GITHUB_TOKEN"]))


if __name__ == "__main__":
    asyncio.run(main())
