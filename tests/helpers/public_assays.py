"""Made-up files of the public assays, with the columns that their YAML names."""

import numpy as np
import pandas as pd

from benchmarks.assay import config, public

N = 240
PARTS = {
    "split": ["train", "val", "test"],
    "set": ["train", "test"],
    "chromosome": ["7", "13", "19", "21", "X", "1", "2"],
}


def made_up(found, seed):
    """A table with the columns that an assay.yaml names."""
    rng = np.random.default_rng(seed)
    if found.saturation:
        return saturation(rng)
    n = N // (1 + len(found.more_tables))
    table = pd.DataFrame({found.sequence: ["".join(rng.choice(list("ACGT"), 60)) for _ in range(n)]})
    if found.id:
        table[found.id] = [f"{seed}_{i}" for i in range(n)]
    for column in (*found.values.values(), *found.errors.values()):
        table[column] = rng.uniform(0.1, 0.9, n).round(4)
    for column in filter(None, (found.fold, found.chromosome)):
        table[column] = np.resize(PARTS.get(column, [str(k) for k in range(1, 11)]), n)
    if found.element_class:
        table[found.element_class] = np.resize(["At", "Zm"], n)
    return table


def saturation(rng):
    rows = [
        (f"E{k}", 100 + at, ref, alt, 20, round(float(rng.normal()), 3))
        for k in range(12)
        for at, ref in enumerate(rng.choice(list("ACGT"), 30 + k))
        for alt in "ACGT-".replace(ref, "")
    ]
    return pd.DataFrame(rows, columns=["Element", "Position", "Ref", "Alt", "Tags", "Value"])


def place(name, folder):
    """Write the files of a public assay, made up, and its assay.yaml; return its config."""
    found = config.read(public.FOLDER / f"{name}.yaml")
    folder.mkdir(parents=True)
    for seed, table in enumerate((found.table, *found.more_tables)):
        sep = "," if table.endswith(".csv") else "\t"
        made_up(found, seed).to_csv(folder / table, sep=sep, index=False, header=not found.header)
    public.describe(name, folder)
    return found
