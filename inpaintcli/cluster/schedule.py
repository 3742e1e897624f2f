"""The scheduler for a Ray cluster, as `batch.fill_many` takes it."""

from pathlib import Path

from inpaintcli.batch.fill_many import BatchWork, Outcomes, Scheduler
from inpaintcli.batch.journal import journal_path
from inpaintcli.cluster import ray_scheduler
from inpaintcli.cluster.connection import connect
from inpaintcli.cluster.ray_worker import WorkerSettings
from inpaintcli.errors import UsageError


def on_ray(address: str) -> Scheduler:
    """The scheduler that gives jobs to the cluster at that address ("local": this machine's)."""

    def schedule(work: BatchWork) -> Outcomes:
        request, output = work.request, work.output
        if request.model.device.startswith("cuda:"):
            raise UsageError("A cluster chooses the GPUs itself.", hint="Pass --device cuda.")
        settings = WorkerSettings(
            model=request.model,
            options=request.options,
            overwrite=request.overwrite,
            fingerprint=work.recorder.run_fingerprint,
            shared_file=journal_path(output) if isinstance(output, Path) else None,
        )
        # Before anything is asked of Ray, which takes an exception in a handler for its own fault.
        work.handle_signals()
        cluster = work.stack.enter_context(connect(address, work.workers, len(work.jobs)))
        return ray_scheduler.run_jobs(
            work.jobs,
            cluster,
            settings,
            console=request.console,
            recorder=work.recorder,
            stop=work.is_to_stop,
        )

    return schedule
