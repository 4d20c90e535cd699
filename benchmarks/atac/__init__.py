"""ATAC-seq at base resolution, with the enzyme's taste set apart; see README.md."""
