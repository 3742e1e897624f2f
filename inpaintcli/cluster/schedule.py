"""The scheduler of a Ray cluster, as `batch.fill_many` takes it."""

from pathlib import Path

from inpaintcli.batch.fill_many import Outcomes, Scheduler, Work
from inpaintcli.batch.journal import journal_of
from inpaintcli.cluster import ray_scheduler
from inpaintcli.cluster.connection import connected
from inpaintcli.cluster.ray_worker import WorkerSettings
from inpaintcli.errors import UsageError


def on_ray(address: str) -> Scheduler:
    """The scheduler that gives jobs to the cluster at that address ("local": this machine's)."""

    def schedule(work: Work) -> Outcomes:
        request, output = work.request, work.output
        if request.device.startswith("cuda:"):
            raise UsageError("A cluster chooses the GPUs itself.", hint="Pass --device cuda.")
        settings = WorkerSettings(
            model=request.model,
            engine=request.engine,
            device=request.device,
            precision=request.precision,
            settings=request.settings,
            fingerprint=work.recorder.fingerprint,
            witness=journal_of(output) if isinstance(output, Path) else None,
        )
        # Before Ray is asked anything: a handler that raises is a fault of Ray's.
        work.take_signals()
        pool = work.stack.enter_context(connected(address, work.workers, len(work.jobs)))
        return ray_scheduler.fill_files(
            work.jobs,
            pool,
            settings,
            console=request.console,
            recorder=work.recorder,
            stop=work.is_to_stop,
        )

    return schedule
