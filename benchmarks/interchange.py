"""Run Parsl's interchange, and end it with the command that started it, even when that was killed.

Left alone it would keep pilot jobs, and what they cost, for nobody.
"""

import os
import runpy
import threading
import time


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")
