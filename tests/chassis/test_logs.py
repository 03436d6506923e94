"""The log: every line is JSON and says who speaks, from any thread, and none holds a value or a trace."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PROGRAM = """
import eventlet
eventlet.monkey_patch()
import logging, threading
from chassis import logs
from chassis.logs import log

logs.configure("info", organisation="kunta", service="intake")

def fail():
    raise ValueError("secret value")

def speak(where):
    try:
        fail()
    except ValueError as error:
        log.info("spoken", where=where, error=error)
        logging.getLogger("pymongo").warning("secret value %s", where, exc_info=True)
        logging.getLogger("nameko.containers").critical("secret value", exc_info=True)

speak("main")
eventlet.spawn(speak, "green").wait()
thread = threading.Thread(target=speak, args=["thread"])
thread.start()
thread.join()
log.debug("unheard")
log.info("own", service="another")
"""


def lines() -> list[dict[str, Any]]:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "secret value" not in ended.stdout + ended.stderr
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_each_line_says_who_speaks_from_every_kind_of_thread_and_holds_no_value() -> None:
    told = lines()

    assert {(line["organisation"], line["service"]) for line in told[:-1]} == {("kunta", "intake")}
    assert [line["where"] for line in told if line["event"] == "spoken"] == ["main", "green", "thread"]
    assert all(line["error"].startswith("ValueError at __main__:") for line in told[:-1])
    assert [line["logger"] for line in told if line["event"] == "library"] == ["pymongo"] * 3
    assert told[-1]["service"] == "another"
