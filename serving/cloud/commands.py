"""What `deploy`, `invoke`, `status` and `delete` do: answers go to stdout, progress and errors to stderr."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from serving.cloud import archives, calls, checks, deployment, endpoints, invocation, removal, scaling, storage
from serving.cloud.archives import Packed
from serving.cloud.calls import Call
from serving.cloud.deployment import Deployment
from serving.cloud.listing import ArchiveError
from serving.cloud.rollout import Rollout
from serving.cloud.session import Clients, CloudError
from serving.cloud.storage import Place

STDIN = "-"
# Below it, a folder for each endpoint and in that one for each archive's digest.
UPLOADS = "graviton-serving"
INTERRUPTED = 130  # as shells tell of SIGINT


def run(name: str, options: argparse.Namespace) -> int:
    """Run one of the four; the exit status is 1 where it failed, with the reason on stderr."""
    try:
        return COMMANDS[name](Clients(options.region, options.profile), options)
    except (CloudError, ArchiveError, OSError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("Interrupted.")
        return INTERRUPTED


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _deploy(clients: Clients, options: argparse.Namespace) -> int:
    if options.autoscale and not options.wait:
        raise CloudError(
            "--autoscale with --no-wait: only an endpoint in service can be scaled. Leave one of them out."
        )
    with tempfile.TemporaryDirectory(prefix="deploy-") as folder:
        packed = _packed(options, Path(folder))
        wanted = _wanted(clients, options, packed)
        problems = _problems(clients, wanted) if options.check else []
        for problem in problems:
            _say(f"* {problem}")
        if problems:
            hint = " --no-check prints the calls all the same." if options.dry_run else ""
            _say(f"Nothing was created, for of the checks {len(problems)} failed.{hint}")
            return 1
        if options.dry_run:
            _print_calls(clients, wanted, options.dry_run, ask=options.check)
        else:
            Rollout(clients, wanted, _say).run(packed.path if packed else None, wait=options.wait)
    return 0


def _packed(options: argparse.Namespace, folder: Path) -> Packed | None:
    """The archive that is to be uploaded: one that is here already, or that of a directory."""
    if options.multi_model or "://" in options.model_data:
        return None
    given = Path(options.model_data)
    if given.is_dir():
        packed = archives.pack(given, folder / "model.tar.gz", _say)
    elif given.is_file():
        packed = archives.packed_already(given)
    else:
        raise ArchiveError(
            f"--model-data is {options.model_data!r}, which is not here: expected a directory, an archive as `pack` "
            "makes it, or s3://BUCKET/KEY."
        )
    _say(packed.described(options.model_data))
    return packed


def _wanted(clients: Clients, options: argparse.Namespace, packed: Packed | None) -> Deployment:
    wanted = Deployment(
        name=options.name,
        image=options.image,
        model_data=options.model_data,
        role=options.role,
        instance_type=options.instance_type,
        suffix=token_hex(deployment.SUFFIX_LENGTH // 2),
        instance_count=options.instance_count,
        environment=dict(options.env),
        autoscale=options.autoscale,
        target=options.target,
        async_output=options.async_output,
        multi_model=options.multi_model,
        tags=dict(options.tags),
    )
    if packed is None:
        return wanted
    # By its digest, so the same model is the same object.
    bucket = options.bucket or storage.default_bucket(clients)
    where = Place(bucket, f"{UPLOADS}/{options.name}/{packed.sha256}/model.tar.gz")
    return replace(wanted, model_data=where.uri, uploaded=where)


def _problems(clients: Clients, wanted: Deployment) -> list[str]:
    _say("checking image, archive, role, instance type and environment")
    return checks.problems(clients, wanted, _say)


def _print_calls(clients: Clients, wanted: Deployment, form: str, *, ask: bool) -> None:
    """Those that would make the endpoint; with `ask`, those that would update it if there is one."""
    found = endpoints.describe(clients, wanted.name) if ask else None
    rollout = _updating(clients, wanted, found) if found else [deployment.creation(wanted)]
    if wanted.uploaded:
        _say(f"The archive would be uploaded to {wanted.uploaded.uri} first.")
    listed = [*deployment.parts(wanted), *rollout, *deployment.scaling_calls(wanted)]
    if form in ("json", "both"):
        sys.stdout.write(calls.as_json(listed) + "\n")
    if form in ("python", "both"):
        sys.stdout.write(calls.as_code(listed, clients.region) + "\n")


def _updating(clients: Clients, wanted: Deployment, found: Mapping[str, Any]) -> list[Call]:
    scaled = scaling.current(clients, wanted.name)
    update = deployment.update(wanted, scaled=bool(scaled))
    if scaled and endpoints.instance_type(clients, found["EndpointConfigName"]) != wanted.instance_type:
        return [scaling.removal(wanted.name), update, *scaled]
    return [update]


def _invoke(clients: Clients, options: argparse.Namespace) -> int:
    path = None if options.file == STDIN else Path(options.file)
    parameters = {
        "ContentType": invocation.content_type(path, options.content_type),
        "Accept": options.accept,
        "CustomAttributes": options.custom_attributes,
        "TargetModel": options.target_model,
    }
    given = {key: value for key, value in parameters.items() if value}
    output = invocation.queue(endpoints.existing(clients, options.name))
    body = path.read_bytes() if path else sys.stdin.buffer.read()
    if output:
        answer = invocation.invoke_through_s3(clients, options.name, body, given, output=output)
    else:
        answer = invocation.invoke(clients, options.name, body, given)
    sys.stdout.buffer.write(answer)
    sys.stdout.flush()
    return 0


def _status(clients: Clients, options: argparse.Namespace) -> int:
    found = endpoints.existing(clients, options.name)
    sys.stdout.writelines(f"{line}\n" for line in _state(found))
    for call in scaling.current(clients, options.name):
        if call.method == "register_scalable_target":
            least, most = call.parameters["MinCapacity"], call.parameters["MaxCapacity"]
            sys.stdout.write(f"scaled between {least} and {most} instances\n")
    if "FailureReason" in found:
        sys.stdout.write(f"{found['FailureReason']}\n")
        log = endpoints.last_log_lines(clients, options.name, found["CreationTime"])
        sys.stdout.writelines(f"  {line}\n" for line in log)
    return 1 if found["EndpointStatus"] == endpoints.FAILED else 0


def _state(found: Mapping[str, Any]) -> list[str]:
    # A failed endpoint has no configuration any more.
    lines = [
        f"{found['EndpointName']}: {found['EndpointStatus']}, configuration {found.get('EndpointConfigName', '-')}"
    ]
    for variant in found.get("ProductionVariants", []):
        current, desired = variant.get("CurrentInstanceCount", 0), variant.get("DesiredInstanceCount", 0)
        images = ", ".join(image["SpecifiedImage"] for image in variant.get("DeployedImages", []))
        lines.append(f"{variant['VariantName']}: {current} of {desired} instances, {images}")
    return lines


def _delete(clients: Clients, options: argparse.Namespace) -> int:
    removal.delete(clients, options.name, _say)
    return 0


COMMANDS: Mapping[str, Callable[[Clients, argparse.Namespace], int]] = {
    "deploy": _deploy,
    "invoke": _invoke,
    "status": _status,
    "delete": _delete,
}
