"""What an uploaded file is, told from its bytes alone: nothing is loaded, no model library is imported. The worker reads it
again in the sandbox; here a sender learns at once what no worker would take. Called by `submissions.intake`."""

from __future__ import annotations

from pathlib import Path

from leaderboard.refusals import FieldError, InvalidSubmission
from leaderboard.submissions.formats import arrays, onnx, programs, safetensors, tables
from leaderboard.submissions.formats.faults import BadFile
from leaderboard.submissions.formats.sniffing import refuse_code

TAKEN = {
    "weights": "a safetensors file (safetensors.torch.save_file(model.state_dict(), path))",
    "onnx": "a single-file ONNX model (torch.onnx.export(..., external_data=False))",
    "program": "a TorchScript module (torch.jit.save) or an exported program (torch.export.save)",
    "predictions": "an .npz (numpy.savez), .npy, .csv or .parquet file",
}


def check_file(file: Path, *, kind: str, filename: str) -> str:
    """The format of the file ("safetensors", "onnx", "npz", "npy", "csv", "parquet", "torchscript", "exported"), if it is one
    that `kind` takes. Whether the server takes the kind at all is decided before (`submissions.kinds`).

    Raises InvalidSubmission for an empty, truncated or inconsistent file, UnsupportedFormat for pickles, TorchScript and
    other formats that hold code or that the kind does not take; both say what to send instead.
    """
    if file.stat().st_size == 0:
        raise _invalid("empty_file", f'"{filename}" is empty; send {TAKEN[kind]}')
    if kind != "program":
        refuse_code(file, filename=filename, instead=TAKEN[kind])
    try:
        return _CHECKS[kind](file)
    except BadFile as fault:
        raise _invalid(fault.code, f'"{filename}" {fault}; send {TAKEN[kind]}') from fault


def _weights(file: Path) -> str:
    safetensors.check(file)
    return "safetensors"


def _onnx(file: Path) -> str:
    onnx.check(file)
    return "onnx"


def _predictions(file: Path) -> str:
    with file.open("rb") as opened:
        head = opened.read(6)
    for magic, name, check in (
        (b"PK", "npz", arrays.check_npz),
        (b"\x93NUMPY", "npy", arrays.check_npy),
        (b"PAR1", "parquet", tables.check_parquet),
    ):
        if head.startswith(magic):
            check(file)
            return name
    tables.check_csv(file)
    return "csv"


_CHECKS = {"weights": _weights, "onnx": _onnx, "predictions": _predictions, "program": programs.check}


def _invalid(code: str, detail: str) -> InvalidSubmission:
    return InvalidSubmission(detail, errors=(FieldError("file", code, detail),))
