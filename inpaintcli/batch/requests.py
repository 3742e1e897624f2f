"""What a call of a command asks for, as one value."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from inpaintcli.batch.fill_steps import open_chosen_model
from inpaintcli.batch.fingerprints import RunFingerprint
from inpaintcli.console import Console, ConsoleReport
from inpaintcli.inpaint.pipeline import Model
from inpaintcli.models.cards import find_card
from inpaintcli.options import FillOptions, MaskOptions, MetadataPolicy, ModelChoice


@dataclass(frozen=True, kw_only=True)
class PhotoRequest:
    """What every command that changes photos is asked for.

    console: where to report. model: what to use. options: how the mask is read. overwrite: existing
    outputs are replaced. dry_run: report only what would be done.
    """

    console: Console
    model: ModelChoice = field(default_factory=ModelChoice)
    options: MaskOptions = field(default_factory=MaskOptions)
    overwrite: bool = False
    dry_run: bool = False
    metadata: MetadataPolicy = "safe"

    def open_model(self, threads: int | None = None) -> Model:
        """The model and engine asked for; `threads` as in `pipeline.open_model`.

        Raises:
            ModelError: the model is missing or damaged.
            EngineError: the engine is not available, or cannot load the model.
        """
        return open_chosen_model(self.model, threads=threads, report=ConsoleReport(self.console))


@dataclass(frozen=True, kw_only=True)
class FillRequest(PhotoRequest):
    """What `fill` and `watch` are asked for.

    attention_map: a file to write, or None. stdout_suffix: of the format on standard output; empty
    for the photo's own.
    """

    options: FillOptions = field(default_factory=FillOptions)
    attention_map: Path | None = None
    stdout_suffix: str = ""

    def fingerprint(self) -> RunFingerprint:
        """The model and all options that change pixels.

        Raises:
            ModelError: there is no such model.
        """
        # The precision asked for, not the one used: a run that goes on at another machine, with
        # other arithmetic, must not do everything again.
        options = {**asdict(self.options), "precision": self.model.precision}
        del options["verify"]
        if not self.options.seed:
            del options["seed"]  # journals of versions without these options hold none
        if self.options.jpeg == "blocks":
            del options["jpeg"]
        return RunFingerprint(model=find_card(self.model.model).fingerprint, options=options)
