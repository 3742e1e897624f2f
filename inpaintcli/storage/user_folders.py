"""The user's own folders, for users who have a home and for those who have none."""

from pathlib import Path

from inpaintcli.errors import UsageError


def state_folder(use: str, way_out: str) -> Path:
    """The folder for what is to be found again in the next run, such as journals.

    Args:
        use: what it is needed for, for the error.
        way_out: how to name another folder, for the error.

    Raises:
        UsageError: the user has no home folder, in which it would be.
    """
    from platformdirs import user_state_path

    try:
        folder = user_state_path("inpaintcli", appauthor=False)
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():  # some versions of platformdirs leave a `~` in it
        raise UsageError(
            f"There is no folder for {use}, as this user has no home folder.", hint=way_out
        )
    return folder
