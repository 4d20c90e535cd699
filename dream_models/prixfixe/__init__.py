"""Prix Fixe: any team's first, core and final block, and any processor and trainer, put together.

`base` is the contract between blocks; `autosome`, `bhi`, `unlockdna` hold one team's blocks each.
"""
