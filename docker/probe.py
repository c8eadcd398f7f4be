"""Asks the server that runs beside it, in the container, for the sample's label: `probe.py SECONDS FILE LABEL`.

Exits with 1 and one line where it is not ready within SECONDS or its answer is another. Standard library alone.
"""

import http.client
import json
import sys
import time
from pathlib import Path

PORT = 8080
ANSWER_SECONDS = 60  # SageMaker's own limit
RETRY_SECONDS = 0.2


def ready(deadline: float) -> bool:
    """Ask /ping, as SageMaker does, until it answers 200; False where the deadline passed before."""
    while time.monotonic() < deadline:
        if ping() == http.client.OK:
            return True
        time.sleep(RETRY_SECONDS)
    return False


def ping() -> int:
    """The status of /ping; 0 while nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/ping")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def invoke(body: bytes) -> tuple[int, bytes]:
    """The status and the answer of /invocations to a JSON body."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=ANSWER_SECONDS)
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def main(seconds: str, sample: str, label: str) -> str:
    """What is wrong; empty where nothing is."""
    if not ready(time.monotonic() + float(seconds)):
        return f"/ping did not answer 200 within {seconds} s"
    status, answer = invoke(Path(sample).read_bytes())
    if status != http.client.OK:
        return f"/invocations answered {status}: expected 200; {answer.decode(errors='replace')}"
    found = json.loads(answer)["predictions"][0]["label"]
    return "" if found == int(label) else f"the sample's label is {found}: expected {label}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) or 0)
