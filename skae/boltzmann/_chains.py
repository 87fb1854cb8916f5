"""What training and sampling by chains share."""

from ..training.solvers import SGD


class ChainTraining:
    """Plain gradient steps, or steps with ``momentum``, where the solver is ``'sgd'``."""

    def _make_solver(self):
        if self.solver == "sgd":
            return SGD(momentum=self.momentum, nesterov=False)
        return super()._make_solver()
