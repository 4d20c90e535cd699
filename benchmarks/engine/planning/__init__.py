"""Which trainings a run consists of. Nothing here trains or writes."""
