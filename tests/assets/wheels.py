"""Wheels made by hand, so that nothing needs an index."""

import zipfile
from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: {tag}\n"


def wheel(folder: Path, name: str, text: str, version: str = "1.0", tag: str = "py3-none-any") -> Path:
    """A wheel with one module of this name and text."""
    path = folder / f"{name}-{version}-{tag}.whl"
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": text,
        f"{about}/METADATA": METADATA.format(name=name, version=version),
        f"{about}/WHEEL": WHEEL.format(tag=tag),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for place, content in files.items():
            archive.writestr(place, content)
        archive.writestr(f"{about}/RECORD", "".join(f"{place},,\n" for place in [*files, f"{about}/RECORD"]))
    return path
