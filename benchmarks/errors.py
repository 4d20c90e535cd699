"""The exception for what the user can correct: wrong files, options and names."""


class BadInput(ValueError):
    """One sentence for the user: expected X, got Y (file, line, column), do Z.

    The command line prints it without a traceback and exits with code 2. Every other exception is a fault of the
    program and keeps its traceback.
    """


def did_you_mean(kind: str, name: str, known: list[str]) -> str:
    """Return the sentence that `name` is not a known `kind`, with the nearest known name and the whole list.

    >>> did_you_mean("task", "yaest", ["atac", "yeast"])
    "Unknown task 'yaest'. Did you mean 'yeast'? Known: atac, yeast."
    """
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown {kind} {name!r}.{hint} Known: {', '.join(sorted(known)) or 'none'}."
