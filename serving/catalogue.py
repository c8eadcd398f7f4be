"""The models in service, each with its dispatcher, and finding the one that a request asks for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from serving.dispatcher import Dispatcher
from serving.errors import UnknownModelError, UnknownSignatureError, UnsupportedMethodError, quoted
from serving.selection import METHOD, PREDICT, Selection
from serving.signature import Signature

# TensorFlow Serving knows no model without a version; one that is in no version's folder counts as the first.
FIRST_VERSION = 1


class Serving(NamedTuple):
    """One signature of a model in service."""

    signature: Signature
    dispatcher: Dispatcher


class Entry(NamedTuple):
    """One version of a model, with all of its signatures by name; `default` is the name of the one meant by none."""

    name: str
    version: int
    default: str
    signatures: Mapping[str, Serving]

    def signature(self, name: str | None) -> Serving:
        """The signature of that name, the default one for None. Raises UnknownSignatureError."""
        # A model whose format has no names for signatures (ONNX) takes any.
        chosen = self.default if name is None or self.default == "" else name
        if chosen not in self.signatures:
            raise UnknownSignatureError(
                f"expected one of the signatures {_listed(self.signatures)}, got {quoted(name)}"
            )
        return self.signatures[chosen]


class Catalogue:
    """All that is served; the first entry is the default."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries

    @property
    def default(self) -> Entry:
        """The one that answers where a request names none."""
        return self._entries[0]

    def versions(self, name: str) -> list[Entry]:
        """All versions of a model, the highest first. Raises UnknownModelError."""
        found = [entry for entry in self._entries if entry.name == name]
        if not found:
            names = dict.fromkeys(entry.name for entry in self._entries)
            raise UnknownModelError(f"expected one of the models {_listed(names)}, got {quoted(name)}")
        return found

    def find(self, selection: Selection) -> Entry:
        """The one that a request asks for.

        Raises:
            UnknownModelError: there is no such model, or not in that version.
            UnsupportedMethodError: it was not saved for that method.
        """
        versions = self.versions(self.default.name if selection.model is None else selection.model)
        found = [entry for entry in versions if selection.version in (None, entry.version)]
        if not found:
            numbers = {str(entry.version): entry for entry in versions}
            raise UnknownModelError(
                f"model {quoted(versions[0].name)}: expected one of the versions {', '.join(numbers)}, "
                f"got {selection.version}"
            )
        if selection.method != PREDICT:
            raise UnsupportedMethodError(
                f"{METHOD}: expected {PREDICT}, got {selection.method}; no model here takes tf.Example records"
            )
        return found[0]

    def close(self) -> None:
        """Let the threads of all lanes end."""
        for entry in self._entries:
            for serving in entry.signatures.values():
                serving.dispatcher.close()


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(map(quoted, names))
