"""`delete`: an endpoint and all that `deploy` made for it, nothing else."""

from serving.cloud import endpoints, inventory, scaling
from serving.cloud.calls import SAGEMAKER, Call
from serving.cloud.progress import Say
from serving.cloud.session import Clients, CloudError


def delete(clients: Clients, name: str, say: Say) -> None:
    """Remove it all, telling each. Raises CloudError for someone else's endpoint, and names what is left."""
    found = endpoints.describe(clients, name)
    if found and not inventory.is_ours(clients, name, found["EndpointArn"]):
        raise CloudError(f"`deploy` has not made the endpoint {name}, so nothing was removed.")
    made = inventory.taken(clients, name)
    if not (found or made):
        raise CloudError(f"There is no endpoint {name} in {clients.region}, nor anything that `deploy` made for it.")
    if found:
        if scaling.current(clients, name):
            scaling.removal(name).make(clients)
            say(f"removed: scaling of {name}")
        left = inventory.remove(clients, Call(SAGEMAKER, "delete_endpoint", {"EndpointName": name}), say)
        if left:
            # Without its configuration it could not be told what it is.
            rest = ", ".join((*made.configs, *made.models, *sorted(made.archives)))
            raise CloudError(f"Not removed: {left}. So this is left, too: {rest}. Run this again in some minutes.")
    remaining = inventory.remove_all(clients, made, say)
    if remaining:
        raise CloudError(f"Not removed: {'; '.join(remaining)}. Run this again in some minutes.")
