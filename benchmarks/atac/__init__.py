"""ATAC-seq at base resolution, with the sequence bias of Tn5 modelled apart; see README.md."""
