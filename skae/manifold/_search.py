"""Nearest neighbors among the points of a fit."""


def check_neighbors(n_neighbors, points):
    """Raise ``ValueError`` where there are fewer than ``n_neighbors`` points."""
    if n_neighbors > len(points):
        raise ValueError(
            f"n_neighbors={n_neighbors} needs as many samples; got n_samples = {len(points)}."
        )


class Search:
    """A search for neighbors whose files hold the points only: its tree is built anew, as a damaged one could do harm."""

    def __init__(self, points, n_jobs=None):
        from sklearn.neighbors import NearestNeighbors  # a quarter of the time of importing skae

        self._points, self._n_jobs = points, n_jobs
        self._neighbors = NearestNeighbors(n_jobs=n_jobs).fit(points)

    def nearest(self, X, n_neighbors):
        """Return the places of the points that are nearest to each row of X, of shape (n_samples, n_neighbors)."""
        return self._neighbors.kneighbors(X, n_neighbors, return_distance=False)

    def __getstate__(self):
        return {"points": self._points, "n_jobs": self._n_jobs}

    def __setstate__(self, state):
        self.__init__(**state)
