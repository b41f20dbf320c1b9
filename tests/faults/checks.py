"""What has to hold whatever happened. `at_any_time` looks at one snapshot of the database while everything runs; `at_rest` when
the stream has ended; `undisturbed` measures again, in this process, what a fault had to do with."""

from __future__ import annotations

import base64
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis as redis_client
from psycopg.rows import dict_row

from evaluators.runtime import Job, Runtime
from tests.faults.stand import BOARD, Stand
from tests.faults.stream import Entry, Stream
from tests.services import wait_until

FINAL = ("succeeded", "failed", "cancelled")

WRONG = {
    "a submission without exactly one evaluation": """
        SELECT s.id FROM submissions_submission s LEFT JOIN evaluations_evaluation e ON e.submission_id = s.id
        GROUP BY s.id HAVING count(e.id) <> 1""",
    "over without an end, or ended without being over": """
        SELECT id, state FROM evaluations_evaluation
        WHERE (finished_at IS NULL) <> (state IN ('queued', 'running'))""",
    "a success without scores": """
        SELECT id FROM evaluations_evaluation e WHERE state = 'succeeded'
        AND NOT EXISTS (SELECT 1 FROM standings_score s WHERE s.evaluation_id = e.id)""",
    "scores without a success": """
        SELECT evaluation_id FROM standings_score JOIN evaluations_evaluation e ON e.id = evaluation_id
        WHERE e.state <> 'succeeded'""",
    "not exactly one standing for a success": """
        SELECT e.id FROM evaluations_evaluation e LEFT JOIN standings_standing s ON s.evaluation_id = e.id
        WHERE e.state = 'succeeded' GROUP BY e.id HAVING count(s.id) <> 1""",
    "a result of another attempt than the last": """
        SELECT id, attempt, provenance FROM evaluations_evaluation
        WHERE state = 'succeeded' AND (provenance->>'attempt')::int <> attempt""",
    "a failure, though every model is good": """
        SELECT id, failure_code, failure_message, faults FROM evaluations_evaluation WHERE state IN ('failed', 'cancelled')""",
    "quota that does not add up": """
        SELECT period, used, charged FROM (
            SELECT q.period, sum(q.used) AS used, (
                SELECT count(*) FROM submissions_submission s WHERE jsonb_exists(s.charged_periods, q.period)) AS charged
            FROM boards_quotause q GROUP BY q.period) AS sums
        WHERE used <> charged""",
}


@dataclass
class Memory:
    """What was final once, so that it can be seen to stay as it was."""

    final: dict[int, tuple[Any, ...]] = field(default_factory=dict)


def at_any_time(stand: Stand, memory: Memory) -> None:
    """One snapshot. AssertionError with the rows that are wrong."""
    with psycopg.connect(stand.database_url, row_factory=dict_row) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        found = {what: connection.execute(query).fetchall() for what, query in WRONG.items()}
        columns = "id, state, attempt, faults, finished_at, columns_sha256"
        rows = connection.execute(
            f"SELECT {columns} FROM evaluations_evaluation WHERE state = ANY(%s)", [list(FINAL)]
        ).fetchall()
    assert {what: rows for what, rows in found.items() if rows} == {}
    now = {row["id"]: tuple(row.values()) for row in rows}
    assert {key: (was, now.get(key)) for key, was in memory.final.items() if now.get(key) != was} == {}
    memory.final.update(now)


def all_final(stand: Stand, posted: list[Entry]) -> bool:
    """Whether everything in the list is over. False while the database does not say."""
    ids = [each.submission for each in posted]
    query = "SELECT count(*) AS n FROM evaluations_evaluation WHERE submission_id = ANY(%s::uuid[]) AND state = ANY(%s)"
    found = stand.rows(query, ids, list(FINAL))
    return bool(found) and found[0]["n"] == len(ids)


def not_over(stand: Stand) -> str:
    """For whoever reads a failure: what waits or runs, and what the sessions of the database do."""
    columns = "id, state, stage, attempt, faults, worker, now() - lease_expires_at AS late, now() - published_at AS sent"
    rows = stand.rows(f"SELECT {columns} FROM evaluations_evaluation WHERE state IN ('queued', 'running')")
    looked = "pid, client_port, state, wait_event_type, now() - state_change AS since, pg_blocking_pids(pid) AS behind, query"
    sessions = stand.rows(f"SELECT {looked} FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle'")
    return "\n".join(str(row) for row in [*rows, *sessions])


def at_rest(stand: Stand, stream: Stream, memory: Memory) -> None:
    """Everything is over: nothing waits, nothing is held, and what was acknowledged is what is there."""
    wait_until(lambda: all_final(stand, stream.posted), seconds=60, what="every submission is final")
    at_any_time(stand, memory)
    assert stream.unexpected == []
    known = {str(row["id"]) for row in stand.rows("SELECT id FROM submissions_submission WHERE name LIKE 'Entry %%'")}
    assert known == {each.submission for each in stream.posted}
    stand.change("UPDATE standings_settlement SET not_before = now()")  # boards may rest; a test has no time for it
    behind = "SELECT count(*) AS n FROM standings_settlement WHERE settled < wanted OR token IS NOT NULL"
    wait_until(lambda: stand.rows(behind) == [{"n": 0}], seconds=60, what="every board is settled, and nobody holds one")
    wait_until(lambda: messages_waiting(stand) == {}, seconds=60, what="no message waits")
    assert taken_and_still_needed(stand) == []


def messages_waiting(stand: Stand) -> dict[str, int]:
    """Messages in the broker that no worker has taken, by queue."""
    client = redis_client.Redis.from_url(stand.redis.url, decode_responses=True)
    queues = [name for name in client.keys("cpu*") if client.type(name) == "list"]
    return {name: int(client.llen(name)) for name in queues if client.llen(name)}


def taken_and_still_needed(stand: Stand) -> list[int]:
    """Evaluations that are not over, of messages that a worker took and never acknowledged. What dead workers held stays in
    Redis for its visibility timeout; it does no harm as long as it is about what is over."""
    client = redis_client.Redis.from_url(stand.redis.url, decode_responses=True)
    bodies = [json.loads(base64.b64decode(json.loads(held)[0]["body"])) for held in client.hvals("unacked")]
    taken = [arguments[0] for arguments, *_ in bodies if arguments]
    query = "SELECT id FROM evaluations_evaluation WHERE id = ANY(%s) AND state <> ALL(%s)"
    return [row["id"] for row in stand.rows(query, taken, list(FINAL))]


def the_killed_are_forgotten(stand: Stand) -> None:
    """The schedulers forget a process that was killed after a minute of silence; the database's rows are made older here."""
    since = stand.rows("SELECT now() AS moment")[0]["moment"]
    for table in ("evaluations_worker", "evaluations_scheduler"):
        older = f"UPDATE {table} SET seen_at = seen_at - interval '1 minute' WHERE seen_at <= %s"
        wait_until(lambda older=older: stand.change(older, since) == 0, seconds=60, what=f"{table} has the living only")


def after_the_stop(stand: Stand) -> None:
    """Every process was asked to stop: none is left, no row says that one lives, and no file lies about."""
    assert stand.rows("SELECT count(*) AS n FROM evaluations_worker") == [{"n": 0}]
    assert stand.rows("SELECT count(*) AS n FROM evaluations_scheduler") == [{"n": 0}]
    assert [" ".join(each.cmdline()) for each in stand.strangers()] == []
    state = stand.folder / "state"
    assert sorted(path.name for path in state.glob("*/owned-*")) == []
    assert sorted(path.name for path in (state / "files" / "incoming").iterdir()) == []
    assert sorted(path.name for path in (stand.folder.parent / "tmp").iterdir()) == []


def undisturbed(stand: Stand, stream: Stream, *, others: int) -> int:
    """Evaluate again, without any server, what took more than one attempt, and some others; every score is the same to the
    last bit, but for measured times. How many were compared."""
    query = "SELECT id, submission_id, attempt FROM evaluations_evaluation ORDER BY (attempt > 1) DESC, id"
    rows = stand.rows(query)
    entries = {each.submission: each for each in stream.posted}
    chosen = [row for row in rows if str(row["submission_id"]) in entries]
    chosen = [row for n, row in enumerate(chosen) if row["attempt"] > 1 or n >= len(chosen) - others]
    with tempfile.TemporaryDirectory() as folder, Runtime(secret=b"tests", cache_dir=Path(folder), device="cpu") as runtime:
        for row in chosen:
            each = entries[str(row["submission_id"])]
            result = runtime.evaluate(_job(each, Path(folder)))
            scores = stand.rows(
                "SELECT metric, slice, value, ci_low, ci_high FROM standings_score WHERE evaluation_id = %s AND unit <> 's'",
                row["id"],
            )
            found = {(s["metric"], s["slice"]): (s["value"], s["ci_low"], s["ci_high"]) for s in scores}
            wanted = {(s.metric, s.slice): (s.value, s.ci_low, s.ci_high) for s in result.scores if s.unit != "s"}
            assert found == wanted, f"entry {each.number} ({each.fields}), attempt {row['attempt']}"
    return len(chosen)


def _job(each: Entry, folder: Path) -> Job:
    artifact = None
    if each.file is not None:
        artifact = folder / each.filename
        artifact.write_bytes(each.file)
    fields = each.fields
    return Job(
        track=BOARD, kind=fields["kind"], model=fields.get("model", ""), config=fields.get("config", {}), artifact=artifact
    )
