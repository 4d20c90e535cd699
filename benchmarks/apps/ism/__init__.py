"""In-silico mutagenesis: what every single substitution does to a model's prediction."""
