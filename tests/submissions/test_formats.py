"""Uploaded files, told from their bytes: real ones are taken, everything else is refused in one clear sentence."""

import io
import json
import pickle
import struct
import warnings
import zipfile

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save as save_tensors

from evaluators import limits
from leaderboard.refusals import InvalidSubmission, UnsupportedFormat
from leaderboard.submissions.formats import check_file

KINDS = ("weights", "onnx", "predictions")


@pytest.fixture
def check(tmp_path):
    """check(raw, kind) -> the format found."""

    def check_bytes(raw, kind, filename="upload.bin"):
        file = tmp_path / "file"
        file.write_bytes(raw)
        return check_file(file, kind=kind, filename=filename)

    return check_bytes


def tensors(**arrays):
    return save_tensors(arrays or {"weight": np.ones((3, 4), np.float32), "bias": np.zeros(3, np.float64)})


def safetensors_of(header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **(arrays or {"logits": np.ones((5, 10), np.float32)}))
    return buffer.getvalue()


def npy(array, **kwargs):
    buffer = io.BytesIO()
    np.save(buffer, array, **kwargs)
    return buffer.getvalue()


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in members.items():
            archive.writestr(name if "/" in name else name.replace("__", "/").replace("_dot_", "."), raw)
    return buffer.getvalue()


def model(*, external=False, where="initializer"):
    weight = numpy_helper.from_array(np.ones((64, 10), np.float32), "W")
    if external:
        onnx.external_data_helper.set_external_data(weight, location="weights.bin")
        weight.ClearField("raw_data")
    nodes = [helper.make_node("MatMul", ["x", "W"], ["logits"])]
    if where == "constant":
        nodes.insert(0, helper.make_node("Constant", [], ["W"], value=weight))
    if where == "branch":
        inner = helper.make_graph([helper.make_node("Constant", [], ["y"], value=weight)], "inner", [], [])
        nodes.append(helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=inner))
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 10])],
        [weight] if where == "initializer" else [],
    )
    functions = []
    if where == "function":
        constant = helper.make_node("Constant", [], ["y"], value=weight)
        functions = [helper.make_function("own", "f", [], ["y"], [constant], [helper.make_opsetid("", 18)])]
    return helper.make_model(graph, functions=functions, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


PARQUET = b"PAR1" + b"column data" + b"footer" + struct.pack("<I", 6) + b"PAR1"
CSV = b"id,p0,p1\n0,0.1,0.9\n1,0.8,0.2\n"

GOOD = {
    "safetensors": (tensors(), "weights"),
    "onnx": (model(), "onnx"),
    "npz": (npz(), "predictions"),
    "npy": (npy(np.ones((5, 10))), "predictions"),
    "csv": (CSV, "predictions"),
    "parquet": (PARQUET, "predictions"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_whole_file_is_recognized(check, name):
    assert check(*GOOD[name]) == name


@pytest.mark.parametrize("name", [name for name in GOOD if name != "csv"])
def test_every_truncation_is_refused(check, name):
    raw, kind = GOOD[name]
    for length in {*range(1, min(len(raw), 400)), *range(400, len(raw), 97), len(raw) - 1}:
        with pytest.raises((InvalidSubmission, UnsupportedFormat)):
            check(raw[:length], kind)


@pytest.mark.parametrize("name", [name for name in GOOD if name not in ("csv", "parquet")])
def test_bytes_after_the_end_are_refused(check, name):
    raw, kind = GOOD[name]
    with pytest.raises(InvalidSubmission):
        check(raw + b"\x00" * 9, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_file_is_named_as_such(check, kind):
    with pytest.raises(InvalidSubmission, match=r'"mine\.npz" is empty; send') as caught:
        check(b"", kind, "mine.npz")
    assert [(error.field, error.code) for error in caught.value.errors] == [("file", "empty_file")]


LEGACY_TORCH = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
CODE = {
    **{f"pickle protocol {p}": (pickle.dumps({"a": [1]}, protocol=p), "pickle") for p in range(2, 6)},
    "torch.save before 1.6": (LEGACY_TORCH, "pickle"),
    "torch.save": (zipped(archive__data_dot_pkl=b"\x80\x02}.", archive__data__0=b"\0" * 8), "checkpoint"),
    "TorchScript": (
        zipped(m__data_dot_pkl=b"", m__code____torch___dot_py=b"", m__constants_dot_pkl=b"\x80\x02)."),
        "TorchScript",
    ),
    "torch.export": (zipped(m__archive_format=b"pt2", m__models__model_dot_json=b"{}"), "exported PyTorch program"),
    "pickle in an npz": (zipped(a_dot_npy=npy(np.ones(2)), data_dot_pkl=b"\x80\x02}."), "pickle"),
    "gzip": (b"\x1f\x8b\x08\x00" + b"\0" * 20, "gzip"),
    "tar": (b"name".ljust(257, b"\0") + b"ustar\0" + b"00".ljust(300, b"\0"), "tar archive"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + b"\0" * 50, "HDF5"),
    "ELF": (b"\x7fELF" + b"\0" * 50, "program"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CODE)
def test_code_and_containers_are_refused_with_what_to_send_instead(check, name, kind):
    raw, says = CODE[name]
    with pytest.raises(UnsupportedFormat, match=says) as caught:
        check(raw, kind)
    assert "; send " in caught.value.detail
    assert caught.value.errors[0].field == "file"


@pytest.mark.parametrize("name", ["torch.save", "TorchScript", "torch.export"])
def test_the_archives_that_pytorch_writes_have_a_large_directory_record_and_are_recognized(check, name, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    raw, says = CODE[name]
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        large = zipped(**{entry: archive.read(entry) for entry in archive.namelist()})
    assert b"PK\x06\x06" in large
    with pytest.raises(UnsupportedFormat, match=says):
        check(large, "weights")


@pytest.mark.parametrize("length", [0x0280, 0x0480, 0x8B1F, 0x0380])
def test_a_safetensors_header_whose_length_looks_like_another_magic_is_taken(check, length):
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    assert check(safetensors_of(header.ljust(length), b"\0" * 4), "weights") == "safetensors"


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (safetensors_of(b"[]", b""), "not a JSON object"),
        (safetensors_of(b"{nonsense", b""), "not JSON"),
        (safetensors_of(b'{"a":' * 5_000, b""), "not JSON"),
        (safetensors_of({}, b""), "holds no tensors"),
        (safetensors_of({"a": entry()}, b"\0" * 7), "truncated"),
        (safetensors_of({"a": entry()}, b"\0" * 9), "nothing describes"),
        (safetensors_of({"a": entry(), "b": entry(offsets=(4, 12))}, b"\0" * 12), "overlap"),
        (safetensors_of({"a": entry(), "b": entry(offsets=(9, 17))}, b"\0" * 17), "gap"),
        (safetensors_of({"a": entry(shape=(3,))}, b"\0" * 8), "not that of its shape"),
        (safetensors_of({"a": entry(dtype="OBJECT")}, b"\0" * 8), "unknown dtype"),
        (safetensors_of({"a": entry(dtype=["F32"])}, b"\0" * 8), "unknown dtype"),
        (safetensors_of({"a": entry(shape=(-2,))}, b"\0" * 8), "natural numbers"),
        (safetensors_of({"a": entry(shape=(10**30,))}, b"\0" * 8), "natural numbers"),
        (safetensors_of({"a": entry(shape=(True, 2))}, b"\0" * 8), "natural numbers"),
        (safetensors_of({"a": entry(offsets=(8, 0))}, b"\0" * 8), "natural numbers"),
        (safetensors_of({"a": {**entry(), "extra": 1}}, b"\0" * 8), "otherwise than by"),
        (safetensors_of({"a": 3}, b""), "otherwise than by"),
        (safetensors_of({"a": entry(), "__metadata__": {"n": 1}}, b"\0" * 8), "__metadata__"),
        (safetensors_of(b'{"a":{},"a":{}}', b""), "occurs twice"),
        (struct.pack("<Q", 2**63) + b"{}", "no plausible length"),
        (b"\0" * 4, "too short"),
        (b"any text", "no plausible length"),
    ],
)
def test_a_safetensors_file_must_describe_every_byte_once(check, raw, says):
    with pytest.raises(InvalidSubmission, match=says):
        check(raw, "weights")


@pytest.mark.parametrize("where", ["initializer", "constant", "branch"])
def test_weights_in_other_files_are_found_wherever_the_model_hides_them(check, where):
    assert check(model(where=where), "onnx") == "onnx"
    with pytest.raises(InvalidSubmission, match="keeps weights in other files") as caught:
        check(model(external=True, where=where), "onnx")
    assert caught.value.errors[0].code == "external_data"


@pytest.mark.parametrize(
    "raw",
    [
        b"\x08",
        b"\x08\x07",
        b"hello, this is text",
        b"\x00\x00",
        b"\xff" * 40,
        b"\x3a\xff\xff\xff\xff\x0f",
        b"\x3a\x02\x08\x07" * 3,
    ],
)
def test_what_is_no_onnx_model_is_refused(check, raw):
    with pytest.raises(InvalidSubmission):
        check(raw, "onnx")


def test_graphs_nested_too_deeply_are_refused(check):
    def wrapped(tag, inner):
        size, prefix = len(inner), bytearray([tag])
        while size > 0x7F:
            prefix.append(size & 0x7F | 0x80)
            size >>= 7
        return bytes([*prefix, size]) + inner

    graph = b""
    for _ in range(40):
        graph = wrapped(0x0A, wrapped(0x2A, wrapped(0x32, graph)))  # node, its attribute, its graph
    with pytest.raises(InvalidSubmission, match="levels deep"):
        check(b"\x08\x07" + wrapped(0x3A, graph) + b"\x42\x00", "onnx")


def objects():
    array = np.empty(1, dtype=object)
    array[0] = {"a": 1}
    return array


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (npy(objects()), "Python objects"),
        (npz(a=objects()), "Python objects"),
        (npy(np.array(["a"])), "save booleans, integers or floats"),
        (npy(np.zeros(2, dtype=[("a", "f4")])), "save booleans"),
        (npy(np.ones(2)) + b"\0", "nothing describes"),
        (npy(np.ones(2))[:-1], "truncated"),
        (b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': 1+1  }", "no readable header"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + b"{" * 100, "no readable header"),
        (b"\x93NUMPY\x01\x00\x00\x04" + b"(" * 1024, "no readable header"),
        (b"\x93NUMPY\x09\x00\x10\x00" + b"{" * 100, "no readable header"),
        (zipped(), "nothing in it"),
        (zipped(a_dot_txt=b"x"), "files only"),
        (zipped(folder__a_dot_npy=npy(np.ones(1))), "files only"),
        (zipped(a_dot_npy=b"not an array at all"), "no readable header"),
    ],
)
def test_numpy_files_hold_whole_arrays_of_numbers(check, raw, says):
    with pytest.raises(InvalidSubmission, match=says):
        check(raw, "predictions")


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused_before_unpacking(check, monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 2**20)
    bomb = npz(a=np.zeros(2**20, np.float64))
    assert len(bomb) < 20_000
    with pytest.raises(InvalidSubmission, match="unpacks to") as caught:
        check(bomb, "predictions")
    assert caught.value.errors[0].code == "too_large_unpacked"


def test_an_archive_that_lies_about_its_size_is_refused(check, monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNPACKED_BYTES", 2**20)
    bomb = bytearray(npz(a=np.zeros(2**20, np.float64)))
    entry_at = bomb.rfind(b"PK\x01\x02")
    bomb[entry_at + 24 : entry_at + 28] = struct.pack("<I", 1000)
    with pytest.raises(InvalidSubmission):
        check(bytes(bomb), "predictions")


def test_an_encrypted_archive_is_refused(check):
    raw = bytearray(npz())
    raw[raw.rfind(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(InvalidSubmission, match="encrypted"):
        check(bytes(raw), "predictions")


def test_an_archive_with_two_arrays_of_one_name_is_refused(check):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr("a.npy", npy(np.ones(1)))
        archive.writestr("a.npy", npy(np.zeros(1)))
    with pytest.raises(InvalidSubmission, match="same name"):
        check(buffer.getvalue(), "predictions")


def test_an_archive_whose_bytes_were_changed_is_refused(check):
    raw = bytearray(npz(a=np.random.default_rng(0).random(1000)))
    raw[len(raw) // 2] ^= 0xFF
    with pytest.raises(InvalidSubmission):
        check(bytes(raw), "predictions")


def test_a_directory_of_very_many_entries_is_not_even_read(check):
    raw = bytearray(npz())
    end = raw.rfind(b"PK\x05\x06")
    raw[end + 12 : end + 16] = struct.pack("<I", 100 * 2**20)
    with pytest.raises(InvalidSubmission, match="too many"):
        check(bytes(raw), "predictions")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"a,b\n", "no rows"),
        (b"a,b\n1,2,3\n", "has 3 cells in row 1, and 2 in its header"),
        (b"a,a\n1,2\n", "occurs twice"),
        (b"a,\n1,2\n", "names every column"),
        (b"\n1,2\n", "names every column"),
        (b"a,b\n1,\xff\n", "neither UTF-8 text"),
        (b"a,b\n1,\0\n", "neither a table"),
        (b'a,b\n1,"2\n', "not a CSV table"),
        (b"a,b\n" + b"1" * 2**21, "line of more than"),
        (CSV[:-1] + b"\xc3", "neither UTF-8 text"),
    ],
)
def test_csv_is_text_with_a_header_and_rows_of_one_width(check, raw, says):
    with pytest.raises(InvalidSubmission, match=says):
        check(raw, "predictions")


@pytest.mark.parametrize("raw", [b"a,b\r\n1,2\r\n", b"\xef\xbb\xbfa,b\n1,2", b"a,b\n\n1,2\n"])
def test_csv_of_other_programs_is_taken(check, raw):
    assert check(raw, "predictions") == "csv"


@pytest.mark.parametrize(
    "raw", [b"PAR1", b"PAR1PAR1", PARQUET[:-1] + b"E", b"PAR1" + b"x" * 8 + struct.pack("<I", 10**6) + b"PAR1"]
)
def test_parquet_needs_both_ends_and_a_footer_that_fits(check, raw):
    with pytest.raises(InvalidSubmission):
        check(raw, "predictions")


def outcome(check, raw, kind):
    """The format found, or the refusal."""
    try:
        return check(raw, kind), None
    except (InvalidSubmission, UnsupportedFormat) as refusal:
        return None, refusal


hostile = hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
heads = st.sampled_from([b"", *(raw for raw, _ in GOOD.values()), *(raw for raw, _ in CODE.values())])


@hostile
@given(heads, st.binary(max_size=200), st.sampled_from(KINDS), st.integers(0, 2000))
def test_any_bytes_are_taken_or_refused_but_never_break_the_server(check, head, noise, kind, cut):
    raw = head[:cut] + noise + head[cut + len(noise) :]
    found, refusal = outcome(check, raw, kind)
    assert found in GOOD or refusal.errors[0].field == "file"
    assert found or refusal.detail.startswith('"upload.bin" ')


@hostile
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_a_flipped_bit_never_breaks_the_server(check, name, data):
    raw, kind = GOOD[name]
    changed = bytearray(raw)
    changed[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found, refusal = outcome(check, bytes(changed), kind)
    assert found == name or refusal.errors[0].field == "file"
