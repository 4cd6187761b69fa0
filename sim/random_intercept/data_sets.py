"""Data sets of a random-intercept population, put together from the parts that each draw from a stream of their own.

By `version` they are drawn by their students, or by their statistics where the population allows it.
"""

from __future__ import annotations

from nestbench.sim.cells.layout import Layout
from nestbench.sim.observed.batch import Batch
from nestbench.sim.random_intercept.draw import Piece, Schools, batch_of_columns, draw_columns
from nestbench.sim.random_intercept.missingness import observed
from nestbench.sim.random_intercept.parameters import Parameters, check_combination
from nestbench.sim.random_intercept.schools import school_values
from nestbench.sim.random_intercept.sizes import draw_sizes
from nestbench.sim.random_intercept.statistics import allows, draw_statistics
from nestbench.sim.random_intercept.students import finish_columns, proportion_residuals, shape_residuals
from nestbench.sim.random_intercept.treatment import treated_students
from nestbench.sim.streams import StreamSource


def draw_data(law: Parameters, layout: Layout, streams: StreamSource, replications: range) -> Batch:
    """Draw the observed data of some replications.

    Raises
    ------
    InvalidInput
        A parameter can't be combined with the layout.
    """
    check_combination(law, layout)
    if law.version > 1 and allows(law):
        return draw_statistics(law, layout, streams, replications)
    sizes, size_z = draw_sizes(layout, streams, replications)
    students = layout.assignment == "students"
    treated = treated_students(layout, streams, replications, sizes) if students else None

    def build(piece: Piece, first: int, rows: slice) -> Schools:
        """Return the schools' values of a piece, its residuals put into shape on the way."""
        shape_residuals(law, layout, streams, piece, None if treated is None else treated[rows])
        part = None if size_z is None else size_z[first : first + len(piece.sizes)]
        schools = school_values(law, layout, streams, piece, part)
        if law.residual_proportional:
            proportion_residuals(law, piece, schools)
        return schools

    from scipy.special import ndtri

    columns = draw_columns(sizes, streams, replications, float(ndtri(1.0 - law.male_share)), build)
    finish_columns(law, layout, streams, replications, columns, sizes, treated)
    return observed(law, batch_of_columns(columns, sizes, streams, replications))
