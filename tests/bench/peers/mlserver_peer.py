"""MLServer (pinned in mlserver.txt), as its pages on custom runtimes and adaptive batching have
it.

- `max_batch_size` and `max_batch_time` (seconds) in the model's settings turn batching on.
- The runtime is an `MLModel` that reads the first input with the codec for arrays.
- `parallel_workers` is 0: the pool of processes is there for Python's lock, which TensorFlow
  releases while it computes; without it no batch is sent from one process to another.
- Debug mode and access logs are off.
"""

import asyncio

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.settings import ModelParameters
from mlserver.types import InferenceRequest, InferenceResponse

import model


class Runtime(MLModel):
    async def load(self):
        self.model = model.Model()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        batch = NumpyCodec.decode_input(payload.inputs[0])
        # A thread, so that the next requests are read meanwhile.
        scores = await asyncio.to_thread(self.model, batch)
        return InferenceResponse(
            model_name=self.name,
            outputs=[NumpyCodec.encode_output(model.OUTPUT, scores)],
        )


async def main():
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        http_port=model.PORT,
        # None for these two: they are not asked.
        grpc_port=0,
        metrics_endpoint=None,
        parallel_workers=0,
        logging_settings=None,
    )
    model_settings = ModelSettings(
        name=model.NAME,
        implementation=Runtime,
        max_batch_size=64,
        max_batch_time=0.005,
        parameters=ModelParameters(version="1"),
    )
    server = MLServer(settings)
    await server.start([model_settings])


if __name__ == "__main__":
    asyncio.run(main())
