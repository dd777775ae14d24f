"""The jobs that the commands and the experiments share: train, remove, fingerprint, score."""
