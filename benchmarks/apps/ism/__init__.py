"""In-silico mutagenesis: the effects of single substitutions on predictions, of variants, and of planted motifs."""
