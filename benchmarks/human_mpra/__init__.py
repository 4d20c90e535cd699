"""Human lentiMPRA in HepG2, K562 and WTC11."""
