"""Each limit of the sandbox at its edge: what is exactly as large passes, what is one larger is refused, with the code that
the table of limits names. Functions of the child are called here, in the test's own process; what a whole child does beyond
its limits of threads, log, memory and time is in test_attack_matrix.py and test_failures.py."""

from __future__ import annotations

import os

import numpy as np
import pytest
from onnx import helper
from safetensors.numpy import save

from evaluators import limits
from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.limits import LIMITS, Where
from evaluators.runtime import framing, onnx_entrant, outputs, prediction_files, weights
from evaluators.runtime.watch import Log
from evaluators.track import OnnxContract, Output, TensorSpec
from tests.submissions import test_limits as intake

CONTRACT = OnnxContract(
    input=TensorSpec(name="x", dtype="float32", shape=("n", 4)),
    outputs=(TensorSpec(name="logits", dtype="float32", shape=("n", 3)),),
)
SMALL = intake.SMALL | {"MAX_CSV_CELLS": 20, "MAX_ANSWER_BYTES": 800}


def read_onnx(raw: bytes) -> None:
    """What comes before onnxruntime loads the file."""
    model = onnx_entrant.parse(memoryview(raw))
    onnx_entrant.check_model(model, CONTRACT)


def read_answer(size: int) -> None:
    listed = framing.ArrayHeader(name="a", dtype="uint8", shape=(size,))
    outputs.check_header(framing.Header(arrays=(listed,)), {"a": Output("uint8", (size,))})


def read_header(size: int) -> None:
    """A header of exactly this size, through a pipe. The note fills it."""
    ours, theirs = os.pipe()
    os.set_blocking(ours, False)
    text = b'{"arrays":[]'.ljust(size - 1) + b"}"
    reader = framing.AnswerReader(ours, lambda header: None)
    try:
        os.write(theirs, framing.PREFIX.pack(framing.MAGIC, len(text)))
        reader.read()
        rest = memoryview(text)
        while rest:
            rest = rest[os.write(theirs, rest[:4096]) :]
            reader.read()
        assert reader.complete
    finally:
        os.close(ours)
        os.close(theirs)


def cells(count: int) -> bytes:
    return b"a\n" + b"1\n" * (count - 1)


def parquet(rows: int) -> bytes:
    import io

    pyarrow = pytest.importorskip("pyarrow")
    writer = pytest.importorskip("pyarrow.parquet")
    buffer = io.BytesIO()
    writer.write_table(pyarrow.table({"a": np.zeros(rows, dtype=np.int64)}), buffer)
    return buffer.getvalue()


def predictions(raw: bytes) -> None:
    prediction_files.read_predictions(memoryview(raw))


def from_intake(name: str):
    """The same file that intake was given at its edge."""
    kind, make = intake.FILES[name]
    read = {"weights": weights.read_safetensors, "onnx": read_onnx, "predictions": prediction_files.read_predictions}[kind]
    return lambda n: read(memoryview(make(n)))


CALLS = {name: from_intake(name) for name, limit in LIMITS.items() if limit.where is Where.BOTH} | {
    "MAX_CSV_CELLS": lambda n: predictions(cells(n)),
    "MAX_ANSWER_BYTES": read_answer,
    "MAX_ANSWER_HEADER_BYTES": read_header,
}
IN_A_CHILD = {"MAX_THREADS_BESIDE", "MAX_DESCRIPTORS"}


def test_every_limit_of_the_sandbox_is_tried_below():
    assert CALLS.keys() | IN_A_CHILD == {name for name, limit in LIMITS.items() if limit.where in (Where.SANDBOX, Where.BOTH)}


@pytest.fixture
def most(monkeypatch):
    def of(name):
        if name in SMALL:
            monkeypatch.setattr(limits, name, SMALL[name])
        return getattr(limits, name)

    return of


@pytest.mark.parametrize("name", CALLS)
def test_at_its_limit_it_is_taken_and_one_beyond_is_refused(name, most):
    edge = most(name)
    CALLS[name](edge)
    with pytest.raises((EvaluationFailure, framing.BrokenAnswerError)) as caught:
        CALLS[name](edge + (-1 if name.startswith("MIN_") else 1))
    if isinstance(caught.value, EvaluationFailure):
        expected = {"wrong_output": FailureCode.WRONG_OUTPUT}.get(LIMITS[name].answer, FailureCode.INVALID_ARTIFACT)
        assert caught.value.code == expected
        assert str(edge) in caught.value.message or name == "MAX_ARRAY_HEADER_BYTES"


def test_a_parquet_file_of_few_bytes_and_many_rows_is_refused_before_it_is_unpacked(most):
    edge = most("MAX_UNPACKED_BYTES") // 8
    predictions(parquet(edge))
    with pytest.raises(EvaluationFailure, match="unpacks to more than 2000 bytes"):
        predictions(parquet(edge + 1))


def test_a_log_keeps_its_ends_within_its_limit():
    log = Log()
    log.add(b"a" * limits.MAX_LOG_BYTES * 2 + b"z")
    assert limits.MAX_LOG_BYTES - 256 < len(log.text.encode()) <= limits.MAX_LOG_BYTES
    assert log.text.startswith("aaa")
    assert log.text.endswith("z")
    assert "bytes of the log were cut here" in log.text


def test_a_child_holds_so_many_descriptors_and_no_more(attack):
    code = (
        "held = []\ntry:\n    while True: held.append(os.dup(1))\nexcept OSError: pass\n"
        "print('highest', max(held), flush=True)\nfor fd in held: os.close(fd)"
    )
    assert f"highest {limits.MAX_DESCRIPTORS - 1}" in attack(code).log


def test_a_child_has_so_many_threads_and_no_more(attack):
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's threads are counted together with all that it runs: the control group limits them")
    code = (
        "import threading\ndone = threading.Event()\nstarted = 0\n"
        "try:\n    while started < 100: threading.Thread(target=done.wait, daemon=True).start(); started += 1\n"
        "except RuntimeError: pass\nprint('threads', threading.active_count(), flush=True)\ndone.set()"
    )
    highest = max(int(line.split()[1]) for line in attack(code).log.splitlines() if line.startswith("threads "))
    assert highest <= 1 + limits.MAX_THREADS_BESIDE


@pytest.mark.parametrize("where", ["initializer", "constant", "branch", "sparse"])
def test_external_data_are_found_wherever_the_model_hides_them(where):
    from tests.submissions.test_formats import model

    raw = model(external=True, where="initializer" if where == "sparse" else where)
    loaded = onnx_entrant.parse(memoryview(raw))
    if where == "sparse":
        sparse = loaded.graph.sparse_initializer.add()
        sparse.values.CopyFrom(loaded.graph.initializer[0])
        del loaded.graph.initializer[:]
    with pytest.raises(EvaluationFailure, match="without external data"):
        onnx_entrant.check_model(loaded, CONTRACT)


def test_functions_and_foreign_operators_inside_branches_are_found():
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("", "Twice", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], opset)
    with pytest.raises(EvaluationFailure, match="defines functions of its own"):
        read_onnx(intake.onnx(functions=[function]))
    branch = helper.make_graph([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")], "inner", [], [])
    graph = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)], "g", [], [])
    with pytest.raises(EvaluationFailure, match=r"operators of com\.microsoft"):
        read_onnx(helper.make_model(graph, opset_imports=opset).SerializeToString())


def test_declared_sizes_beyond_any_machine_cost_nothing(runtime, tmp_path):
    from evaluators.runtime.onnx_cost import count_cost

    model = onnx_entrant.parse(memoryview(intake.onnx(initializers=1)))
    model.graph.initializer[0].dims[:] = [2**62] * 40
    assert np.isnan(count_cost(model)["params"])


def test_a_stack_of_tensors_in_one_file_of_weights_is_counted(most):
    edge = most("MAX_TENSORS")
    assert len(weights.read_safetensors(memoryview(save({f"w{i}": np.ones(1) for i in range(edge)})))) == edge
