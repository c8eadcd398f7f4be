"""One run of `deploy`: the endpoint made or updated without downtime, or all taken back and what is left named."""

import time
from collections.abc import Callable
from pathlib import Path

from serving.cloud import deployment, endpoints, inventory, scaling, storage
from serving.cloud.calls import SAGEMAKER, Call
from serving.cloud.deployment import Deployment
from serving.cloud.endpoints import IN_SERVICE, UNDER_WAY, Outcome, Pause
from serving.cloud.progress import Say
from serving.cloud.session import Clients, CloudError


class Rollout:
    """Makes, and remembers what it has made and must put back: `_undo` is the way back, the last step first."""

    def __init__(self, clients: Clients, wanted: Deployment, say: Say, pause: Pause = time.sleep) -> None:
        self._clients = clients
        self._wanted = wanted
        self._say = say
        self._pause = pause
        self._undo: list[Callable[[], str]] = []
        # The calls that made the endpoint's scaling, and whether it had to go for the update.
        self._scaled: list[Call] = []
        self._unscaled = False

    def run(self, archive: Path | None, *, wait: bool) -> None:
        """Upload the archive, if there is one, and make or update the endpoint.

        Raises:
            CloudError: it went wrong; what this run had made is removed, and what is left is named.
            KeyboardInterrupt: after the same.
        """
        found = endpoints.describe(self._clients, self._wanted.name)
        if found:
            self._check_updatable(found)
        try:
            self._make_parts(archive)
            self._roll_out(found["EndpointConfigName"] if found else None, wait=wait)
        except (CloudError, KeyboardInterrupt) as error:
            left = self._take_back()
            if left:
                raise CloudError(f"{error or 'Interrupted.'} Left behind: {'; '.join(left)}.") from error
            raise
        if wait:
            self._see_through(is_new=found is None)
        else:
            self._say(
                f"Not waiting: `graviton-serving status --name {self._wanted.name}` tells how far it is. "
                "What an update replaces is removed by the next `deploy` or `delete`."
            )

    def _check_updatable(self, found: dict[str, str]) -> None:
        name, status = found["EndpointName"], found["EndpointStatus"]
        if not inventory.is_ours(self._clients, name, found["EndpointArn"]):
            raise CloudError(f"There is an endpoint {name} that `deploy` has not made. Take another --name.")
        if status != IN_SERVICE:
            remedy = (
                "Wait and run this again" if status in UNDER_WAY else f"Run `graviton-serving delete --name {name}`"
            )
            reason = found.get("FailureReason", "no reason given")
            raise CloudError(f"The endpoint {name} is {status} ({reason}): expected {IN_SERVICE}. {remedy}.")

    def _make_parts(self, archive: Path | None) -> None:
        wanted, name = self._wanted, self._wanted.part_name
        if archive and wanted.uploaded:
            uri = wanted.uploaded.uri
            # The same model as one that serves is the same object, which is then not this run's to remove.
            if not storage.exists(self._clients, wanted.uploaded):
                self._undo.append(lambda: inventory.remove_archive(self._clients, uri, self._say))
                storage.send(self._clients, archive, wanted.uploaded, self._say)
        model, config = deployment.parts(wanted)
        self._make(model, Call(SAGEMAKER, "delete_model", {"ModelName": name}))
        self._make(config, Call(SAGEMAKER, "delete_endpoint_config", {"EndpointConfigName": name}))

    def _make(self, call: Call, back: Call) -> None:
        # First the way back: a call whose answer is lost may have been heard.
        self._undo.append(lambda: inventory.remove(self._clients, back, self._say))
        self._say(f"{call.method} {next(iter(call.parameters.values()))}")
        call.make(self._clients)

    def _roll_out(self, old_config: str | None, *, wait: bool) -> None:
        wanted = self._wanted
        if old_config is None:
            self._make(deployment.creation(wanted), Call(SAGEMAKER, "delete_endpoint", {"EndpointName": wanted.name}))
            return
        self._scaled = scaling.current(self._clients, wanted.name)
        if self._scaled and endpoints.instance_type(self._clients, old_config) != wanted.instance_type:
            # SageMaker refuses to change the instance type of a variant that is being scaled.
            if not wait:
                raise CloudError(
                    f"{wanted.name} is being scaled: its instance type changes only with its scaling taken away and "
                    "put back, so this must wait. Deploy without --no-wait."
                )
            self._undo.append(self._restore_scaling)
            self._unscaled = True
            scaling.removal(wanted.name).make(self._clients)
        call = deployment.update(wanted, scaled=bool(self._scaled))
        self._say(f"{call.method} {wanted.name}")
        call.make(self._clients)

    def _restore_scaling(self) -> str:
        try:
            for call in self._scaled:
                call.make(self._clients)
        except CloudError as error:
            return f"the endpoint without its scaling ({error})"
        return ""

    def _take_back(self) -> list[str]:
        left = [what for step in reversed(self._undo) if (what := step())]
        self._undo.clear()
        return left

    def _see_through(self, *, is_new: bool) -> None:
        """Wait for the endpoint, and do what can be done only then."""
        name, config = self._wanted.name, self._wanted.part_name
        hint = f"`graviton-serving status --name {name}` tells how far it is, `delete` removes it."
        try:
            outcome, reason = endpoints.await_outcome(self._clients, name, config, self._say, self._pause)
        except (CloudError, KeyboardInterrupt) as error:
            raise CloudError(
                f"{error or 'Interrupted.'} The endpoint {name} goes on being made.{self._unscaled_note()} {hint}"
            ) from error
        if outcome is not Outcome.IN_SERVICE:
            self._tell_log()
            message = f"The endpoint {name} {outcome.value}: {reason.rstrip('.')}."
            if outcome is Outcome.OPEN or (outcome is Outcome.FAILED and not is_new):
                raise CloudError(f"{message} It was left as it is.{self._unscaled_note()} {hint}")
            left = self._take_back()
            named = f" Left behind: {'; '.join(left)}." if left else " All that this run made was removed."
            raise CloudError(message + named)
        self._scale()
        left = inventory.remove_all(
            self._clients, inventory.taken(self._clients, name, but=config, data=self._wanted.model_data), self._say
        )
        if left:
            raise CloudError(f"The endpoint {name} is in service, but this is left of what it was: {'; '.join(left)}.")
        self._say(f"{name} is in service.")

    def _tell_log(self) -> None:
        """The end of the log of an instance that this run's configuration has started."""
        try:
            since = endpoints.made_at(self._clients, self._wanted.part_name)
        except CloudError as error:
            self._say(f"  The container's log cannot be told from older ones: {error}")
            return
        for line in endpoints.last_log_lines(self._clients, self._wanted.name, since):
            self._say(f"  {line}")

    def _unscaled_note(self) -> str:
        """What to say of the scaling, where it had to go and cannot be put back, for the endpoint is on its way."""
        if not self._unscaled:
            return ""
        target = self._scaled[0].parameters
        return (
            f" Its scaling between {target['MinCapacity']} and {target['MaxCapacity']} instances was taken away for "
            "this and is not back: deploy with --autoscale once it is in service."
        )

    def _scale(self) -> None:
        # The former scaling first, if it had to go: what is asked for now takes its place, and other policies stay.
        calls = (self._scaled if self._unscaled else []) + deployment.scaling_calls(self._wanted)
        try:
            for call in calls:
                self._say(call.method)
                call.make(self._clients)
        except CloudError as error:
            raise CloudError(
                f"{error} The endpoint {self._wanted.name} is in service, but not scaled as was asked. Run this again; "
                "`graviton-serving delete` removes it."
            ) from error
