"""From recordings to batches: corpora, preparation, manifests, crops, their order."""
