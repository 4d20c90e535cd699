"""Run Parsl's interchange, and end it with the command that started it: not before it, and even when that was killed.

Left alone it would keep pilot jobs, and what they cost, for nobody. Control-C reaches every process of a terminal; the
command answers it, and needs its interchange to end pilot jobs.
"""

import logging
import os
import runpy
import signal
import threading
import time


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.raiseExceptions = False  # the terminal need not hear of a log that finds no room on a full disk
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__")
