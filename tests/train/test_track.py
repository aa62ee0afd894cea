"""Curves for TensorBoard and MLflow hold what metrics.csv holds."""

import sys
from pathlib import Path

import pytest
from tests.train.tiny import fit_tiny

from ushape.core.errors import ConfigError, MissingExtra
from ushape.core.files import read_csv

SHORT = {"train.steps_per_epoch": 2, "train.epochs": 2}


def test_tensorboard_gets_every_epoch(blobs: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = fit_tiny(blobs, tmp_path / "run", {**SHORT, "train.loggers": ["tensorboard"]})
    found = accumulator.EventAccumulator(str(run.path / "tensorboard")).Reload()
    for curve in ("train_loss", "val_dice"):
        assert [event.step for event in found.Scalars(curve)] == [2, 4]
        rows = [float(row[curve]) for row in read_csv(run.metrics)]
        assert [event.value for event in found.Scalars(curve)] == pytest.approx(rows, abs=1e-5)


def test_mlflow_gets_every_epoch(blobs: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    run = fit_tiny(blobs, tmp_path / "run", {**SHORT, "train.loggers": ["mlflow"]})
    client = MlflowClient(tracking_uri=(run.path / "mlflow").resolve().as_uri())
    number = (run.path / "mlflow" / "run_id.txt").read_text(encoding="utf-8")
    kept = client.get_metric_history(number, "train_loss")
    assert [each.value for each in kept] == pytest.approx(
        [float(row["train_loss"]) for row in read_csv(run.metrics)], abs=1e-5
    )


def test_a_missing_package_is_named_with_its_extra(
    blobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtra, match=r"logging to TensorBoard needs tensorboard; pip install 'ushape\[track\]'"):
        fit_tiny(blobs, tmp_path / "run", {**SHORT, "train.loggers": ["tensorboard"]})
    assert not (tmp_path / "run").exists()


def test_an_unknown_logger_is_refused(blobs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.loggers.*'tensorboard' or 'mlflow'"):
        fit_tiny(blobs, tmp_path / "run", {"train.loggers": ["wandb"]})
