"""Deploys an archive by the SageMaker Python SDK's local mode, asks it, and deletes it: `local_mode.py WAY`.

It alone needs the SDK, so a test runs it with an interpreter that has one. What to do comes as JSON on standard
input: `image`, `model_data` (an archive's address; for the ModelBuilder a folder), `port`, `folder` (for what the SDK
writes), `container` (what Compose is to be told besides), `environment`, `role` and `rows`. The answers go to standard
output, as JSON by the name of the serializer.
"""

import json
import sys
from collections.abc import Callable
from typing import Any, Final

NAME: Final = "digits"
# Else every call would wait for an answer of AWS's.
QUIET: Final = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
Plan = dict[str, Any]
Answers = dict[str, Any]


def local_session(plan: Plan, kind: Any) -> Any:  # noqa: ANN401 (the SDK is not there when types are checked)
    """A session of local mode."""
    session = kind(sagemaker_config=QUIET)
    session.config = local_config(plan)
    return session


def local_config(plan: Plan) -> dict[str, Any]:
    """What a user has in ~/.sagemaker/config.yaml."""
    return {
        "local": {
            "serving_port": plan["port"],
            "container_root": plan["folder"],
            "container_config": plan["container"],
        }
    }


def version3(plan: Plan) -> Answers:
    """By the session's clients, which have the methods of boto3's."""
    from sagemaker.core.deserializers import CSVDeserializer, JSONDeserializer, NumpyDeserializer  # noqa: PLC0415
    from sagemaker.core.local.local_session import LocalSession  # noqa: PLC0415
    from sagemaker.core.serializers import CSVSerializer, JSONSerializer, NumpySerializer  # noqa: PLC0415

    session = local_session(plan, LocalSession)
    client, runtime = session.sagemaker_client, session.sagemaker_runtime_client
    container = {"Image": plan["image"], "ModelDataUrl": plan["model_data"], "Environment": plan["environment"]}
    variant = {"VariantName": "AllTraffic", "ModelName": NAME, "InitialInstanceCount": 1, "InstanceType": "local"}
    client.create_model(ModelName=NAME, PrimaryContainer=container, ExecutionRoleArn=plan["role"])
    client.create_endpoint_config(EndpointConfigName=NAME, ProductionVariants=[variant])
    answers = {}
    try:
        client.create_endpoint(EndpointName=NAME, EndpointConfigName=NAME)
        for serializer, deserializer in (
            (JSONSerializer(), JSONDeserializer()),
            (NumpySerializer(dtype="float32"), NumpyDeserializer()),
            (CSVSerializer(), CSVDeserializer()),
        ):
            answer = runtime.invoke_endpoint(
                EndpointName=NAME,
                Body=serializer.serialize(plan["rows"]),
                ContentType=serializer.CONTENT_TYPE,
                Accept=", ".join(deserializer.ACCEPT),
            )
            read = deserializer.deserialize(answer["Body"], answer["ContentType"])
            answers[type(serializer).__name__] = read
    finally:
        client.delete_endpoint(EndpointName=NAME)
    client.delete_endpoint_config(EndpointConfigName=NAME)
    client.delete_model(ModelName=NAME)
    return answers


def model_builder(plan: Plan) -> Answers:
    """By version 3's ModelBuilder, which runs the container by itself: always on port 8080, of a pulled image.

    Then it has a session make an endpoint, with a second container: on another port, as the configuration says, or it
    would depend on which one is seen first whether the second is waited for, for ever.
    """
    from sagemaker.core.helper.session_helper import Session  # noqa: PLC0415
    from sagemaker.core.local import local_session as local_mode  # noqa: PLC0415
    from sagemaker.serve import ModelBuilder  # noqa: PLC0415
    from sagemaker.serve.builder.schema_builder import SchemaBuilder  # noqa: PLC0415
    from sagemaker.serve.mode.function_pointers import Mode  # noqa: PLC0415
    from sagemaker.serve.utils.types import ModelServer  # noqa: PLC0415

    builder = ModelBuilder(
        image_uri=plan["image"],
        model_path=plan["model_data"],
        mode=Mode.LOCAL_CONTAINER,
        model_server=ModelServer.TORCHSERVE,  # of those that it knows, the one that calls /invocations on 8080
        role_arn=plan["role"],
        schema_builder=SchemaBuilder(sample_input=plan["rows"], sample_output={"predictions": [[0.0]]}),
        sagemaker_session=Session(default_bucket="bucket", sagemaker_config=QUIET),
        env_vars=plan["environment"],
    )
    local_mode.load_local_mode_config = lambda: local_config(plan)
    builder.build()
    endpoint = builder.deploy(endpoint_name=NAME)
    try:
        return {"JSONSerializer": json.loads(endpoint.invoke(body=plan["rows"]).body.read())}
    finally:
        endpoint.delete()
        # Which forgets the container that is behind the endpoint.
        builder.modes[str(Mode.LOCAL_CONTAINER)].destroy_server()


def version2(plan: Plan) -> Answers:
    """By a Model and its Predictor."""
    from sagemaker import deserializers, serializers  # noqa: PLC0415
    from sagemaker.local import LocalSession  # noqa: PLC0415
    from sagemaker.model import Model  # noqa: PLC0415
    from sagemaker.predictor import Predictor  # noqa: PLC0415

    model = Model(
        image_uri=plan["image"],
        model_data=plan["model_data"],
        role=plan["role"],
        env=plan["environment"],
        predictor_cls=Predictor,
        sagemaker_session=local_session(plan, LocalSession),
    )
    predictor = model.deploy(1, "local", endpoint_name=NAME)
    answers = {}
    try:
        for serializer, deserializer in (
            (serializers.JSONSerializer(), deserializers.JSONDeserializer()),
            (serializers.NumpySerializer(dtype="float32"), deserializers.NumpyDeserializer()),
            (serializers.CSVSerializer(), deserializers.CSVDeserializer()),
        ):
            predictor.serializer, predictor.deserializer = serializer, deserializer
            answers[type(serializer).__name__] = predictor.predict(plan["rows"])
    finally:
        predictor.delete_endpoint()
    model.delete_model()
    return answers


WAYS: Final[dict[str, Callable[[Plan], Answers]]] = {
    "version3": version3,
    "model_builder": model_builder,
    "version2": version2,
}


def main() -> None:
    """Read the plan, write the answers."""
    answers = WAYS[sys.argv[1]](json.load(sys.stdin))
    # The SDK writes its container's log to standard output, too.
    sys.stdout.write("\n" + json.dumps(answers, default=lambda array: array.tolist()) + "\n")


if __name__ == "__main__":
    main()
