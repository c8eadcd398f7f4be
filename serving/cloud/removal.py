"""`delete`: an endpoint and all that `deploy` made for it, nothing else."""

from serving.cloud import endpoints, inventory, scaling
from serving.cloud.calls import SAGEMAKER, Call
from serving.cloud.progress import Say
from serving.cloud.session import Clients, CloudError

# An endpoint that is being made or updated can be removed only after that.
AGAIN = "Run this again when the cause is gone; an endpoint that is in progress takes some minutes."


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
            raise CloudError(f"Not removed: {left}. So this is left, too: {', '.join(made.named())}. {AGAIN}")
    remaining = inventory.remove_all(clients, made, say)
    if remaining:
        raise CloudError(f"Not removed: {'; '.join(remaining)}. {AGAIN}")
