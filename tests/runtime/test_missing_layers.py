"""Machines that lack layers: the kernel really denies them, by a filter that the whole family of processes inherits. What is
left decides what a worker opens, and it says which layers it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86-64"),
]

LANDLOCK = (444, 445, 446)
NAMESPACES = (272, 308, 165, 161)  # unshare, setns, mount, chroot
ROOT = Path(__file__).parents[2]

SCRIPT = """
import ctypes, json, struct, sys
from pathlib import Path
from evaluators.runtime import seccomp, syscalls

def deny(numbers):
    lines = [seccomp._instruction(seccomp.LOAD, seccomp.OFFSET_NUMBER)]
    for number in numbers:
        lines += seccomp._when_number(number, [seccomp._instruction(seccomp.RETURN, seccomp.ERRNO | 1)])
    code = b"".join([*lines, seccomp._instruction(seccomp.RETURN, seccomp.ALLOW)])
    program = seccomp._Program(len(code) // 8, code)
    syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
    syscalls.by_machine("seccomp", 1, 0, ctypes.cast(ctypes.byref(program), ctypes.c_void_p))

folder = Path(sys.argv[1])
deny(json.loads(sys.argv[2]))

from evaluators.failures import EvaluationFailure
from evaluators.runtime import Runtime
from tests.runtime import carriers
from tests.runtime.conftest import register

register()
told = {}
with Runtime(secret=b"x", cache_dir=folder / "cache", device="cpu", code_formats=True) as runtime:
    layers = runtime.layers()
    for form in ("config", "onnx", "exported program"):
        code = "try: open('/etc/passwd'); print('read it')\\nexcept OSError as error: print('stopped')"
        try:
            told[form] = runtime.evaluate(carriers.job(form, code, folder=folder)).log or "evaluated"
        except EvaluationFailure as failure:
            told[form] = f"{failure.code}: {failure.message}"
print(json.dumps({"layers": layers, "told": told}))
"""


def run_without(numbers: tuple[int, ...], folder: Path) -> dict[str, dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, str(folder), json.dumps(numbers)],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("denied", "lost", "opens_files"),
    [
        (LANDLOCK, {"landlock"}, True),
        (NAMESPACES, {"network_namespace", "mount_namespace", "pid_namespace"}, True),
        (LANDLOCK + NAMESPACES, {"landlock", "network_namespace", "mount_namespace"}, False),
    ],
    ids=["no Landlock", "no namespaces", "neither"],
)
def test_a_worker_opens_what_its_layers_allow_and_says_which_it_has(tmp_path, denied, lost, opens_files):
    found = run_without(denied, tmp_path)
    assert {name for name in lost if found["layers"][name].startswith("not active")} == lost
    assert found["told"]["config"].startswith(("stopped", "read it"))  # our own code, whatever the layers are
    if opens_files:
        assert "stopped" in found["told"]["onnx"]
        assert "read it" not in found["told"]["onnx"]
    else:
        assert found["told"]["onnx"].startswith("system_error: this worker has no wall around the files and the network")
    assert found["told"]["exported program"].startswith("system_error: this worker has no full sandbox")
    assert found["layers"]["code_formats"].startswith("not active")
