"""The processes of one Runtime: which device it serves, the zygote, on a GPU a spawned server beside it, the control group that
holds them, and when one is replaced. Torch-free."""

from __future__ import annotations

import importlib
from pathlib import Path

from evaluators.failures import EvaluationFailure, FailureCode
from evaluators.runtime import box, sandbox
from evaluators.runtime.cgroups import ControlGroup
from evaluators.runtime.jobs import CODE_FORMATS, PROGRAM
from evaluators.runtime.orders import Order
from evaluators.runtime.watch import Answer, Watch
from evaluators.runtime.zygote_process import ZygoteGoneError, ZygoteProcess

GPU_DRIVER = Path("/dev/nvidiactl")
WATCH = "active: resident memory, looked at 20 times a second"


class Workshop:
    """Starts what is missing, and restarts what died. device: "cpu" or "cuda" once `open` was called."""

    def __init__(self, *, folder: Path, device: str, sandboxed: bool, spawned: bool | None, code_formats: bool) -> None:
        self.folder, self.device, self.sandboxed, self.code_formats = folder, device, sandboxed, code_formats
        self._spawned = spawned
        self._group = ControlGroup()
        self._zygote: ZygoteProcess | None = None
        self._server: ZygoteProcess | None = None
        self._boxed: ZygoteProcess | None = None

    def open(self) -> None:
        """Settle the device, and start the processes that serve configs."""
        if self.device == "auto" and not GPU_DRIVER.exists():
            self.device = "cpu"
        if self._spawned is None and self.device == "cpu":
            self._spawned = False
        self._for_configs()

    def device_of(self, kind: str) -> str:
        """Where a submission of this kind runs: strangers' files run on the CPU, in a child that can be locked down fully."""
        return self.device if kind == "config" else "cpu"

    def process_for(self, order: Order) -> ZygoteProcess:
        """A warm process that serves this order, with its memory limited. Raises EvaluationFailure(SYSTEM_ERROR)."""
        if order.kind == PROGRAM:
            process = self._for_programs()
        else:
            process = self._for_strangers() if order.untrusted else self._for_configs()
        self._group.limit(order.memory_mb)
        return process

    def serve(self, watch: Watch, data: int, artifact: int | None) -> Answer:
        """Run one order. A zygote that died is replaced at the next one, and so is a server that met a failure."""
        try:
            return watch.run(data, artifact)
        except BaseException:
            if watch.zygote is self._server or not watch.zygote.answers():
                self._discard(watch.zygote)
            raise

    def layers(self) -> dict[str, str]:
        """Each layer on this machine, as a child found it when it tried."""
        self.open()
        own = {"control_group": self._group.state, "memory_watch": WATCH, CODE_FORMATS: self._state_of_box()}
        return {**self._for_any_zygote().layers, **own}

    def versions(self) -> dict[str, str]:
        """Library versions in the process that predicts."""
        running = self._server or self._zygote
        return dict(running.versions) if running else {}

    def device_name(self, device: str) -> str:
        """The GPU's name, or "cpu"."""
        return (self._server.device_name if self._server and device != "cpu" else "") or device

    def killed_for_memory(self) -> int:
        """How often the kernel killed in this workshop for its memory limit."""
        return self._group.kills()

    def warm_scoring(self) -> None:
        """Import what the scoring stage needs in this process."""
        for name in ("torch", "evaluators.statistics"):
            importlib.import_module(name)

    def close(self) -> None:
        """End all processes, and remove their control group."""
        for process in (self._zygote, self._server, self._boxed):
            if process is not None:
                self._discard(process)
        self._group.close()

    def _for_strangers(self) -> ZygoteProcess:
        zygote = self._for_any_zygote()
        if self.sandboxed and not sandbox.is_enough_for_untrusted(zygote.layers):
            raise EvaluationFailure(FailureCode.SYSTEM_ERROR, sandbox.NO_WALLS)
        return zygote

    def _for_programs(self) -> ZygoteProcess:
        """The zygote in a box. There is no way around it, not even for a developer's own programs."""
        if self._boxed is None or not self._boxed.answers():
            self._discard(self._boxed)
            self._boxed = self._start_boxed()
        if not box.is_enough_for_code(self._boxed.layers):
            raise EvaluationFailure(FailureCode.SYSTEM_ERROR, box.NO_BOX)
        return self._boxed

    def _start_boxed(self) -> ZygoteProcess:
        if not box.installed():
            raise EvaluationFailure(FailureCode.SYSTEM_ERROR, f"{box.NO_BOX} (bwrap is not installed)")
        try:
            return self._start(spawned=False, device="cpu", boxed=True)
        except EvaluationFailure as failure:
            raise EvaluationFailure(FailureCode.SYSTEM_ERROR, f"{box.NO_BOX} (bwrap could not make one)") from failure

    def _state_of_box(self) -> str:
        if not self.code_formats:
            return "off: this worker takes no formats that are code"
        try:
            self._for_programs()
        except EvaluationFailure as failure:
            return f"not active: {failure.message}"
        return sandbox.ACTIVE

    def _for_any_zygote(self) -> ZygoteProcess:
        if self._zygote is None or not self._zygote.answers():
            self._discard(self._zygote)
            self._zygote = self._start(spawned=False, device="cpu")
        return self._zygote

    def _for_configs(self) -> ZygoteProcess:
        """The spawned server where there is a GPU (or a test wants it), else the zygote."""
        if self._spawned is False:
            return self._for_any_zygote()
        if self._server is None or not self._server.answers():
            self._discard(self._server)
            self._server = self._start(spawned=True, device=self.device)
            if self.device == "auto":  # the server looked, because looking initialises CUDA
                self.device = "cuda" if self._server.device_name else "cpu"
            if self.device == "cpu" and self._spawned is None:
                self._spawned = False
                self._discard(self._server)
                return self._for_any_zygote()
        return self._server

    def _start(self, *, spawned: bool, device: str, boxed: bool = False) -> ZygoteProcess:
        process = ZygoteProcess(
            folder=self.folder,
            sandboxed=self.sandboxed or boxed,
            spawned=spawned,
            device=device,
            groups=self._group.folders,
            boxed=boxed,
        )
        try:
            process.greet()
        except ZygoteGoneError as error:
            process.close()
            raise EvaluationFailure(FailureCode.SYSTEM_ERROR, f"the process that runs models did not start: {error}") from error
        return process

    def _discard(self, process: ZygoteProcess | None) -> None:
        if process is not None:
            process.close()
            self._zygote = None if process is self._zygote else self._zygote
            self._server = None if process is self._server else self._server
            self._boxed = None if process is self._boxed else self._boxed
