"""One report over all tasks: what each model reaches and costs, published figures beside it, the paper's claims."""
