"""Looking after jobs, against a server that speaks AWS's interface."""

import json
import time
from datetime import datetime
from pathlib import Path

import boto3
import pytest

from launchers.sagemaker import jobs
from launchers.sagemaker.container import Place
from projection.__main__ import main as projection
from projection.resolve import resolve
from tests.conftest import ROOT
from tests.engines.aws import REGION, Cloud
from tests.launchers.conftest import User
from tests.launchers.sagemaker.conftest import BUCKET, Command, RefusedError, put
from tests.run_files import results

pytestmark = pytest.mark.slow  # AWS's interface

DEMO = {"EXP": "demo", "JOB_NAME": "demo-1"}
JOB = {"JOB": "demo-1"}


def test_a_stopped_job_goes_on_as_another(command: Command, cloud: Cloud) -> None:
    more = '{"RetryStrategy": {"MaximumRetryAttempts": 2}}'
    command("submit", "--trainer.max_epochs", "3", **DEMO, SPOT="1", TAGS="project=ecg", REQUEST=more, KMS_KEY="k")
    (first,) = cloud.asked("CreateTrainingJob")
    # the server forgets these
    environment = {name: first[name] for name in ("Environment", "AlgorithmSpecification", "RetryStrategy")}
    for running in ("Completed", "InProgress", "Stopping"):
        cloud.states["demo-1"] = {"TrainingJobStatus": running}
        with pytest.raises(RefusedError, match=f"demo-1 is {running}; only jobs that failed"):
            command("resume", **JOB)
    cloud.states["demo-1"] = {"TrainingJobStatus": "Stopped", **environment}
    with pytest.raises(RefusedError, match="demo-1 has saved no state in s3://"):
        command("resume", **JOB)
    key = "projection/jobs/demo-1/checkpoints/checkpoints/last.ckpt"
    boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key=key, Body=b"state")
    assert "Submitted demo-20" in command("resume", **JOB)
    _, second = cloud.asked("CreateTrainingJob")
    assert second.pop("TrainingJobName") != first.pop("TrainingJobName")
    # above all the folder of the state, and the id of the run; the server adds defaults
    defaults = {"EnableInterContainerTrafficEncryption": False, "EnableNetworkIsolation": False}
    assert second == first | defaults


def test_recent_jobs_are_listed_newest_first(command: Command, cloud: Cloud) -> None:
    for name in ("one", "two"):
        command("submit", EXP="demo", JOB_NAME=name)
    lines = command("status").splitlines()
    assert sorted(line.split()[-2:] for line in lines) == [["Completed", "one"], ["Completed", "two"]]
    assert datetime.strptime(lines[0][:16], "%Y-%m-%d %H:%M")
    # the server itself puts them in no order
    newest = {"SortBy": "CreationTime", "SortOrder": "Descending"}
    assert cloud.asked("ListTrainingJobs") == [newest]


def test_the_newest_of_this_project_s_jobs_are_listed(
    command: Command, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_SHOWN", 2)
    for name in ("one", "two", "three"):
        command("submit", EXP="demo", JOB_NAME=name)
    command("submit", EXP="demo", JOB_NAME="another", PREFIX="another")
    listed = [line.split()[-1] for line in command("status").splitlines()]
    assert len(set(listed[:2]) & {"one", "two", "three"}) == 2
    assert command("status").splitlines()[2:] == ["These are the newest 2; ALL=1 lists all."]
    assert sorted(line.split()[-1] for line in command("status", ALL="1").splitlines()) == ["one", "three", "two"]
    assert [line.split()[-1] for line in command("status", PREFIX="another").splitlines()] == ["another"]
    assert len(command("status", BUCKET="", ALL="1").splitlines()) == 4


def test_what_is_typed_when_a_job_goes_on_counts(command: Command, cloud: Cloud) -> None:
    command("submit", "--trainer.max_epochs", "3", **DEMO, INSTANCE="ml.g5.xlarge", TIME="1:00:00")
    key = "projection/jobs/demo-1/checkpoints/checkpoints/last.ckpt"
    boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key=key, Body=b"state")
    cloud.states["demo-1"] = {"TrainingJobStatus": "Stopped"}
    longer = {"TYPED": "JOB TIME INSTANCE", "TIME": "5:00:00", "INSTANCE": "ml.p4d.24xlarge"}
    words = ["--trainer.max_epochs", "9"]
    with pytest.raises(RefusedError, match="of at most 5 instance hours, more than HOURS=4"):
        command("resume", *words, **JOB, **longer, HOURS="4")
    with pytest.raises(RefusedError, match=r"InstanceType: 'ml\.huge' is none of"):
        command("resume", **JOB, TYPED="INSTANCE", INSTANCE="ml.huge")
    with pytest.raises(RefusedError, match="has its files already; ARGS can only change settings"):
        command("resume", "--config", "configs/exp.yaml", **JOB)
    command("resume", *words, **JOB, **longer)
    first, second = cloud.asked("CreateTrainingJob")
    assert second["StoppingCondition"] == {"MaxRuntimeInSeconds": 5 * 3600}
    assert second["ResourceConfig"] == first["ResourceConfig"] | {"InstanceType": "ml.p4d.24xlarge"}
    assert second["HyperParameters"] == first["HyperParameters"] | {"trainer.max_epochs": "9"}


def test_a_run_is_continued_by_one_job_at_a_time(command: Command, cloud: Cloud) -> None:
    command("submit", **DEMO)
    command("submit", EXP="demo", JOB_NAME="demo-2")
    key = "projection/jobs/demo-1/checkpoints/checkpoints/last.ckpt"
    boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key=key, Body=b"state")
    cloud.states["demo-1"] = {"TrainingJobStatus": "Stopped"}
    command("resume", **JOB)
    second = cloud.asked("CreateTrainingJob")[-1]["TrainingJobName"]
    cloud.running.add(second)
    with pytest.raises(RefusedError, match=f"{second} goes on from the state of demo-1 already; `make sagemaker-stop"):
        command("resume", **JOB)
    cloud.running.clear()
    command("resume", **JOB)


def test_a_job_is_described(command: Command, cloud: Cloud) -> None:
    command("submit", **DEMO, COUNT="3")
    metrics = [{"MetricName": "test/auroc", "Value": 0.93046, "Timestamp": 0}]
    ended = {"TrainingJobStatus": "Failed", "SecondaryStatus": "Failed", "FailureReason": "AlgorithmError: no"}
    times = {"TrainingTimeInSeconds": 100, "BillableTimeInSeconds": 40}
    cloud.states["demo-1"] = {**ended, **times, "FinalMetricDataList": metrics}
    assert command("status", **JOB).splitlines() == [
        "demo-1: Failed (Failed)",
        "  reason: AlgorithmError: no",
        "  3 x ml.g5.xlarge",
        "  trained 100 s, billed 40 s",
        "  test/auroc = 0.9305",
    ]


def said(hosts: list[str], *lines: str, new: bool = True) -> None:
    """Put into CloudWatch what the containers of demo-1 said."""
    store, group = boto3.client("logs", region_name=REGION), "/aws/sagemaker/TrainingJobs"
    if new:
        store.create_log_group(logGroupName=group)
    for host in hosts:
        stream = f"demo-1/{host}-1700000000"
        if new:
            store.create_log_stream(logGroupName=group, logStreamName=stream)
        now = int(time.time() * 1000)
        events = [{"timestamp": now + position, "message": line} for position, line in enumerate(lines)]
        store.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def test_a_job_is_followed_to_its_end(command: Command, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    command("submit", **DEMO)
    assert "demo-1 has said nothing" in command("logs", **JOB)
    said(["algo-1"], "+ python -m projection fit", "epoch=0 step=3")
    cloud.states["demo-1"] = {"TrainingJobStatus": "InProgress"}

    def end(seconds: float) -> None:
        """What happens while the command waits: the last words, and only then the end."""
        said(["algo-1"], "the last words", new=False)
        cloud.states["demo-1"] = {"TrainingJobStatus": "Stopped"}

    monkeypatch.setattr(jobs.time, "sleep", end)
    assert command("logs", **JOB).splitlines() == ["+ python -m projection fit", "epoch=0 step=3", "the last words"]


def test_lines_of_several_machines_say_whose_they_are(command: Command, cloud: Cloud) -> None:
    command("submit", **DEMO, COUNT="2")
    said(["algo-1", "algo-2"], "ready")
    assert sorted(command("logs", **JOB).splitlines()) == ["[algo-1] ready", "[algo-2] ready"]


def test_a_job_is_told_to_end_once(command: Command, cloud: Cloud) -> None:
    command("submit", **DEMO)
    for ended in ("Completed", "Failed", "Stopped"):
        cloud.states["demo-1"] = {"TrainingJobStatus": ended}
        with pytest.raises(RefusedError, match=f"demo-1 has ended already: {ended}"):
            command("stop", **JOB)
    cloud.states["demo-1"] = {"TrainingJobStatus": "InProgress"}
    assert "Told demo-1 to end" in command("stop", **JOB)
    assert cloud.asked("StopTrainingJob") == [{"TrainingJobName": "demo-1"}]


def test_results_come_home_as_a_run_folder(
    command: Command, cloud: Cloud, tmp_path: Path, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command("submit", **DEMO)
    with pytest.raises(RefusedError, match=r"demo-1 \(Completed\) ended without saving anything in s3://"):
        command("fetch", **JOB)
    prefix = tmp_path / "ml"
    prefix.mkdir()
    (prefix / "checkpoints").symlink_to(fitted)
    Place(prefix, ROOT).deliver()
    put(prefix / "model", "model", "demo-1")
    put(prefix / "output" / "data", "output", "demo-1")
    command("fetch", **JOB)
    run = tmp_path / "runs" / "demo" / "demo-1"
    assert [path.name for path in run.parent.iterdir()] == ["demo-1"]
    assert [path.name for path in run.parents[1].iterdir()] == ["demo"]
    with pytest.raises(RefusedError, match="is there already"):
        command("fetch", **JOB)

    # the run is one like any other
    monkeypatch.setattr("sys.argv", ["projection"])
    projection(["test", "--config", str(run / "config.yaml"), "--ckpt_path", "best"])
    (evaluated,) = run.glob("test-*")
    assert results(evaluated)["test/auroc"] == pytest.approx(results(run)["test/auroc"], abs=1e-6)


def test_what_a_stopped_job_had_saved_comes_home(command: Command, cloud: Cloud, tmp_path: Path) -> None:
    command("submit", **DEMO)
    cloud.states["demo-1"] = {"TrainingJobStatus": "Stopped"}
    storage = boto3.client("s3", region_name=REGION)
    names = ["config.yaml", "checkpoints/last.ckpt", "checkpoints/last.ckpt.sagemaker-uploaded", "../../escaped"]
    for name in names:
        storage.put_object(Bucket=BUCKET, Key=f"projection/jobs/demo-1/checkpoints/{name}", Body=name.encode())
    # the platform packs what there is of stopped jobs as well
    (tmp_path / "model" / "checkpoints").mkdir(parents=True)
    (tmp_path / "model" / "checkpoints" / "best.ckpt").write_text("best")
    put(tmp_path / "model", "model", "demo-1")
    command("fetch", **JOB)
    run = tmp_path / "runs" / "demo" / "demo-1"
    assert (run / "config.yaml").read_text() == "config.yaml"
    assert (run / "checkpoints" / "last.ckpt").read_text() == "checkpoints/last.ckpt"
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert not list(tmp_path.rglob("escaped"))


def test_runs_of_stacked_experiments_come_home_to_where_fit_would_put_them(
    command: Command,
    cloud: Cloud,
    tmp_path: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(home)
    storage, folders = boto3.client("s3", region_name=REGION), []
    for experiment in ("tiny+nets/s4", "tiny+nets/lstm+presets/ema"):
        command("submit", EXP=experiment)
        job = cloud.asked("CreateTrainingJob")[-1]["TrainingJobName"]
        storage.put_object(Bucket=BUCKET, Key=f"projection/jobs/{job}/checkpoints/config.yaml", Body=b"")
        cloud.states[job] = {"TrainingJobStatus": "Stopped"}
        told = command("fetch", JOB=job)
        capfd.readouterr()
        resolve([experiment])
        folders.append(tmp_path / json.loads(capfd.readouterr().out)["folder"] / job)
        assert f"Run folder:  {folders[-1]}\n" in told
        assert (folders[-1] / "config.yaml").exists()
        # what resumes it is named likewise
        assert f"Submitted {job.rpartition('-20')[0]}-20" in command("resume", JOB=job)
    runs = tmp_path / "runs"
    assert [folder.parent for folder in folders] == [runs / "tiny+nets" / "s4", runs / "tiny+nets" / "lstm"]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"REGION": ""}, "REGION is not set; put it into launchers/sagemaker/site.env"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 'Could not connect to the endpoint URL: "http://127.0.0.1:9/'),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SHARED_CREDENTIALS_FILE": "/none"}, "Unable to locate credentials; see `"),
    ],
)
def test_an_account_that_cannot_be_reached_is_told_in_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # it remembers credentials
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RefusedError) as refused:
        command("status", **variables)
    assert told in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["status", "logs", "stop", "resume", "fetch"])
def test_jobs_that_are_none_are_named(command: Command, name: str) -> None:
    with pytest.raises(RefusedError) as refused:
        command(name, JOB="nobody")
    told = f"sagemaker: there is no job nobody in {REGION}; `make sagemaker-status` lists them\n"
    assert str(refused.value) == told
    if name != "status":
        with pytest.raises(RefusedError, match="JOB is the name of a job"):
            command(name)


def test_the_name_of_a_job_is_not_executed(user: User) -> None:
    done = user.make("sagemaker-logs", "JOB=$(touch pwned)")
    assert "sagemaker: there is no job $(touch pwned) in" in done.stderr
    assert not list(user.home.rglob("pwned"))
