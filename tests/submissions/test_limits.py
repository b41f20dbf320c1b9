"""Each limit of intake at its edge: what is exactly as large passes, what is one larger is refused, with the code that the
table of limits names and a sentence that says the number."""

import io
import json
import zipfile

import numpy as np
import pytest
from django.core.files.base import ContentFile
from onnx import TensorProto, helper, numpy_helper
from rest_framework.exceptions import ParseError
from safetensors.numpy import save as save_tensors

from evaluators import limits
from evaluators.limits import LIMITS, Where
from leaderboard.api.parsing import StrictJSONParser, strict_json
from leaderboard.refusals import Refusal
from leaderboard.submissions import intake, storage
from leaderboard.submissions.configs import complete_config
from leaderboard.submissions.fields import Sent, check_entry
from leaderboard.submissions.formats import check_file

SMALL = {
    "MAX_ARTIFACT_BYTES": 1_000,
    "MAX_TENSORS": 5,
    "MAX_TENSOR_HEADER_BYTES": 512,
    "MAX_ONNX_NODES": 6,
    "MAX_ONNX_INITIALIZERS": 6,
    "MAX_ONNX_FIELDS": 200,
    "MAX_ARRAYS": 4,
    "MAX_ZIP_DIRECTORY_BYTES": 300,
    "MAX_UNPACKED_BYTES": 2_000,
    "MAX_CSV_COLUMNS": 7,
    "MAX_CSV_LINE_BYTES": 90,
}
"""Lower than they are, so that a file at the edge is made quickly."""


def text(size):
    return "x" * size


def nested(levels):
    document = value = {}
    for _ in range(levels - 1):
        value["a"] = value = {}
    return document


def entry(board, **changed):
    fields = {
        "name": "a",
        "kind": "config",
        "model": "logistic",
        "config": {},
        "slices": [],
        "description": "",
        "visibility": "public",
    }
    return check_entry(Sent(**{**fields, **changed}, has_file=False), board)


def open_schema(value):
    return complete_config(value, {"type": "object"})


def json_body(size):
    frame = len('{"a":""}')
    return StrictJSONParser().parse(io.BytesIO(b'{"a":"' + b"x" * (size - frame) + b'"}'))


def receive(size):
    with storage.staged(ContentFile(b"x" * size), limit=limits.MAX_ARTIFACT_BYTES):
        pass


def tensor_header(size):
    raw = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(size)
    return len(raw).to_bytes(8, "little") + raw + b"\0" * 4


def onnx(*, nodes=1, initializers=0, opset=17, levels=1, domain="", functions=()):
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "inner", [], [])
    for _ in range(levels - 1):
        graph = helper.make_graph([helper.make_node("If", ["c"], ["y"], then_branch=graph)], "outer", [], [])
    more = [helper.make_node("Relu", ["x"], [f"y{i}"], domain=domain) for i in range(nodes - 1)]
    graph.node.extend(more)
    graph.initializer.extend(numpy_helper.from_array(np.ones(1, np.float32), f"w{i}") for i in range(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], functions=functions)
    return model.SerializeToString()


def fields_of(raw):
    from leaderboard.submissions.formats.onnx import _Walk

    walk = _Walk(raw)
    walk.model()
    return walk.fields


def padded_onnx(count):
    """Each field of an unknown number adds one."""
    raw = onnx()
    return raw + b"\xd8\x07\x01" * (count - fields_of(raw))


def archive(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def dimensions(count):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {(1,) * count!r}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (len(header)).to_bytes(2, "little") + header + b"\0" * 8


def npy_header(size):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }".ljust(size)
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8


def directory(size):
    """A zip archive whose directory has so many bytes: one entry, and a name that fills it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("x" * (size - 46 - 4) + ".npy", npy(np.ones(1)))
    return buffer.getvalue()


def unpacked(size):
    return archive(a=np.zeros(size - 128, np.uint8))


def csv(columns=2, row=""):
    header = ",".join(f"c{i}" for i in range(columns))
    return f"{header}\n{row or ','.join('1' * columns)}\n".encode()


def long_line(size):
    return f"a,b\n1,{'2' * (size - 2)}\n".encode()


FILES = {
    "MAX_TENSORS": ("weights", lambda n: save_tensors({f"w{i}": np.ones(1, np.float32) for i in range(n)})),
    "MAX_TENSOR_HEADER_BYTES": ("weights", tensor_header),
    "MAX_ONNX_NODES": ("onnx", lambda n: onnx(nodes=n)),
    "MAX_ONNX_INITIALIZERS": ("onnx", lambda n: onnx(initializers=n)),
    "MAX_ONNX_NESTING": ("onnx", lambda n: onnx(levels=n)),
    "MAX_ONNX_FIELDS": ("onnx", padded_onnx),
    "MAX_ONNX_OPSET": ("onnx", lambda n: onnx(opset=n)),
    "MIN_ONNX_OPSET": ("onnx", lambda n: onnx(opset=n)),
    "MAX_ARRAYS": ("predictions", lambda n: archive(**{f"a{i}": np.ones(1) for i in range(n)})),
    "MAX_DIMENSIONS": ("predictions", dimensions),
    "MAX_ARRAY_HEADER_BYTES": ("predictions", npy_header),
    "MAX_ZIP_DIRECTORY_BYTES": ("predictions", directory),
    "MAX_UNPACKED_BYTES": ("predictions", unpacked),
    "MAX_CSV_COLUMNS": ("predictions", csv),
    "MAX_CSV_LINE_BYTES": ("predictions", long_line),
}
CALLS = {
    "MAX_NAME": lambda n, board: entry(board, name=text(n)),
    "MAX_DESCRIPTION": lambda n, board: entry(board, description=text(n)),
    "MAX_IDEMPOTENCY_KEY": lambda n, board: intake._checked_key(text(n)),
    "MAX_JSON_BYTES": lambda n, board: json_body(n),
    "MAX_JSON_DEPTH": lambda n, board: strict_json("[" * n + "]" * n),
    "MAX_JSON_DIGITS": lambda n, board: strict_json("1" * n),
    "MAX_CONFIG_BYTES": lambda n, board: open_schema({"a": text(n - len('{"a": ""}'))}),
    "MAX_CONFIG_DEPTH": lambda n, board: open_schema(nested(n)),
    "MAX_CONFIG_INTEGER": lambda n, board: open_schema({"a": n}),
    "MAX_ARTIFACT_BYTES": lambda n, board: receive(n),
}


def test_every_limit_of_intake_is_tried_below():
    assert FILES.keys() | CALLS.keys() == {name for name, limit in LIMITS.items() if limit.where in (Where.INTAKE, Where.BOTH)}


@pytest.fixture
def most(monkeypatch):
    """The limit's value, lowered where the real one would take long."""

    def of(name):
        if name in SMALL:
            monkeypatch.setattr(limits, name, SMALL[name])
        return getattr(limits, name)

    return of


@pytest.mark.parametrize("name", CALLS)
def test_a_field_at_its_limit_is_taken_and_one_beyond_is_refused(name, most, board):
    edge = most(name)
    CALLS[name](edge, board)
    with pytest.raises((Refusal, ValueError, ParseError)) as caught:
        CALLS[name](edge + 1, board)
    refusal = caught.value
    if isinstance(refusal, Refusal):
        assert LIMITS[name].answer in {refusal.code, *(error.code for error in refusal.errors)}
        assert any(number in refusal.detail.replace("±2^53", str(2**53)) for number in spellings(edge))
    else:  # the parser's own: problem+json calls it malformed
        assert LIMITS[name].answer == "malformed"
        assert str(edge) in str(refusal)


def spellings(number):
    return str(number), storage.readable_size(number)


@pytest.mark.parametrize("name", FILES)
def test_a_file_at_its_limit_is_taken_and_one_beyond_is_refused(name, most, tmp_path):
    kind, make = FILES[name]
    edge = most(name)
    beyond = edge + (-1 if name.startswith("MIN_") else 1)
    check(make(edge), kind, tmp_path)
    with pytest.raises(Refusal) as caught:
        check(make(beyond), kind, tmp_path)
    assert caught.value.errors[0].code == LIMITS[name].answer
    assert str(edge) in caught.value.detail or name in ("MAX_DIMENSIONS", "MAX_ZIP_DIRECTORY_BYTES")


def check(raw, kind, folder):
    (folder / "file").write_bytes(raw)
    return check_file(folder / "file", kind=kind, filename="file")


def test_operators_of_other_domains_are_refused_by_intake(tmp_path):
    with pytest.raises(Refusal, match=r'operators of "com\.microsoft"'):
        check(onnx(nodes=2, domain="com.microsoft"), "onnx", tmp_path)
    for domain in limits.ONNX_DOMAINS:
        assert check(onnx(nodes=2, domain=domain), "onnx", tmp_path) == "onnx"


def test_functions_of_a_model_are_refused_by_intake(tmp_path):
    """Each calls the one before twice: ten of them are a thousand nodes, thirty a billion."""
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("", "Twice", ["x"], ["y"], [helper.make_node("Relu", ["x"], ["y"])], opset)
    with pytest.raises(Refusal, match="defines functions of its own"):
        check(onnx(functions=[function]), "onnx", tmp_path)


def test_a_row_that_goes_on_over_many_lines_does_not_fill_the_servers_memory(tmp_path):
    """In quotes a cell holds line breaks, so no line of this header is long: 40 MB of it took 550 MB of memory."""
    with pytest.raises(Refusal, match="row of more than 1048576 bytes"):
        check(b'"a\n",' * 400_000 + b"b\n1\n", "predictions", tmp_path)


def test_external_data_is_refused_whatever_path_it_names(tmp_path):
    for path in ("/etc/passwd", "../../secret", "weights.bin"):
        tensor = TensorProto(name="w", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
        tensor.external_data.add(key="location", value=path)
        model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [], [tensor]))
        with pytest.raises(Refusal) as caught:
            check(model.SerializeToString(), "onnx", tmp_path)
        assert caught.value.errors[0].code == "external_data"


@pytest.mark.parametrize("name", ["../a.npy", "/etc/a.npy", "a/../../b.npy", "..\\a.npy/x"])
def test_paths_in_an_archive_are_refused(tmp_path, name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(name, npy(np.ones(1)))
    with pytest.raises(Refusal, match="npy files only"):
        check(buffer.getvalue(), "predictions", tmp_path)


def test_a_symbolic_link_in_an_archive_is_no_array(tmp_path):
    link = zipfile.ZipInfo("a.npy")
    link.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(Refusal, match="no readable header"):
        check(buffer.getvalue(), "predictions", tmp_path)
