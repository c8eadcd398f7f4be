"""The plan follows the processor's flags, the budget and the user, and gives its reasons."""

import os
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from properties import THOROUGH
from serving.budget import Budget
from serving.plans import Plan, make_plan
from serving.plans.plan import ORT_FASTMATH, ORT_SPINNING, ORT_SPINNING_STOP
from serving.preparation import apply_environment
from serving.processor import Processor
from serving.settings import Settings

GRAVITON2 = Processor("aarch64", "Graviton2", "Neoverse-N1", 0xD0C, frozenset({"atomics", "asimddp"}))
GRAVITON3 = Processor("aarch64", "Graviton3", "Neoverse-V1", 0xD40, frozenset({"bf16", "i8mm", "sve"}))
# The name promises bf16, the kernel does not list it: nothing can use it.
OLD_KERNEL = Processor("aarch64", "Graviton3", "Neoverse-V1", 0xD40, frozenset({"atomics"}))
SAPPHIRE_RAPIDS = Processor("x86_64", "Intel Xeon", features=frozenset({"avx512f", "avx512_bf16", "amx_bf16"}))
UNKNOWN = Processor("riscv64", "unknown riscv64 processor")
EVERY = [GRAVITON2, GRAVITON3, OLD_KERNEL, SAPPHIRE_RAPIDS, UNKNOWN]

FEW_CORES = Budget(4, frozenset(range(8)), 4)


def plan(
    processor: Processor = GRAVITON3,
    budget: Budget = FEW_CORES,
    settings: Settings | None = None,
    environment: Mapping[str, str] | None = None,
) -> Plan:
    return make_plan("onnx", processor, budget, settings or Settings(), environment or {})


def choice(made: Plan, name: str) -> tuple[str, str]:
    """The value and the reason of the one choice of that name."""
    (found,) = [entry for entry in made.choices if entry.name == name]
    return found.value, found.reason


@pytest.mark.parametrize(
    ("processor", "mode", "on"),
    [
        (GRAVITON3, "auto", True),
        (GRAVITON3, "bf16", True),
        (GRAVITON3, "strict", False),
        *[(processor, mode, False) for processor in EVERY if processor is not GRAVITON3 for mode in ("auto", "bf16")],
    ],
)
def test_bf16_is_used_where_the_flags_have_it_and_the_setting_allows_it(
    processor: Processor, mode: str, *, on: bool
) -> None:
    made = plan(processor, settings=Settings(fpmath=mode))
    assert made.bf16 is on
    assert made.session[ORT_FASTMATH] == str(int(on))
    assert choice(made, "bf16")[0] == ("on" if on else "off")


@pytest.mark.parametrize("variable", ["DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE"])
@pytest.mark.parametrize(
    ("value", "on"), [("BF16", True), ("bf16", True), ("ANY", True), ("STRICT", False), ("F16", False), ("", True)]
)
def test_onednns_own_variable_counts_where_ours_is_auto(variable: str, value: str, *, on: bool) -> None:
    made = plan(environment={variable: value})
    assert made.bf16 is on
    if value:
        assert f"{variable}={value} is set" in choice(made, "bf16")[1]


def test_our_setting_wins_over_onednns() -> None:
    assert plan(settings=Settings(fpmath="bf16"), environment={"DNNL_DEFAULT_FPMATH_MODE": "STRICT"}).bf16
    assert not plan(settings=Settings(fpmath="strict"), environment={"DNNL_DEFAULT_FPMATH_MODE": "BF16"}).bf16


def test_the_reason_against_bf16_names_the_processor() -> None:
    assert choice(plan(GRAVITON2), "bf16") == ("off", "Graviton2 has no bf16 instructions")
    assert choice(plan(SAPPHIRE_RAPIDS), "bf16") == ("off", "Intel Xeon is no arm64 with bf16")


def test_threads_are_the_cores_of_the_budget() -> None:
    made = plan()
    assert (made.framework, made.lanes, made.threads) == ("onnx", 1, 4)
    value, reason = choice(made, "threads")
    assert value == "4"
    assert FEW_CORES.reason in reason


@pytest.mark.parametrize(
    ("environment", "threads", "named"),
    [
        ({"OMP_NUM_THREADS": "2"}, 2, "OMP_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "3,2,1"}, 3, "OMP_NUM_THREADS"),  # one for each level of nesting
        ({"OMP_NUM_THREADS": " 3 "}, 3, "OMP_NUM_THREADS"),
        ({"ORT_INTRA_OP_NUM_THREADS": "1"}, 1, "ORT_INTRA_OP_NUM_THREADS"),
        ({"ORT_INTRA_OP_NUM_THREADS": "1", "OMP_NUM_THREADS": "2"}, 1, "ORT_INTRA_OP_NUM_THREADS"),
        ({"OMP_NUM_THREADS": "0"}, 4, "physical cores"),
        ({"OMP_NUM_THREADS": "-1"}, 4, "physical cores"),
        ({"OMP_NUM_THREADS": "many"}, 4, "physical cores"),
        ({"OMP_NUM_THREADS": ""}, 4, "physical cores"),
        ({"OMP_NUM_THREADS": "²"}, 4, "physical cores"),
    ],
)
def test_threads_that_the_user_set_count(environment: dict[str, str], threads: int, named: str) -> None:
    made = plan(environment=environment)
    assert made.threads == threads
    assert named in choice(made, "threads")[1]


@pytest.mark.parametrize(("threads", "spins"), [(1, False), (2, True), (4, True), (5, False), (64, False)])
def test_threads_spin_only_with_a_core_each(threads: int, *, spins: bool) -> None:
    made = plan(environment={"OMP_NUM_THREADS": str(threads)})
    assert made.session[ORT_SPINNING] == str(int(spins))
    assert choice(made, "spinning")[0] == ("on" if spins else "off")
    # Until they take turns with narrow runs' threads.
    assert ORT_SPINNING_STOP not in made.session
    assert made.wide().session == {**made.session, ORT_SPINNING_STOP: str(int(spins))}
    assert made.wide().threads == threads


def test_variables_are_set_where_the_user_has_not() -> None:
    assert plan().environment == {
        "ORT_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "4",
        "OPENBLAS_NUM_THREADS": "1",
    }


@pytest.mark.parametrize("name", ["ORT_DISABLE_TELEMETRY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
def test_a_variable_that_the_user_set_is_kept_and_the_plan_says_so(name: str) -> None:
    made = plan(environment={name: "2"})
    assert name not in made.environment
    assert choice(made, name) == ("2", "set in the environment already, kept")


AMX = Processor("x86_64", "Intel Xeon", features=frozenset({"avx512_bf16", "amx_tile", "amx_bf16"}))
MODES = ("DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE")


def tensorflow(
    processor: Processor = GRAVITON3, fpmath: str = "auto", environment: Mapping[str, str] | None = None
) -> Plan:
    return make_plan("tensorflow", processor, FEW_CORES, Settings(fpmath=fpmath), environment or {})


def test_tensorflow_gets_its_variables_and_onnx_none_of_them() -> None:
    common = {"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "1"}
    assert tensorflow(fpmath="bf16").environment == common | {
        "TF_ENABLE_ONEDNN_OPTS": "1",
        "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS": "1",
        "TF_NUM_INTRAOP_THREADS": "4",
        "TF_NUM_INTEROP_THREADS": "1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "KERAS_BACKEND": "tensorflow",
        "DNNL_DEFAULT_FPMATH_MODE": "BF16",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    }
    assert not any(name.startswith("TF_") for name in plan().environment)
    assert not tensorflow().session


@pytest.mark.parametrize(
    ("processor", "mode", "on"),
    [
        *[(processor, mode, True) for processor in (GRAVITON3, AMX) for mode in ("auto", "bf16")],
        *[(processor, "strict", False) for processor in (GRAVITON3, AMX)],
        *[(processor, "bf16", False) for processor in EVERY if processor is not GRAVITON3],
    ],
)
def test_onednn_computes_in_bf16_where_the_processor_can_and_the_setting_allows_it(
    processor: Processor, mode: str, *, on: bool
) -> None:
    made = tensorflow(processor, mode)
    assert made.bf16 is on
    assert {made.environment.get(name) for name in MODES} == ({"BF16"} if on else {None})
    assert choice(made, "bf16")[0] == ("on" if on else "off")
    # Without being asked for, it is only tried.
    assert made.bf16_on_trial is (on and mode == "auto")


@pytest.mark.parametrize("on", [True, False])
def test_a_trial_settles_the_variables_of_the_process_too(*, on: bool) -> None:
    made = tensorflow().with_bf16(on=on, reason="it was tried")
    assert (made.bf16, made.bf16_on_trial) == (on, False)
    assert {made.environment.get(name) for name in MODES} == ({"BF16"} if on else {None})
    assert choice(made, "bf16") == ("on" if on else "off", "it was tried")
    assert {c.name for c in made.choices}.issuperset(MODES) is on
    assert made.environment["TF_ENABLE_ONEDNN_OPTS"] == "1"
    assert not made.session


def test_what_is_on_trial_is_not_set_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    apply_environment(tensorflow())
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] == "1"
    assert os.environ.keys().isdisjoint(MODES)
    apply_environment(tensorflow().with_bf16(on=True, reason="it was tried"))
    assert os.environ.keys() >= set(MODES)


@pytest.mark.parametrize("set_to", ["BF16", "STRICT", "F16"])
@pytest.mark.parametrize("variable", MODES)
def test_a_mode_that_was_set_is_kept_where_ours_is_auto(variable: str, set_to: str) -> None:
    made = tensorflow(environment={variable: set_to})
    assert made.bf16 is (set_to == "BF16")
    assert not made.bf16_on_trial
    assert made.environment.keys().isdisjoint(MODES)
    assert choice(made, variable) == (set_to, "set in the environment already, kept")


@pytest.mark.parametrize(("fpmath", "set_to", "counts"), [("strict", "BF16", "STRICT"), ("bf16", "STRICT", "BF16")])
def test_our_setting_replaces_a_mode_that_was_set(fpmath: str, set_to: str, counts: str) -> None:
    made = tensorflow(fpmath=fpmath, environment={"DNNL_DEFAULT_FPMATH_MODE": set_to})
    assert {made.environment[name] for name in MODES} == {counts}
    assert f"SERVING_FPMATH={fpmath} counts" in choice(made, MODES[0])[1]


@pytest.mark.parametrize("switch", ["0", "false"])
def test_without_onednn_there_is_no_bf16(switch: str) -> None:
    made = tensorflow(environment={"TF_ENABLE_ONEDNN_OPTS": switch})
    assert not made.bf16
    assert "Eigen" in choice(made, "bf16")[1]
    assert choice(made, "TF_ENABLE_ONEDNN_OPTS") == (switch, "set in the environment already, kept")


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"TF_NUM_INTRAOP_THREADS": "2", "OMP_NUM_THREADS": "3"}, 2),
        ({"SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "2", "OMP_NUM_THREADS": "3"}, 2),
        ({"SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "0", "OMP_NUM_THREADS": "3"}, 3),
        ({"SAGEMAKER_TFS_INTRA_OP_PARALLELISM": "0"}, 4),
        ({"ORT_INTRA_OP_NUM_THREADS": "2"}, 4),
    ],
)
def test_tensorflows_threads_are_what_was_set_for_it(environment: dict[str, str], threads: int) -> None:
    made = tensorflow(environment=environment)
    assert made.threads == threads
    assert {**environment, **made.environment}["TF_NUM_INTRAOP_THREADS"] == str(threads)


@pytest.mark.parametrize("variable", ["TF_NUM_INTEROP_THREADS", "SAGEMAKER_TFS_INTER_OP_PARALLELISM"])
def test_tensorflows_threads_between_operators_may_be_set(variable: str) -> None:
    made = tensorflow(environment={variable: "3"})
    assert choice(made, "inter-op threads") == ("3", f"{variable} is set to it")
    assert made.environment.get("TF_NUM_INTEROP_THREADS", "3") == "3"


@pytest.mark.parametrize("processor", EVERY)
def test_the_line_holds_every_choice_with_its_reason(processor: Processor) -> None:
    made = plan(processor)
    assert made.line.startswith("onnx: lanes=1 (")
    assert "\n" not in made.line
    for entry in made.choices:
        assert entry.reason
        assert f"{entry.name}={entry.value} ({entry.reason})" in made.line


@THOROUGH
@given(
    processor=st.sampled_from(EVERY),
    cores=st.integers(1, 192),
    mode=st.sampled_from(["auto", "bf16", "strict"]),
    environment=st.dictionaries(
        st.sampled_from(
            ["OMP_NUM_THREADS", "ORT_INTRA_OP_NUM_THREADS", "DNNL_DEFAULT_FPMATH_MODE", "ORT_DISABLE_TELEMETRY"]
        ),
        st.text(max_size=4) | st.integers(-2, 300).map(str) | st.sampled_from(["BF16", "STRICT"]),
    ),
)
def test_any_machine_and_environment_make_a_plan(
    processor: Processor, cores: int, mode: str, environment: dict[str, str]
) -> None:
    budget = Budget(cores, frozenset(range(cores)), cores)
    made = plan(processor, budget, Settings(fpmath=mode), environment)
    assert made.threads >= 1
    assert made.lanes >= 1
    assert made.bf16 <= processor.has_arm_bf16
    assert not made.environment.keys() & {name for name, value in environment.items() if value}


def torch_plan(
    processor: Processor = GRAVITON3, settings: Settings | None = None, environment: Mapping[str, str] | None = None
) -> Plan:
    return make_plan("pytorch", processor, FEW_CORES, settings or Settings(), environment or {})


def test_pytorchs_environment_on_graviton() -> None:
    made = torch_plan()
    assert made.environment == {
        "OMP_NUM_THREADS": "4",
        "OPENBLAS_NUM_THREADS": "4",
        "LRU_CACHE_CAPACITY": "1024",
        "THP_MEM_ALLOC_ENABLE": "1",
        "DNNL_DEFAULT_FPMATH_MODE": "BF16",
        "ONEDNN_DEFAULT_FPMATH_MODE": "BF16",
    }
    assert (made.bf16, made.bf16_on_trial) == (True, True)
    assert made.bf16_variables.keys() == {"DNNL_DEFAULT_FPMATH_MODE", "ONEDNN_DEFAULT_FPMATH_MODE"}
    assert made.with_bf16(on=False, reason="tried").environment.keys() & made.bf16_variables.keys() == set()
    assert {entry.name for entry in made.choices} >= {"inter-op threads", "memory format", *made.environment}
    assert all(entry.reason for entry in made.choices)


@pytest.mark.parametrize("processor", [one for one in EVERY if one is not GRAVITON3])
def test_pytorch_computes_in_float32_without_arms_bf16(processor: Processor) -> None:
    made = torch_plan(processor)
    assert not made.bf16
    assert not made.bf16_variables
    assert ("THP_MEM_ALLOC_ENABLE" in made.environment) is (processor.architecture == "aarch64")


def test_pytorchs_bf16_is_the_users_to_choose() -> None:
    assert not torch_plan(settings=Settings(fpmath="bf16")).bf16_on_trial
    assert torch_plan(settings=Settings(fpmath="bf16")).environment["DNNL_DEFAULT_FPMATH_MODE"] == "BF16"
    assert not torch_plan(settings=Settings(fpmath="strict")).bf16
    kept = torch_plan(environment={"DNNL_DEFAULT_FPMATH_MODE": "STRICT", "LRU_CACHE_CAPACITY": "16"})
    assert not kept.bf16
    assert kept.environment.keys() & {"DNNL_DEFAULT_FPMATH_MODE", "LRU_CACHE_CAPACITY"} == set()
    assert choice(kept, "LRU_CACHE_CAPACITY") == ("16", "set in the environment already, kept")


def test_pytorchs_threads_are_those_that_are_set() -> None:
    made = torch_plan(environment={"OMP_NUM_THREADS": "2"})
    assert made.threads == 2
    assert made.environment["OPENBLAS_NUM_THREADS"] == "2"
