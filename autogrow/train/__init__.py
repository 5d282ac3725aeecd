"""Training inside Lightning: module, controller, rewire, learning rate, run."""
