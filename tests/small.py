"""Any composed configuration at toy width: the same parts and wiring, few channels, short spectra."""

from typing import Any

DIM, INNER = 8, 4
WIDTHS = {  # what a class's numbers become
    "Encoder": {"dim": DIM},
    "Decoder": {"dim": DIM},
    "Narrowed": {"dim": DIM},
    "Widened": {"dim": DIM},
    "Projected": {"dim": DIM},
    "ResidualVQ": {"dim": DIM},
    "Distillation": {"dim": DIM},
    "Transformer": {"depth": 1, "heads": 2, "feedforward": 16},
    "LSTM": {"depth": 1},
    "EMACodebook": {"codebook_size": 16},
    "GradientCodebook": {"codebook_size": 16},
    "EMAGradientCodebook": {"codebook_size": 16},
    "FactorizedCodebook": {"codebook_size": 16, "codebook_dim": 4},
    "KMeans": {"iterations": 2},
    "MultiScale": {"channels": [4, 8]},
    "MultiPeriod": {"channels": [2, 4], "periods": [2, 3]},
    "MultiBandSTFT": {"channels": 2, "n_ffts": [64]},
    "MultiResolutionSTFT": {"channels": 2, "n_ffts": [64, 32]},
    "MultiResolutionMagnitude": {"channels": [2, 4], "n_ffts": [64]},
    "ResidualSTFT": {"channels": [2, 4], "n_fft": 64},
    "MultiScaleMel": {"n_ffts": [64], "n_mels": [8]},
    "LinearLogMel": {"n_ffts": [64], "n_mels": 8},
    "GuardedLogMel": {"n_ffts": [64], "n_mels": 8},
    "STFTDistance": {"n_ffts": [64, 32]},
    "MelTeacher": {"n_mels": 8},
}


def small(node: Any, inside: str = "") -> Any:
    """A copy of a node and all below it, at toy width."""
    if isinstance(node, list):
        return [small(child, inside) for child in node]
    if not isinstance(node, dict):
        return node
    name = str(node.get("_target_", "")).rpartition(".")[2]
    made = {key: small(child, name or inside) for key, child in node.items()}
    made |= {key: value for key, value in WIDTHS.get(name, {}).items() if key in made}
    if name in ("Encoder", "Decoder"):
        made["channels"] = [4] * (len(made["channels"]) - 1) + [8]
    if name == "ResidualVQ":
        made["dim"] = INNER if inside == "Projected" else DIM
        made["n_q"] = min(made["n_q"], 3)
    return made
