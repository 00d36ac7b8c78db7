"""What the models that read histories share: transformer blocks, batches of windows, a softmax."""
