"""Progress is told where something takes long, and nothing is where it does not."""

import io

import pytest

from serving.cloud.progress import Counted, Progress


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.0, []), (1.0, ["read 20 % of 1,000 bytes", "read 40 % of 1,000 bytes", "read 60 % of 1,000 bytes"])],
)
def test_it_is_told_every_ten_percent_and_two_seconds(
    seconds: float, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("serving.cloud.progress.time.monotonic", lambda: now)
    said: list[str] = []
    stream = Counted(io.BytesIO(bytes(1000)), Progress(said.append, "read", 1000))
    for _ in range(7):
        now += seconds
        assert stream.read(100) == bytes(100)
    assert said == told


def test_nothing_at_all_is_no_trouble() -> None:
    Progress(lambda _: None, "read", 0)(0)
