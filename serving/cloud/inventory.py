"""What `deploy` has made for an endpoint, told by the tags that it puts on everything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from serving.cloud import storage
from serving.cloud.calls import SAGEMAKER, Call
from serving.cloud.deployment import ARCHIVE_TAG, OWNER_TAG, prefix
from serving.cloud.endpoints import tags
from serving.cloud.progress import Say
from serving.cloud.session import Clients, CloudError


@dataclass(frozen=True, slots=True)
class Inventory:
    """An endpoint's configurations and models by name, and its models' archives where `deploy` uploaded them."""

    configs: tuple[str, ...]
    models: tuple[str, ...]
    archives: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.configs or self.models)

    def named(self) -> list[str]:
        """Each, with its kind."""
        return [*map(_what, self.removal()), *sorted(self.archives)]

    def removal(self) -> list[Call]:
        """The calls that remove the configurations and the models."""
        return [
            *(Call(SAGEMAKER, "delete_endpoint_config", {"EndpointConfigName": name}) for name in self.configs),
            *(Call(SAGEMAKER, "delete_model", {"ModelName": name}) for name in self.models),
        ]


def is_ours(clients: Clients, name: str, arn: str) -> bool:
    """Whether `deploy` made this for the endpoint of that name. Raises CloudError."""
    return tags(clients, arn).get(OWNER_TAG) == name


def taken(clients: Clients, name: str, *, but: str = "", data: str = "") -> Inventory:
    """Take stock of what was made for an endpoint, all `but` what bears that name.

    An archive counts only if no model has it that is left out, and if it is not `data`, nor below it where that is a
    prefix: what serves now may have been given by its address. Raises CloudError.
    """
    configs = tuple(
        found["EndpointConfigName"]
        for found in _pages(clients, "list_endpoint_configs", "EndpointConfigs", prefix(name))
        if found["EndpointConfigName"] != but and is_ours(clients, name, found["EndpointConfigArn"])
    )
    models, archives, kept = [], set(), set()
    for found in _pages(clients, "list_models", "Models", prefix(name)):
        held = tags(clients, found["ModelArn"])
        if held.get(OWNER_TAG) != name:
            continue
        archive = {held[ARCHIVE_TAG]} if ARCHIVE_TAG in held else set[str]()
        if found["ModelName"] == but:
            kept |= archive
        else:
            models.append(found["ModelName"])
            archives |= archive
    return Inventory(
        configs, tuple(models), frozenset(each for each in archives - kept if not (data and each.startswith(data)))
    )


def _pages(clients: Clients, method: str, listed: str, beginning: str) -> Iterator[dict[str, Any]]:
    parameters: dict[str, Any] = {"NameContains": beginning}
    while True:
        page = Call(SAGEMAKER, method, parameters).make(clients)
        yield from page[listed]
        if not page.get("NextToken"):
            return
        parameters["NextToken"] = page["NextToken"]


def remove_all(clients: Clients, inventory: Inventory, say: Say) -> list[str]:
    """Remove what is listed, telling each; returns what is left, with the reason."""
    left = [what for call in inventory.removal() if (what := remove(clients, call, say))]
    return left + [what for uri in sorted(inventory.archives) if (what := remove_archive(clients, uri, say))]


def remove(clients: Clients, call: Call, say: Say) -> str:
    """Make a removing call; returns what is left and why, empty where nothing is, or was gone already."""
    what = _what(call)
    try:
        call.make(clients)
    except CloudError as error:
        return "" if error.missing else f"{what} ({error})"
    say(f"removed: {what}")
    return ""


def _what(call: Call) -> str:
    """What a removing call removes."""
    return f"{call.method.removeprefix('delete_').replace('_', ' ')} {next(iter(call.parameters.values()))}"


def remove_archive(clients: Clients, uri: str, say: Say) -> str:
    """Remove one object of S3, no other; returns what is left and why, empty where nothing is."""
    try:
        storage.remove(clients, uri)
    except CloudError as error:
        return f"{uri} ({error})"
    say(f"removed: {uri}")
    return ""
