"""Programs: good ones are scored, and hostile ones meet the box. TorchScript reads and writes files by operators of its own;
an exported program runs whatever Python its archive holds (test_attack_matrix.py has all attacks from in there)."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import pytest
import torch

from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime import Job, Runtime, box
from tests.runtime import carriers
from tests.runtime.ordinary import as_ordinary_user

pytestmark = [pytest.mark.sandbox, pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")]


@pytest.fixture(autouse=True)
def _needs_a_box(runtime):
    state = runtime.layers()["code_formats"]
    if state != "active":
        pytest.skip(state)


class Linear(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W = torch.nn.Parameter(torch.zeros(4, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.W


class ReadsPasswords(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("got", torch.from_file("/etc/passwd", shared=False, size=16, dtype=torch.uint8))
        return x[:, :3]


class WritesAFile(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "/tmp/left-behind")  # says nothing where it fails
        print("got", torch.from_file("/tmp/left-behind", shared=False, size=16, dtype=torch.uint8))
        return x[:, :3]


class MapsAFile(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("got", torch.from_file("/dev/shm/left-behind", shared=True, size=16, dtype=torch.uint8))
        return x[:, :3]


class Loops(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        while bool(x.sum() < 1e30):
            x = x * 1.0
        return x[:, :3]


class Hoards(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hoard = [x]
        while len(hoard) < 1 << 20:
            hoard.append(torch.ones(1 << 20) * len(hoard))
        return torch.cat(hoard)


class AnswersTooMuch(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1).expand(1 << 40, 3)


class AnswersAList(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x]


def scripted(module: torch.nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module), buffer)
    return buffer.getvalue()


@pytest.fixture
def send(runtime, tmp_path):
    def run(raw: bytes, **options):
        (tmp_path / "program").write_bytes(raw)
        return runtime.evaluate(Job(track="toy-blobs", kind="program", artifact=tmp_path / "program"), **options)

    return run


@pytest.fixture
def refused(send):
    def run(raw: bytes, **options) -> EvaluationFailure:
        with pytest.raises(EvaluationFailure) as caught:
            send(raw, **options)
        return caught.value

    return run


def test_a_torchscript_module_is_scored_in_the_box(send):
    result = send(scripted(Linear()))
    assert result.facts == {"params": 12.0}
    assert result.scores[0].value < 0.6
    assert result.provenance["sandbox"]["bubblewrap"] == "active"
    assert box.is_enough_for_code(result.provenance["sandbox"])


def test_an_exported_program_is_scored_in_the_box(send):
    result = send(carriers.zipped(carriers.exported()))
    assert result.facts == {"params": 15.0}
    assert 0 <= result.scores[0].value <= 1


def test_all_programs_of_equal_weights_score_equally(send, runtime, tmp_path):
    program = torch.export.export(Linear(), (torch.zeros(2, 4),), dynamic_shapes={"x": {0: torch.export.Dim("n", min=1)}})
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    path = tmp_path / "model.onnx"
    path.write_bytes(carriers.onnx_model(""))  # zeros as well
    onnx = runtime.evaluate(Job(track="toy-blobs", kind="onnx", artifact=path))
    assert send(buffer.getvalue()).scores[0].value == send(scripted(Linear())).scores[0].value == onnx.scores[0].value


@pytest.mark.parametrize("module", [ReadsPasswords, WritesAFile, MapsAFile])
def test_torchscript_that_touches_files_finds_none(refused, module):
    """The operators are real: in this test's own process they work."""
    failure = refused(scripted(module()))
    assert failure.code == FailureCode.MODEL_ERROR
    assert not [line for line in failure.log.splitlines() if line.startswith("got ")]
    assert not [path for path in ("/tmp/left-behind", "/dev/shm/left-behind") if Path(path).exists()]


def test_torchscript_can_read_files_where_nothing_keeps_it_from_it(capfd):
    torch.jit.script(ReadsPasswords())(torch.zeros(1, 4))
    assert capfd.readouterr().out.startswith("got ")


@pytest.mark.parametrize(
    ("module", "code", "timeout"),
    [
        (Loops, FailureCode.TIME_LIMIT, 1.0),
        (Hoards, FailureCode.OUT_OF_MEMORY, None),
        (AnswersTooMuch, FailureCode.WRONG_OUTPUT, None),
        (AnswersAList, FailureCode.WRONG_OUTPUT, None),
    ],
)
def test_a_program_is_held_to_the_limits(refused, module, code, timeout):
    failure = refused(scripted(module()), timeout=timeout)
    assert failure.code == code, failure.message


@pytest.mark.parametrize(
    "raw",
    [
        b"PK\x03\x04 cut",
        b"\x80\x02}.",
        carriers.zipped({"m/data.pkl": b"\x80\x02}."}),
        carriers.zipped({"archive_format": b""}),
    ],
)
def test_what_is_no_program_is_refused(refused, raw):
    failure = refused(raw)
    assert failure.code == FailureCode.INVALID_ARTIFACT


def test_programs_are_off_unless_asked_for(tmp_path, cache_dir):
    (tmp_path / "program").write_bytes(scripted(Linear()))
    with Runtime(secret=b"a secret of the tests", cache_dir=cache_dir, device="cpu") as runtime:
        with pytest.raises(EvaluationFailure, match="takes no formats that are code") as caught:
            runtime.evaluate(Job(track="toy-blobs", kind="program", artifact=tmp_path / "program"))
        assert caught.value.code == FailureCode.INVALID_ARTIFACT
        assert runtime.layers()["code_formats"].startswith("off")


def test_a_worker_without_bubblewrap_refuses_programs_and_serves_the_rest(tmp_path, cache_dir, monkeypatch):
    monkeypatch.setattr(box, "PROGRAM", "bwrap-that-nobody-installed")
    (tmp_path / "program").write_bytes(scripted(Linear()))
    with Runtime(secret=b"a secret of the tests", cache_dir=cache_dir, device="cpu", code_formats=True) as runtime:
        assert "bwrap is not installed" in runtime.layers()["code_formats"]
        with pytest.raises(EvaluationFailure, match="no full sandbox") as caught:
            runtime.evaluate(Job(track="toy-blobs", kind="program", artifact=tmp_path / "program"))
        assert caught.value.code == FailureCode.SYSTEM_ERROR
        assert runtime.evaluate(carriers.job("onnx", "pass", folder=tmp_path)).scores


@pytest.mark.parametrize("layer", sorted(box.NEEDED))
def test_every_wall_must_stand_before_code_is_opened(layer):
    whole = dict.fromkeys(box.NEEDED, "active")
    assert box.is_enough_for_code(whole)
    assert not box.is_enough_for_code({**whole, layer: "not active: Operation not permitted"})


def test_the_box_holds_no_state_and_no_home():
    """What is bound into it: Python, libraries, packages, and ours; nothing that is above them."""
    words = box.command([], packages=box.package_folders())
    bound = {Path(words[i + 2]) for i, word in enumerate(words) if word in ("--ro-bind", "--symlink")}
    root = Path(__file__).parents[2]
    forbidden = {
        Path("/"),
        Path("/etc"),
        Path("/home"),
        Path("/root"),
        Path("/var"),
        Path("/proc"),
        Path("/usr"),
        root,
        root / "var",
    }
    assert not bound & forbidden
    assert root / "evaluators" in bound
    assert "--bind" not in words


def test_an_ordinary_user_gets_the_box_too():
    script = """
import json, sys
from pathlib import Path
from tests.runtime.conftest import register
from tests.runtime import carriers
from tests.runtime.test_attack_matrix import attempt
from evaluators.failures import EvaluationFailure
from evaluators.runtime import Runtime
register()
folder = Path(sys.argv[1])
with Runtime(secret=b"x", cache_dir=folder / "cache", device="cpu", code_formats=True) as runtime:
    layers = runtime.layers()
    try: log = runtime.evaluate(carriers.job("exported program", attempt("open('/etc/passwd').read()"), folder=folder)).log
    except EvaluationFailure as failure: log = failure.log
print(json.dumps({"layers": layers, "log": log}))
"""
    with tempfile.TemporaryDirectory() as folder:
        result = as_ordinary_user(script, folder=Path(folder))
    assert result["layers"]["code_formats"] == "active"
    assert result["layers"]["user_namespace"] == "active"
    assert "got PermissionError" in result["log"] or "got FileNotFoundError" in result["log"]
