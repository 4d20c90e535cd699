"""What the module of a framework offers to whoever trains, loads or times its models; see `registry.get_backend`."""

from typing import Protocol

from benchmarks.api.model import Model


class Backend(Protocol):
    """A framework as this project uses it: `benchmarks.training.torch_backend`, `benchmarks.training.keras_backend`."""

    OUT_OF_MEMORY: tuple[type[BaseException], ...]
    """What is raised where memory ends."""

    def configure(self, device: str = "auto", threads: int | None = None) -> dict[str, str]:
        """Choose device (`auto`, `cpu` or `cuda`) and CPU threads of this process, before anything is built.

        Returns
        -------
        What a job records of them: `device` (`cpu` or `cuda`), `device_name`, `framework`, `backend`.

        Raises
        ------
        BadInput
            If `cuda` is asked for and the framework sees no GPU.
        """
        ...

    def place(self, model: Model, device: str) -> None:
        """Put a model that was just built on a device, `cpu` or `cuda`."""
        ...

    def seed_everything(self, seed: int) -> None:
        """Seed the global generators that initial weights and dropout draw from."""
        ...

    def synchronise(self) -> None:
        """Wait until the device has done what was asked of it."""
        ...

    def limit_memory(self, gib: float) -> None:
        """Let this process have no more of the GPU's memory."""
        ...

    def peak_memory_mb(self) -> float | None:
        """Return the most GPU memory held since `reset_peak_memory`; None on the CPU, or where that is unknown."""
        ...

    def reset_peak_memory(self) -> None:
        """Start `peak_memory_mb` anew."""
        ...
