"""What a decoder makes of a body, and whether two ways to read it come to the same."""

from collections.abc import Callable

from properties import same
from serving.codecs import Decoded
from serving.errors import ServingError


def outcome(decode: Callable[[], Decoded]) -> Decoded | str:
    """The request, or the code and text of the error."""
    try:
        return decode()
    except ServingError as error:
        return f"{error.code}: {error}"


def assert_same_outcome(found: Decoded | str, wanted: Decoded | str) -> None:
    """The same error, or the same form and inputs, for no signature in particular."""
    if isinstance(found, str) or isinstance(wanted, str):
        assert found == wanted
        return
    assert (found.form, found.signature, found.inputs.keys()) == (wanted.form, None, wanted.inputs.keys())
    for name, array in found.inputs.items():
        assert same(array, wanted.inputs[name])
