"""From the reads of a sorted library to expression: merging, counting, collapsing, estimating; a simulator."""
