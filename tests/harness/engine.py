"""The Docker engine, by its command line."""

import subprocess


def tried(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of `docker`, which may fail."""
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=False)


def docker(*words: str) -> str:
    """What a command of `docker` prints; an AssertionError shows what kept it from ending well."""
    done = tried(*words)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()
