"""How outcomes, plans and totals are reported: JSON lines for programs, sentences for people."""

import re
from collections import Counter

from inpaintcli_engines.base import EngineInfo

from inpaintcli.batch.jobs import NO_MASK, OUTPUT_EXISTS, BatchPlan, Job
from inpaintcli.batch.outcome import SCHEMA, Outcome, exit_code_of
from inpaintcli.console import Console, complain, rate_in_words
from inpaintcli.errors import ExitCode
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.masks.source import PhotoMask
from inpaintcli.storage.locations import Location

STATUSES = ("filled", "skipped", "failed")
DRY_RUN = "dry run"
SKIP_REASONS = {
    NO_MASK: "without a mask",
    OUTPUT_EXISTS: "output existed",
    DRY_RUN: "would be filled",
}
FAILURE_REASONS = {
    ExitCode.UNREADABLE: "unreadable",
    ExitCode.MASK_MISMATCH: "mask and photo do not fit",
    ExitCode.OUTPUT: "output cannot be written",
    ExitCode.ENGINE_UNAVAILABLE: "engine not available",
    ExitCode.ENGINE_FAILED: "engine failed",
    ExitCode.FAULT: "fault of the program",
}


class OutcomeCounts:
    """Counts outcomes by status and by reason."""

    def __init__(self) -> None:
        self.by_status: Counter[str] = Counter()
        self._reasons: dict[str, Counter[str]] = {status: Counter() for status in STATUSES}

    def add(self, outcome: Outcome) -> None:
        """Count one more outcome."""
        self.by_status[outcome.status] += 1
        if outcome.error is not None:
            code = int(outcome.error.code)
            reason = FAILURE_REASONS[ExitCode(code)] if code in FAILURE_REASONS else f"error {code}"
            self._reasons["failed"][reason] += 1
        elif outcome.status == "skipped":
            # What follows a colon or semicolon is for the photo's own line.
            reason = re.split("[:;]", outcome.note, maxsplit=1)[0]
            self._reasons["skipped"][SKIP_REASONS.get(reason, reason)] += 1

    def exit_code(self) -> ExitCode:
        """The exit code of the run."""
        return exit_code_of(self.by_status)

    def table(self, seconds: float, done: str = "filled") -> str:
        """The summary: a row for each status with its reasons, then the time and the rate.

        `done` is what people read for "filled".
        """
        width = len(str(max(self.by_status.values(), default=0)))
        rows = [
            f"{name:<8}{count:>{width}}  {_listed(self._reasons[status])}".rstrip()
            for name, status, count in (
                (done if status == "filled" else status, status, self.by_status[status])
                for status in STATUSES
            )
        ]
        filled = self.by_status["filled"]
        rate = f", {rate_in_words(filled / seconds)}" if filled and seconds else ""
        return "\n".join([*rows, f"in {duration_in_words(seconds)}{rate}"])


def report_outcome(console: Console, outcome: Outcome, *, brief: bool = False) -> None:
    """Report what happened to one photo; with `brief`, what did not fail only with --verbose."""
    console.record(outcome.to_json())
    if outcome.error is not None:
        name, text = str(outcome.input), str(outcome.error)
        complain(text if text.startswith(f"{name} ") else f"{name}: {text}")
        if outcome.note:
            console.say(f"  {outcome.note}")
    elif outcome.status == "skipped":
        (console.detail if brief else console.say)(f"{outcome.input}: skipped, {outcome.note}")
    elif outcome.note:
        console.say(f"{outcome.input}: {outcome.note}")
    if outcome.removed:
        (console.detail if brief else console.say)(outcome.removed)
    for decision in outcome.decisions:
        console.detail(f"  {decision.in_words()}")
    if outcome.status == "filled" and not outcome.note:
        line = f"{outcome.input} -> {outcome.output} ({outcome.seconds:.2f} s)"
        (console.detail if brief else console.say)(line)


def report_model(console: Console, model: Model) -> None:
    """Report a fallback to another engine; with --verbose also what runs the model, and why."""
    report_engine(console, model.card.name, model.engine.info, model.why, model.fallback)


def report_engine(console: Console, name: str, info: EngineInfo, why: str, fallback: str) -> None:
    """As `report_model`, for a model that may be open in another process."""
    if fallback:
        console.say(fallback)
    threads = f"{info.threads} thread{'' if info.threads == 1 else 's'}"
    console.detail(
        f"model {name}, {info.name} {info.version} on {info.device}, "
        f"{info.precision}, {threads} ({why})"
    )


def report_dry_run(console: Console, job: Job, *, verb: str = "fill") -> Outcome:
    """Report what would be done; returns it as an outcome, for the totals."""
    mask = PhotoMask(job.mask, job.parts).in_words()
    outcome = Outcome(
        status="skipped", input=job.photo, mask=job.mask, output=job.output, note=DRY_RUN
    )
    console.record(outcome.to_json())
    if not console.json:
        console.data(f"would {verb} {job.photo} by {mask} into {job.output}")
    return outcome


def report_unmatched(console: Console, plan: BatchPlan) -> None:
    """Report masks without a photo, links that are not followed, and formats that are not read."""
    for mask in plan.orphan_masks:
        console.say(f"{mask}: a mask without a photo")
    for link in plan.links:
        console.say(f"{link}: a link to a folder, not followed; name the folder itself to fill it")
    if plan.unsupported:
        kinds = Counter(path.suffix.lower() for path in plan.unsupported)
        listed = ", ".join(f"{count} {suffix}" for suffix, count in kinds.most_common())
        console.say(f"not read: {listed}; convert them to PNG, JPEG or TIFF first")


def report_space(console: Console, needed: int, free: float, folder: Location) -> None:
    """Warn where the outputs will probably not fit on the disk."""
    if needed > free:
        console.say(
            f"The outputs will take about {_size(needed)}, but {_size(free)} are free in {folder}. "
            "Photos that no longer fit will fail; the same command does them later."
        )


def report_summary(
    console: Console,
    counts: OutcomeCounts,
    seconds: float,
    *,
    left: int = 0,
    done: str = "filled",
) -> None:
    """Report the totals; `left` photos were not begun; `done` as in `OutcomeCounts.table`."""
    by_status = {status: counts.by_status[status] for status in STATUSES}
    record = {**by_status, "left": left, "seconds": round(seconds, 3)}
    console.record({"schema": SCHEMA, "summary": record})
    console.say(counts.table(seconds, done))
    if left:
        console.say(f"{left} not begun; the same command does them")


def duration_in_words(seconds: float) -> str:
    """Such as 4.2 s, 3 min 20 s or 5 h 12 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _listed(reasons: Counter[str]) -> str:
    if len(reasons) == 1:
        return next(iter(reasons))
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count = round(count / 1000)
    return f"{count} TB"
