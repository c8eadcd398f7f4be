"""The handler that everybody writes first: FastAPI, a function, json in and out."""

import json
import sys

import runtime
import uvicorn
from fastapi import FastAPI, Request, Response

app = FastAPI()
model = runtime.Model()


@app.post("/inference")
async def inference(request: Request) -> Response:
    """Run the model in the handler."""
    if runtime.IS_NPY:
        return Response(runtime.as_npy(model.run(model.of_npy(await request.body()))), media_type=runtime.MEDIA_TYPE)
    outputs = model.run(model.of_document(await request.json()))
    return Response(json.dumps({"predictions": outputs.tolist()}), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning", loop="uvloop", access_log=False)
