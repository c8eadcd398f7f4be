"""The arguments of `pack`, `deploy`, `invoke`, `status` and `delete`; what they do is in `packing` and `commands`."""

import argparse
import logging
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from serving.settings import Settings

NO_BOTO3 = "This command needs boto3: run it on your own machine, after pip install 'boto3>=1.40'.\n"


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the five commands."""
    _add_pack(
        commands.add_parser(
            "pack",
            help="make a model.tar.gz as SageMaker wants it, and try it out",
            description="Make a model.tar.gz as SageMaker wants it, after loading the model and running it once, and "
            "tell which backend serves it.",
        )
    )
    _add_deploy(
        commands.add_parser(
            "deploy",
            help="make or update a SageMaker endpoint, after checking it",
            description="Make a SageMaker endpoint, or update the one of that name without downtime. What AWS would "
            "find out after minutes is checked first. It costs by the hour until `delete` removes it.",
        )
    )
    _add_invoke(
        commands.add_parser(
            "invoke",
            help="send a file to an endpoint and print the answer",
            description="Send a file to an endpoint and print the answer as it came; of an asynchronous endpoint, "
            "wait for it.",
        )
    )
    status = commands.add_parser(
        "status",
        help="tell an endpoint's state",
        description="Tell an endpoint's state, its instances and their scaling, and why it failed if it did: the exit "
        "status is 1 then.",
    )
    _finish(status, "status")
    delete = commands.add_parser(
        "delete",
        help="remove an endpoint and all that deploy made for it",
        description="Remove an endpoint and all that `deploy` made for it: scaling, configurations, models and the "
        "archives that it uploaded. Nothing else is touched.",
    )
    _finish(delete, "delete")


def _add_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", type=Path, metavar="DIR", help="the model's folder, which becomes the root")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("model.tar.gz"),
        metavar="FILE",
        help="the archive (default: model.tar.gz, here)",
    )
    _add_switch(parser, "--load", "load the model and run it")
    parser.set_defaults(command=_pack, quietest=logging.WARNING)


def _add_invoke(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the request's body; - reads standard input")
    parser.add_argument("--content-type", metavar="TYPE", help="default: by the file's name, JSON for standard input")
    parser.add_argument("--accept", metavar="TYPE", help="the answer's format (default: the container's, JSON)")
    parser.add_argument("--target-model", metavar="ARCHIVE", help="of many models, the archive's name below the prefix")
    parser.add_argument(
        "--custom-attributes", metavar="TEXT", help="passed on to the container, like tfs-model-version=2"
    )
    _finish(parser, "invoke")


def _add_deploy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--image", required=True, metavar="URI", help="the image in ECR, as buildx.sh --push prints it")
    parser.add_argument(
        "--model-data",
        required=True,
        metavar="S3|DIR|FILE",
        help="archive in S3 or here, or a directory; what is here is packed and uploaded",
    )
    parser.add_argument("--role", required=True, metavar="ARN", help="the role that the container runs in")
    parser.add_argument("--instance-type", default="ml.c7g.xlarge", metavar="TYPE", help="default: ml.c7g.xlarge")
    parser.add_argument(
        "--instance-count", type=int, metavar="N", help="to begin with (default: the MIN of --autoscale, else 1)"
    )
    parser.add_argument(
        "--env",
        type=_pair,
        nargs="+",
        action="extend",
        default=[],
        metavar="K=V",
        help="the container's environment, such as the settings of this program",
    )
    parser.add_argument(
        "--tags", type=_pair, nargs="+", action="extend", default=[], metavar="K=V", help="of all that is made"
    )
    parser.add_argument("--autoscale", type=_range, metavar="MIN:MAX", help="scale between so many instances")
    parser.add_argument(
        "--target",
        type=float,
        default=0,
        metavar="N",
        help="what one instance is to get: invocations a minute, with --async requests that wait",
    )
    parser.add_argument(
        "--async",
        dest="async_output",
        default="",
        metavar="S3",
        help="an asynchronous endpoint, whose answers go below this prefix",
    )
    parser.add_argument(
        "--multi-model", action="store_true", help="many models: --model-data is the prefix of their archives in S3"
    )
    parser.add_argument("--bucket", metavar="NAME", help="where an archive from here goes (default: SageMaker's own)")
    _add_switch(parser, "--wait", "wait until it is in service")
    _add_switch(parser, "--check", "check all that can be checked before anything is made")
    parser.add_argument(
        "--dry-run",
        nargs="?",
        const="both",
        choices=("json", "python", "both"),
        help="print the calls, as JSON, as a program for boto3 or both (the default), and make none",
    )
    _finish(parser, "deploy")


def _add_switch(parser: argparse.ArgumentParser, name: str, does: str) -> None:
    """An option that is on unless it is turned off, as --no-NAME."""
    parser.add_argument(name, action=argparse.BooleanOptionalAction, default=True, help=f"{does} (the default), or not")


def _finish(parser: argparse.ArgumentParser, name: str) -> None:
    parser.add_argument("--name", required=True, metavar="NAME", help="the endpoint's name")
    parser.add_argument("--region", metavar="REGION", help="default: that of the AWS configuration")
    parser.add_argument("--profile", metavar="NAME", help="a profile of the AWS configuration")
    parser.set_defaults(command=_on_aws(name), quietest=logging.WARNING)


def _pack(options: argparse.Namespace, _settings: Settings) -> int:
    from serving.cloud import packing  # noqa: PLC0415 (each command imports only what it needs)

    return packing.run(options)


def _on_aws(name: str) -> Callable[[argparse.Namespace, Settings], int]:
    def run(options: argparse.Namespace, _settings: Settings) -> int:
        if find_spec("boto3") is None:
            sys.stderr.write(NO_BOTO3)
            return 1
        from serving.cloud import commands  # noqa: PLC0415 (boto3 is known to be there now)

        return commands.run(name, options)

    return run


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return key, value


def _range(text: str) -> tuple[int, int]:
    least, colon, most = text.partition(":")
    if not (colon and least.isdecimal() and most.isdecimal()):
        raise argparse.ArgumentTypeError(f"expected MIN:MAX, two whole numbers, got {text!r}")
    return int(least), int(most)
