"""What AWS finds out after twelve minutes, found out before anything is created."""

import re
from collections.abc import Callable, Iterator

from serving.cloud import images, instances, listing, storage
from serving.cloud.archives import SUFFIX
from serving.cloud.deployment import OWNER_TAG, Deployment
from serving.cloud.failure import NO_CREDENTIALS
from serving.cloud.listing import ArchiveError
from serving.cloud.progress import Say
from serving.cloud.session import Clients, CloudError
from serving.cloud.storage import Place
from serving.settings import SettingError, from_environment

# All from the API's own model (botocore).
LONGEST_NAME = 63
NAME = re.compile(rf"[a-zA-Z0-9](-*[a-zA-Z0-9]){{0,{LONGEST_NAME - 1}}}")
ROLE = re.compile(r"arn:aws[a-z\-]*:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+")
VARIABLE = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
MOST_VARIABLES = 100
LONGEST_VARIABLE = 1024  # characters of a name, and of a value
ENVIRONMENT_BYTES = 32 * 1024


def problems(clients: Clients, wanted: Deployment, say: Say) -> list[str]:
    """Everything that is wrong, a line each; nothing was created to find it out.

    An archive that is yet to be uploaded was held against the same rules when it was packed.
    """
    found: dict[str, None] = {}
    architecture = instances.architecture(wanted.instance_type)
    here: tuple[Callable[[], Iterator[str]], ...] = (
        lambda: _shapes(wanted),
        lambda: _environment(wanted),
        lambda: _scaling(wanted),
    )
    on_aws: tuple[Callable[[], Iterator[str]], ...] = (
        lambda: images.problems(clients, wanted.image, architecture, multi_model=wanted.multi_model),
        lambda: _async_output(clients, wanted),
        lambda: _model_data(clients, wanted, say),
    )
    # Without credentials each of them would say so.
    asked = on_aws if clients.signed_in() else (_signed_out,)
    for check in (*here, *asked):
        try:
            found |= dict.fromkeys(check())
        except (CloudError, ArchiveError) as error:
            found[str(error)] = None
    return list(found)


def _signed_out() -> Iterator[str]:
    yield f"AWS cannot be asked about the image and the model: {NO_CREDENTIALS}"


def _shapes(wanted: Deployment) -> Iterator[str]:
    if not NAME.fullmatch(wanted.name):
        yield (
            f"--name is {wanted.name!r}, of {len(wanted.name)} characters: expected up to {LONGEST_NAME} letters, "
            "digits and hyphens between them."
        )
    if not ROLE.fullmatch(wanted.role):
        yield f"--role is {wanted.role!r}: expected an IAM role's ARN, arn:aws:iam::ACCOUNT:role/NAME."
    if wanted.instance_type not in instances.endpoint_types():
        yield (
            f"--instance-type is {wanted.instance_type!r}: SageMaker has no endpoints on it. Take one of those "
            "that docs/deploying.md lists, or update boto3 if it is newer than that."
        )
    if OWNER_TAG in wanted.tags:
        yield f"--tags {OWNER_TAG}: this tag is set by deploy itself. Leave it out."


def _environment(wanted: Deployment) -> Iterator[str]:
    variables = wanted.environment
    if len(variables) > MOST_VARIABLES:
        yield f"--env: {len(variables)} variables; SageMaker takes {MOST_VARIABLES}. Leave some out."
    for key, value in variables.items():
        if not VARIABLE.fullmatch(key):
            yield f"--env {key[:60]!r}: expected a name of letters, digits and underscores that begins with no digit."
        longest = max(len(key), len(value))
        if longest > LONGEST_VARIABLE:
            yield f"--env {key[:60]}: {longest} characters; SageMaker takes {LONGEST_VARIABLE}. Shorten it."
    try:
        from_environment(variables)
    except SettingError as error:
        yield f"--env: {error}. The container would end at once."
    total = sum(len(key.encode()) + len(value.encode()) for key, value in variables.items())
    if total > ENVIRONMENT_BYTES:
        yield f"--env: {total} bytes in all; SageMaker takes {ENVIRONMENT_BYTES}. Put some into the model archive."


def _scaling(wanted: Deployment) -> Iterator[str]:
    if wanted.instance_count is not None and wanted.instance_count < 1:
        yield f"--instance-count is {wanted.instance_count}: expected 1 or more."
    if wanted.autoscale:
        least, most = wanted.autoscale
        if not 1 <= least <= most:
            yield f"--autoscale is {least}:{most}: expected MIN:MAX, with 1 <= MIN <= MAX."
        elif wanted.instance_count is not None and not least <= wanted.instance_count <= most:
            yield f"--instance-count is {wanted.instance_count}: expected one that --autoscale {least}:{most} allows."
        if wanted.target <= 0:
            yield "--autoscale needs --target, what one instance is to get: expected more than 0."
    elif wanted.target:
        yield f"--target is {wanted.target:g}, which is for --autoscale MIN:MAX: expected both or neither."


def _async_output(clients: Clients, wanted: Deployment) -> Iterator[str]:
    if not wanted.async_output:
        return
    where = storage.place(wanted.async_output)
    if where is None:
        yield f"--async is {wanted.async_output!r}: expected where answers are to be put, s3://BUCKET/PREFIX."
    else:
        storage.check_bucket(clients, where.bucket, "--async", listed=False)


def _model_data(clients: Clients, wanted: Deployment, say: Say) -> Iterator[str]:
    uri = wanted.model_data
    where = storage.place(uri)
    if where is None:
        yield f"--model-data is {uri!r}: expected s3://BUCKET/…{SUFFIX}, or a directory to pack."
        return
    if wanted.uploaded:
        storage.check_bucket(clients, where.bucket, "the archive (--bucket names another)", listed=True)
        return
    storage.check_bucket(clients, where.bucket, "--model-data", listed=False)
    if wanted.multi_model:
        if not uri.endswith("/"):
            yield f"--model-data is {uri!r}: --multi-model expects a prefix of archives, ending in a slash."
        elif (first := next(storage.archives_below(clients, where), None)) is None:
            yield f"No {SUFFIX} was found below {uri}: upload the models' archives there."
        else:
            # The others may be thousands, and come and go while the endpoint lives.
            _examine(clients, first, say)
    elif not uri.endswith(SUFFIX):
        yield f"--model-data is {uri!r}: SageMaker unpacks only …{SUFFIX}. Rename or pack it."
    else:
        _examine(clients, where, say)


def _examine(clients: Clients, where: Place, say: Say) -> None:
    with storage.stream(clients, where, say) as body:
        listing.examine(body, where.uri)
