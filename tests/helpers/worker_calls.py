"""What workers are given to do in tests of how they are run."""

import os
import signal
import time

from benchmarks import shutdown

WORK = f"{__name__}:work"
SLOW_WORK = f"{__name__}:slow_work"


def work(argument, progress):
    """Do what `argument` says: return, raise, refuse, die or print."""
    progress({"half": argument["x"]})
    if argument["do"] == "raise":
        raise RuntimeError("no\nluck")
    if argument["do"] == "refuse":
        raise ValueError("bad value")
    if argument["do"] == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if argument["do"] == "print":
        print("printed", flush=True)
    return {"pid": os.getpid(), "x": argument["x"], "threads": os.environ.get("SOME_THREADS")}


def slow_work(argument, progress):
    """Wait to be asked to stop, or give up."""
    for _ in range(200):
        if reason := shutdown.shutdown_reason():
            return {"stopped": reason, "pid": os.getpid()}
        if argument == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
        if argument:
            return {"stopped": None, "pid": os.getpid()}
    return None
