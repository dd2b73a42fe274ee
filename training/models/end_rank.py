"""The order of statuses in lists."""

from django.db.models import Func, IntegerField


class EndRank(Func):
    """Failed, finished, stopped, then what has not ended: as a tracking list sorts runs by status.

    Written without parameters, for an index of it serves only queries that say exactly the same.
    """

    output_field = IntegerField()
    template = "CASE %(expressions)s WHEN 'failed' THEN 0 WHEN 'finished' THEN 1 WHEN 'stopped' THEN 2 ELSE 3 END"
