"""The engines on which estimators can compute."""

from ._arrays.namespace import torch_or_none
from ._arrays.products import reduced_on_cpu


def show_engines() -> None:
    """Print the engines of this machine for estimators: parameters, libraries and devices.

    Examples
    --------
    >>> import skae
    >>> skae.show_engines()  # doctest: +SKIP
    device=None, precision='float32': numpy 2.4.6
    device=None, precision='bfloat16': numba 0.68.1, by AVX512-BF16
    device='cuda:0': NVIDIA H100 80GB HBM3, by PyTorch 2.11.0
    arrays of other libraries: array-api-compat 1.16.0
    """
    for line in _engines():
        print(line)


def _engines():
    """Yield a line for each engine, or for what it requires."""
    import numpy

    torch = torch_or_none()
    yield f"device=None, precision='float32': numpy {numpy.__version__}"
    yield f"device=None, precision='bfloat16': {_reduced_on_cpu(torch)}"
    if torch is None:
        yield "device='cuda': needs PyTorch and a GPU"
    else:
        for number in range(torch.cuda.device_count()):
            name = torch.cuda.get_device_name(number)
            yield f"device='cuda:{number}': {name}, by PyTorch {torch.__version__}"
        if not torch.cuda.is_available():
            yield "device='cuda': PyTorch sees no GPU"
    try:
        import array_api_compat
    except ImportError:
        yield "arrays of other libraries: need array-api-compat (pip install 'skae[torch]' or 'skae[cupy]')"
    else:
        yield f"arrays of other libraries: array-api-compat {array_api_compat.__version__}"


def _reduced_on_cpu(torch):
    """Return what multiplies matrices in bfloat16."""
    import numba

    return {
        "torch": f"PyTorch {getattr(torch, '__version__', '')}, by AMX",
        "numba": f"numba {numba.__version__}, by AVX512-BF16",
        None: "as float32, since this processor has no AVX512-BF16",
    }[reduced_on_cpu()]
