"""What an EMA codebook averages: callables (wanted [M, D], codewords [N, D], codes [M]) -> [M, D]."""

from torch import Tensor


class Residual:
    """The inputs of the codebook: each codeword moves to the mean of what chose it.

    Source: van den Oord et al. 2017, arXiv:1711.00937, appendix A.1.
    """

    def __call__(self, wanted: Tensor, codewords: Tensor, codes: Tensor) -> Tensor:
        return wanted


class Chosen:
    """The chosen codewords themselves: the mean of a codeword is where it is, and the codebook stands still.

    Source: document S003 (conf/experiment), lines 269 and 273, as written.
    """

    def __call__(self, wanted: Tensor, codewords: Tensor, codes: Tensor) -> Tensor:
        return codewords[codes]
