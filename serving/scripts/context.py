"""What a script may ask about its request and say about its answer: the context of Multi Model Server and TorchServe.

There is one for a worker; `begin` makes it the next request's. A request is alone, so every index is 0.
"""

from typing import Any
from uuid import uuid4

from serving.scripts.contract import OK, Call


class Headers(dict[str, str]):
    """A request's headers, found by their names in any case."""

    def __init__(self, given: dict[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in given.items()})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 (as dict's)
        """The header's value; the default where it was not sent."""
        return super().get(name.lower(), default)


class Context:
    """The context that functions with one argument more get."""

    def __init__(self, model_dir: str) -> None:
        self.system_properties = {"model_dir": model_dir, "gpu_id": None, "batch_size": 1}
        self.manifest: dict[str, Any] = {}
        self.model_name = "model"
        self.metrics: Any = None
        self._forget()

    def begin(self, call: Call) -> None:
        """Another request has come."""
        self._forget()
        stated = {"content-type": call.content_type, "accept": call.accept}
        stated["x-amzn-sagemaker-custom-attributes"] = call.custom_attributes or ""
        self.headers = Headers({**call.headers, **{name: value for name, value in stated.items() if value}})

    def _forget(self) -> None:
        self.headers = Headers({})
        self.request_ids = {0: str(uuid4())}
        self.status, self.phrase = OK, ""
        self.response_headers: dict[str, str] = {}

    @property
    def content_type(self) -> str | None:
        """What the script has said of its answer; None where nothing."""
        return next((value for name, value in self.response_headers.items() if name.lower() == "content-type"), None)

    @property
    def request_processor(self) -> list["Context"]:
        """Where older scripts look for headers, and AWS's toolkits set a status."""
        return [self]

    def get_request_id(self, idx: int = 0) -> str | None:
        """A name of the request's own."""
        return self.request_ids.get(idx)

    def get_request_properties(self) -> dict[str, str]:
        """The request's headers."""
        return Headers(self.headers)

    def get_request_property(self, key: str) -> str | None:
        """One of the request's headers, None where it was not sent."""
        value: str | None = self.headers.get(key)
        return value

    def get_request_header(self, _idx: int, key: str) -> str | None:
        """One of the request's headers, None where it was not sent."""
        return self.get_request_property(key)

    def get_all_request_header(self, _idx: int) -> dict[str, str]:
        """The request's headers."""
        return self.get_request_properties()

    def set_response_content_type(self, _idx: int, value: str) -> None:
        """Say what the body is, where output_fn returns a body alone."""
        self.response_headers["content-type"] = value

    def get_response_content_type(self, _idx: int) -> str | None:
        """What has been said of it."""
        return self.content_type

    def set_response_header(self, _idx: int, key: str, value: str) -> None:
        """Add a header to the answer, `X-Amzn-SageMaker-Custom-Attributes` for one."""
        self.response_headers[key] = value

    def add_response_property(self, key: str, value: str) -> None:
        """The same, of a request processor."""
        self.response_headers[key] = value

    def get_response_headers(self, _idx: int = 0) -> dict[str, str]:
        """The headers that the answer has by now."""
        return self.response_headers

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        """Say what the answer's status is; the phrase is not sent."""
        del idx
        self.status, self.phrase = code, phrase

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        """The same."""
        self.set_response_status(code, phrase)

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        """The same, of a request processor."""
        self.set_response_status(code, reason_phrase or "")

    def get_response_status(self, _idx: int = 0) -> tuple[int, str]:
        """The status and the phrase that the answer has by now."""
        return self.status, self.phrase
