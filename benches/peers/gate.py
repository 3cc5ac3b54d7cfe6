"""A hand-written gate, as a developer could write it in a day: FastAPI over SQLite.

It is as safe as this few lines allow: one file with WAL and synchronous=FULL, a token in the link, conditional
updates, an email in a file. It has no code beside the link, no digest, receipt, history, row MACs, reminders or
second instance, and no page that shows hidden characters. Handlers are coroutines that call SQLite directly, which
is faster here than FastAPI's threads.
"""

import hashlib
import hmac
import html
import json
import os
import sqlite3
import time
import uuid

from fastapi import FastAPI, Form, Header, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, Field

DIR = os.environ["GATE_DIR"]
KEY = b"a key of this peer, which is for measuring only"
MAILS = os.path.join(DIR, "mail")
os.makedirs(MAILS, exist_ok=True)
db = sqlite3.connect(os.path.join(DIR, "gate.db"), isolation_level=None)
db.execute("PRAGMA journal_mode=WAL")
db.execute("PRAGMA synchronous=FULL")
db.execute(
    "CREATE TABLE IF NOT EXISTS requests (id TEXT PRIMARY KEY, agent TEXT, action TEXT, parameters TEXT,"
    " approvers TEXT, status TEXT, approver TEXT, execution TEXT, requested REAL, expires REAL)"
)
app = FastAPI()


class NewApproval(BaseModel):
    agentName: str = Field(min_length=1, max_length=128)
    actionDescription: str = Field(min_length=1, max_length=256)
    parameters: dict
    approverEmails: list[str] = Field(min_length=1, max_length=20)
    timeoutSeconds: int = Field(3600, ge=10, le=2_592_000)


class Outcome(BaseModel):
    status: str


def token(id):
    return hmac.new(KEY, id.encode(), hashlib.sha256).hexdigest()


def mail(name, text):
    with open(os.path.join(MAILS, name), "w") as file:
        file.write(text)


def authorized(key):
    if not hmac.compare_digest(key or "", os.environ["GATE_KEY"]):
        raise HTTPException(401)


def row(id):
    found = db.execute("SELECT * FROM requests WHERE id = ?", [id]).fetchone()
    if not found:
        raise HTTPException(404)
    names = "id agent action parameters approvers status approver execution requested expires".split()
    found = dict(zip(names, found))
    if found["status"] == "Pending" and time.time() >= found["expires"]:
        found["status"] = "Timeout"
    return found


@app.get("/")
async def ready():
    return {}


@app.post("/api/submit", status_code=202)
async def submit(new: NewApproval, x_functions_key: str = Header("")):
    authorized(x_functions_key)
    id, now = str(uuid.uuid4()), time.time()
    db.execute(
        "INSERT INTO requests VALUES (?, ?, ?, ?, ?, 'Pending', NULL, NULL, ?, ?)",
        [id, new.agentName, new.actionDescription, json.dumps(new.parameters), json.dumps(new.approverEmails),
         now, now + new.timeoutSeconds],
    )
    mail(f"{id}.question", f"{new.agentName} asks for {new.actionDescription}: /api/decision/{id}?k={token(id)}")
    return {"id": id, "status": "Pending"}


@app.get("/api/status/{id}")
async def status(id: str, x_functions_key: str = Header("")):
    authorized(x_functions_key)
    return row(id)


@app.get("/api/decision/{id}", response_class=HTMLResponse)
async def page(id: str, k: str):
    if not hmac.compare_digest(k, token(id)):
        raise HTTPException(404)
    found = row(id)
    return (
        f"<h1>{html.escape(found['action'])}</h1><p>{html.escape(found['agent'])}</p>"
        f"<pre>{html.escape(found['parameters'])}</pre><form method=post><input type=hidden name=k value={k}>"
        "<button name=decision value=approve>Approve</button><button name=decision value=reject>Reject</button></form>"
    )


@app.post("/api/decision/{id}")
async def decide(id: str, k: str = Form(), decision: str = Form()):
    if not hmac.compare_digest(k, token(id)):
        raise HTTPException(404)
    verdict = "Approved" if decision == "approve" else "Rejected"
    changed = db.execute(
        "UPDATE requests SET status = ?, approver = 'approver' WHERE id = ? AND status = 'Pending' AND expires > ?",
        [verdict, id, time.time()],
    )
    if changed.rowcount == 0:
        raise HTTPException(409)
    mail(f"{id}.outcome", verdict)
    return RedirectResponse(f"/api/decision/{id}?k={k}", 303)


@app.post("/api/claim/{id}")
async def claim(id: str, x_functions_key: str = Header("")):
    authorized(x_functions_key)
    changed = db.execute(
        "UPDATE requests SET execution = 'Executing' WHERE id = ? AND status = 'Approved' AND execution IS NULL", [id]
    )
    if changed.rowcount == 0:
        raise HTTPException(409)
    return row(id)


@app.post("/api/outcome/{id}")
async def outcome(id: str, outcome: Outcome, x_functions_key: str = Header("")):
    authorized(x_functions_key)
    changed = db.execute(
        "UPDATE requests SET execution = ? WHERE id = ? AND execution = 'Executing'", [outcome.status, id]
    )
    if changed.rowcount == 0:
        raise HTTPException(409)
    return row(id)
