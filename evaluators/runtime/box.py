"""The box: a zygote of its own for formats that are code, inside a root that bubblewrap makes for it. In there are the Python
that runs it, the installed packages and our own two, all read-only; no home, no state, no device but the harmless ones. The
zygote in the box then does what every zygote does: a hole in its walls ends at those of the box.

Called by `zygote`, which starts itself again in here, and by `workshop`, which asks whether there could be one.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

from evaluators import registry
from evaluators.runtime import sandbox
from reference_models import registry as models

PROGRAM = "bwrap"
EMPTY = "/empty"
NO_BOX = (
    "this worker has no full sandbox for formats that are code: bubblewrap, namespaces for network, IPC, mounts and "
    "processes, an empty root, Landlock and seccomp"
)
NEEDED = frozenset(
    {
        *("bubblewrap", "network_namespace", "ipc_namespace", "mount_namespace", "pid_namespace"),
        *("empty_root", "landlock", "seccomp", "rlimits", "no_new_privs", "user"),
    }
)
# What the zygote in the box needs to put its children under lock and key; a child keeps none of them.
CAPABILITIES = (
    *("CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"),
    *("CAP_DAC_READ_SEARCH", "CAP_KILL"),
)
SYSTEM_LIBRARIES = "/lib", "/lib64", "/lib32", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"


def installed() -> bool:
    """Whether there is a bubblewrap."""
    return shutil.which(PROGRAM) is not None


def is_enough_for_code(layers: dict[str, str]) -> bool:
    """Whether files that are code may be opened: every wall must stand."""
    return sandbox.active(layers) >= NEEDED


def command(arguments: list[str], *, packages: list[str]) -> list[str]:
    """The command that runs the zygote with these arguments in a box that holds these packages (`package_folders`)."""
    return [
        *(shutil.which(PROGRAM) or PROGRAM, "--die-with-parent", "--new-session"),
        *_namespaces(),
        *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", EMPTY),  # noqa: S108 - its own, and first
        *(word for folder in dict.fromkeys([*_folders(), *packages]) for word in _bind(folder)),
        *("--remount-ro", "/", "--chdir", "/"),
        *(sys.executable, "-P", "-m", "evaluators.runtime.zygote", *arguments),
    ]


def _namespaces() -> list[str]:
    """Root stays root until its children take ids of their own, without a user namespace, which would map none of these."""
    if os.geteuid() != 0:
        return ["--unshare-all"]
    apart = ("net", "ipc", "pid", "uts", "cgroup-try")
    return [
        *(f"--unshare-{kind}" for kind in apart),
        *("--cap-drop", "ALL"),
        *(word for capability in CAPABILITIES for word in ("--cap-add", capability)),
    ]


def _folders() -> Iterator[str]:
    """Where Python, its packages and ours are."""
    yield from (folder for folder in SYSTEM_LIBRARIES if Path(folder).exists())
    yield from _python()
    paths = sysconfig.get_paths()
    yield from (paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib"))


def _python() -> Iterator[str]:
    """The executable, through its links, the file that makes it a virtual environment, and libraries beside a Python that is
    not the system's."""
    executable = Path(sys.executable)
    while True:
        yield str(executable)
        if not executable.is_symlink():
            break
        executable = executable.parent / executable.readlink()
    yield from (str(file) for file in [Path(sys.prefix, "pyvenv.cfg")] if file.exists())
    if sys.base_prefix != "/usr":
        yield str(Path(sys.base_prefix, "lib"))


def package_folders() -> list[str]:
    """The folders of the packages that hold tracks and models. Not the folder above them, which holds the server's state."""
    references: Iterable[str] = (*registry.TRACKS.values(), *models.MODELS.values(), __name__)
    specs = [importlib.util.find_spec(name) for name in sorted({reference.partition(".")[0] for reference in references})]
    return [str(Path(folder).resolve()) for spec in specs if spec for folder in spec.submodule_search_locations or ()]


def _bind(path: str) -> list[str]:
    """A link is made again as a link, since its target may be bound elsewhere; anything else is bound read-only."""
    if Path(path).is_symlink():
        return ["--symlink", os.readlink(path), path]  # noqa: PTH115 - the text, not the target
    return ["--ro-bind", path, path]
