"""The log: one JSON object a line on stderr, which SageMaker passes to CloudWatch."""

import json
import logging
from datetime import UTC, datetime


class JsonFormatter(logging.Formatter):
    """Time, level, logger and message; a traceback, where there is one, on the same line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a JSON object."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure(level: int) -> None:
    """Write the log lines of this program and of uvicorn from `level` on to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Of uvicorn what is wrong with a request, and nothing that it has to say of itself.
    logging.getLogger("uvicorn").setLevel(max(level, logging.WARNING))
