"""Every net once more, from its paper's numbers and plain formulas, with the weights of the one that is tested."""
