"""A folder for models of this test alone."""

import pytest

from inpaintcli.models.cards import FOLDER_VARIABLE


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Where models are installed; not there yet."""
    folder = tmp_path / "data" / "models"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder
