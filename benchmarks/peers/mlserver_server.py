"""MLServer with a runtime of one's own, as its documentation shows it; asked by the Open Inference Protocol."""

import asyncio
import sys

import runtime
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Inference(MLModel):  # type: ignore[misc]  # MLServer is not installed where types are checked
    """The model and its codecs."""

    async def load(self) -> bool:
        """Load the model."""
        self._model = runtime.Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Run the model."""
        outputs = self._model.run({one.name: NumpyCodec.decode_input(one) for one in payload.inputs})
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("predictions", outputs)])


async def main(port: int) -> None:
    """Serve in this process, without a pool of workers: the faster of both for a small model."""
    server = MLServer(
        Settings(
            host="127.0.0.1",
            http_port=port,
            grpc_port=port + 1,
            metrics_port=port + 2,
            parallel_workers=0,
            use_structured_logging=False,
            debug=False,
        )
    )
    await server.start([ModelSettings(name="inference", implementation=Inference)])


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
