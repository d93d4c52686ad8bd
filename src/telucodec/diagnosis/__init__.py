"""Why a codec's output is as it is, and what is possible at all: identities, probes, the label of a run."""
