"""The plan itself: what was decided, each choice with its reason."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from serving.settings import Settings

# ONNX Runtime's key for bf16 kernels in float32 matrix products on arm64, off by default (since 1.17).
ORT_FASTMATH = "mlas.enable_gemm_fastmath_arm64_bfloat16"
# ONNX Runtime's key for threads that look out for work for a while before they sleep.
ORT_SPINNING = "session.intra_op.allow_spinning"
# Else they go on for some 40 ms after a run, on cores that another session's runs want by then: what is measured
# meanwhile comes out at up to twice as long. To wake them for the next run costs some 3 % of one of 3 ms.
ORT_SPINNING_STOP = "session.force_spinning_stop"
# The name of the choice that the trial at load may change.
BF16 = "bf16"


class Choice(NamedTuple):
    """One decision, for people."""

    name: str
    value: str
    reason: str


class Plan(NamedTuple):
    """How to run a model.

    `lanes` batches run at once with `threads` threads each. `bf16_on_trial` says that nobody has asked for
    bf16: whether the model stands it is to be tried at load. `environment` is to be set before the
    framework is imported; `session` are ONNX Runtime's session configuration entries. `profile` is how the
    file of its profile is to begin, empty for none. `bf16_variables` are those of the environment that turn
    bf16 on, where it is a matter of the whole process. `settings` are the user's, for what concerns a
    framework alone. `may_divide` says that it is to be measured whether several runs at once, on one core each,
    are better under load than one on all.
    """

    framework: str
    lanes: int
    threads: int
    bf16: bool
    bf16_on_trial: bool
    environment: Mapping[str, str]
    session: Mapping[str, str]
    choices: tuple[Choice, ...]
    profile: str = ""
    bf16_variables: Mapping[str, str] = MappingProxyType({})
    settings: Settings = Settings()
    may_divide: bool = False

    def with_bf16(self, *, on: bool, reason: str) -> "Plan":
        """The plan after bf16 was tried on the model: kept or given up, for this reason."""
        verdict = Choice(BF16, "on" if on else "off", reason)
        kept = (choice for choice in self.choices if on or choice.name not in self.bf16_variables)
        choices = tuple(verdict if choice.name == BF16 else choice for choice in kept)
        session = dict(self.session) | ({ORT_FASTMATH: str(int(on))} if ORT_FASTMATH in self.session else {})
        rest = {name: value for name, value in self.environment.items() if name not in self.bf16_variables}
        environment = rest | (dict(self.bf16_variables) if on else {})
        return self._replace(bf16=on, bf16_on_trial=False, session=session, environment=environment, choices=choices)

    def wide(self) -> "Plan":
        """The plan for runs on all cores that take turns with narrow ones: they leave the cores when they end."""
        return self._replace(session=dict(self.session) | {ORT_SPINNING_STOP: self.session.get(ORT_SPINNING, "0")})

    def narrow(self) -> "Plan":
        """The plan for runs on one core each: one thread, which has nobody to wait for."""
        session = dict(self.session) | ({ORT_SPINNING: "0"} if ORT_SPINNING in self.session else {})
        return self._replace(threads=1, session=session)

    @property
    def line(self) -> str:
        """The plan in one line, for the log."""
        return f"{self.framework}: " + "; ".join(f"{c.name}={c.value} ({c.reason})" for c in self.choices)
