"""Lists what is in the image that it runs in, as a CycloneDX document on stdout: `sbom.py NAME VERSION`.

Python's packages by their installed metadata, Debian's by dpkg's. The same image gives the same document: no time and
no serial number. Format: https://cyclonedx.org/docs/1.6/json/. Standard library alone.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from email.parser import Parser
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import quote

STATUS = Path("/var/lib/dpkg/status")
RELEASE = Path("/etc/os-release")
# Longer texts in a package's metadata are the licence itself, not its name.
LICENCE_NAME_LENGTH = 100

Component = dict[str, object]


def document(name: str, version: str) -> dict[str, object]:
    """The whole document."""
    components = [*python_packages(), *debian_packages()]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "container", "bom-ref": "image", "name": name, "version": version}},
        "components": components,
        "dependencies": [{"ref": "image", "dependsOn": [component["bom-ref"] for component in components]}],
    }


def python_packages() -> Iterator[Component]:
    """Each installed distribution, by name."""
    found = {each.metadata["Name"].lower().replace("_", "-"): each for each in distributions()}
    for name, each in sorted(found.items()):
        address = f"pkg:pypi/{quote(name)}@{quote(each.version)}"
        component: Component = {
            "type": "library",
            "bom-ref": address,
            "name": name,
            "version": each.version,
            "purl": address,
            "properties": [{"name": "graviton-serving:record-sha256", "value": record_hash(each)}],
        }
        licence = licence_of(each)
        if licence:
            component["licenses"] = [licence]
        yield component


def record_hash(distribution: Distribution) -> str:
    """SHA-256 of the RECORD in its dist-info, which lists every installed file with its own hash."""
    return hashlib.sha256((distribution.read_text("RECORD") or "").encode()).hexdigest()


def licence_of(distribution: Distribution) -> Component | None:
    """The licence in the terms of its metadata; None where they give none or a whole text."""
    given = distribution.metadata
    if "License-Expression" in given:
        return {"expression": given["License-Expression"]}
    name = " ".join(given["License"].split()) if "License" in given else ""
    return {"license": {"name": name}} if 0 < len(name) <= LICENCE_NAME_LENGTH else None


def debian_packages() -> Iterator[Component]:
    """Each package that dpkg has installed, by name."""
    distro = distribution_name()
    stanzas = [Parser().parsestr(text) for text in STATUS.read_text().split("\n\n") if text.strip()]
    for stanza in sorted(stanzas, key=lambda each: (each["Package"], each["Architecture"])):
        if stanza["Status"] != "install ok installed":
            continue
        name, version, architecture = stanza["Package"], stanza["Version"], stanza["Architecture"]
        address = f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?arch={architecture}&distro={distro}"
        yield {"type": "library", "bom-ref": address, "name": name, "version": version, "purl": address}


def distribution_name() -> str:
    """Like `debian-13`, as scanners look packages' advisories up."""
    lines = (line.partition("=") for line in RELEASE.read_text().splitlines())
    fields = {name: value.strip('"') for name, _, value in lines}
    return f"{fields['ID']}-{fields['VERSION_ID']}"


if __name__ == "__main__":
    json.dump(document(*sys.argv[1:]), sys.stdout, indent=2)
    sys.stdout.write("\n")
