"""A key that a user exports reaches the training, and nothing that others can read."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines.cluster import Cluster
from tests.launchers.conftest import SECRET, User, files_with, watched

_PROBE = """\
import hashlib, os
import lightning.pytorch

print("key", hashlib.sha256(os.environ["WANDB_API_KEY"].encode()).hexdigest())


class Wait(lightning.pytorch.Callback):
    pass
"""


@pytest.fixture
def careless(user: User) -> User:
    """A user with keys in the environment, in site.env and in .env."""
    user.environment |= {"https_proxy": f"http://me:{SECRET}@127.0.0.1:9"}
    site = user.home / "launchers" / "slurm" / "site.env"
    site.write_text(f"export WANDB_API_KEY={SECRET}\n")
    (user.home / "probe.py").write_text(_PROBE)
    yield user
    for file in (site, user.home / "probe.py"):
        file.unlink()


@pytest.mark.slow
def test_a_key_is_seen_by_the_training_and_by_nobody_else(careless: User, cluster: Cluster) -> None:
    arguments = "--config configs/presets/wandb.yaml --trainer.callbacks+ probe.Wait"
    with watched(SECRET) as shown:
        job = careless.submit("EXP=tiny", f"ARGS={arguments}")
        assert cluster.wait(job, "COMPLETED", "FAILED") == "COMPLETED", careless.log(job, "err")
    digest = subprocess.run(["sha256sum"], input=SECRET, check=True, capture_output=True, text=True).stdout.split()[0]
    assert f"key {digest}" in careless.log(job)
    folder = Path(careless.environment["RUNS_PATH"])
    assert list(folder.glob(f"tiny/{job}/wandb/offline-*"))
    assert not shown
    assert not files_with(SECRET, folder, careless.home / "logs", careless.home / "configs")
    assert SECRET not in cluster.ask("scontrol", "show", "job", job)


def test_the_search_finds_what_is_shown(tmp_path: Path) -> None:
    # another one: tests that run beside this one search for the first
    shouted = SECRET[::-1]
    with watched(shouted) as shown:
        subprocess.run([sys.executable, "-c", "import time; time.sleep(1)", shouted], check=True)
    assert shown
    (tmp_path / "plain").write_text(shouted)
    subprocess.run(["gzip", tmp_path / "plain"], check=True)
    assert files_with(shouted, tmp_path) == [tmp_path / "plain.gz"]
