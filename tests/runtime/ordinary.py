"""Runs a script as an ordinary user, whoever runs the tests. Where the Python lies in a folder that is closed to others (root's
home), the script gets a mount table of its own, in which that folder is open and holds nothing but the Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
USER = 12345
OPEN = """
mount --make-rprivate /
kept=$(mktemp -d)
mount --bind "$2" "$kept"
mount -t tmpfs -o mode=755 none "$1"
mkdir -p "$2"
mount --bind "$kept" "$2"
shift 2
"""
BECOME = f'exec setpriv --reuid {USER} --regid {USER} --clear-groups "$@"'


def as_ordinary_user(script: str, *, folder: Path, before: str = "") -> dict[str, Any]:
    """Run the script with `folder` as its argument; the JSON of its last line. before: shell lines that run as root first."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    folder.chmod(0o777)
    (folder / "cache").mkdir()
    (folder / "cache").chmod(0o777)
    done = subprocess.run(
        [*_entry(before), sys.executable, "-c", script, str(folder)],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        },
        cwd=str(ROOT),
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _entry(before: str) -> list[str]:
    closed = [path for path in Path(sys.base_prefix).resolve().parents if not path.stat().st_mode & 0o001]
    if not closed:
        return ["/bin/sh", "-ec", before + BECOME, "sh"]
    return ["unshare", "--mount", "/bin/sh", "-ec", OPEN + before + BECOME, "sh", str(closed[0]), sys.base_prefix]
