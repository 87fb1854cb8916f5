"""The engines on which estimators can compute."""

from ._arrays.namespace import torch_or_none
from ._arrays.products import rounds_on_cpu


def show_engines() -> None:
    """Print the engines of this machine for estimators: parameters, libraries and devices.

    Examples
    --------
    >>> import skae
    >>> skae.show_engines()  # doctest: +SKIP
    device=None, precision='float32': numpy 2.4.6
    device=None, precision='bfloat16': PyTorch 2.14.1 on the CPU
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
    if torch is None:
        yield "device=None, precision='bfloat16': needs PyTorch (pip install 'skae[torch]')"
        yield "device='cuda': needs PyTorch and a GPU"
    else:
        rounds = "" if rounds_on_cpu() else ", which computes in float32: this processor has no AMX"
        yield f"device=None, precision='bfloat16': PyTorch {torch.__version__} on the CPU{rounds}"
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
