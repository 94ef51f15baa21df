"""`make sagemaker` and what looks after its jobs, against a server that speaks AWS's interface."""

import gzip
import hashlib
import json
import os
import subprocess
import tarfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from launchers.sagemaker import aws
from launchers.sagemaker.experiment import Experiment
from launchers.sagemaker.rehearsal import lay
from launchers.sagemaker.settings import from_environment
from tests.engines.aws import REGION, Cloud
from tests.launchers.conftest import SECRET, User, watched
from tests.launchers.sagemaker.conftest import BUCKET, IMAGE
from tests.launchers.sagemaker.test_train import train

DEMO = ["sagemaker", "EXP=demo", "JOB_NAME=demo-1"]
# what the server forgets of a request, or answers in words of its own
FORGOTTEN = {"Environment", "AlgorithmSpecification", "Tags"}


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command said."""
    assert done.returncode != 0, done.stdout
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    return line


def stored(uri: str) -> bytes:
    bucket, key = aws.split(uri)
    return boto3.client("s3", region_name=REGION).get_object(Bucket=bucket, Key=key)["Body"].read()


def sources(request: dict[str, Any]) -> dict[str, str]:
    return {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in request["InputDataConfig"]}


def test_a_job_is_submitted_as_it_was_shown(user: User, cloud: Cloud, corpus_file: Path) -> None:
    words = ["ARGS=--trainer.max_epochs 3 --data.task 'superdiagnostic'", "SPOT=1", "TAGS=project=ecg", "TIME=2:00:00"]
    shown = user.make(*DEMO, *words, "DRY_RUN=1")
    assert shown.returncode == 0, shown.stderr
    assert not cloud.requests
    assert not [path for path in cloud.stored if path.startswith(f"/{BUCKET}/")]
    request = json.loads(shown.stdout)

    done = user.make(*DEMO, *words)
    assert done.returncode == 0, done.stderr
    assert "at most 2 instance hours (1 x 2:00:00) of ml.g5.xlarge (spot)" in done.stdout
    assert cloud.asked("CreateTrainingJob") == [request]
    service = boto3.client("sagemaker", region_name=REGION)
    described = service.describe_training_job(TrainingJobName="demo-1")
    assert {name: described[name] for name in set(request) - FORGOTTEN} == {
        name: request[name] for name in set(request) - FORGOTTEN
    }
    assert service.list_tags(ResourceArn=described["TrainingJobArn"])["Tags"] == request["Tags"]

    assert request["HyperParameters"] == {
        "config": "demo",
        "data.task": "superdiagnostic",
        "trainer.max_epochs": "3",
    }
    places = sources(request)
    assert stored(f"{places['data']}demo_100hz.h5") == corpus_file.read_bytes()
    config = yaml.safe_load(stored(f"{places['config']}demo.yaml"))
    assert config["trainer"]["max_epochs"] == 3
    assert b"projection/__main__.py" in gzip.decompress(stored(f"{places['code']}code.tar.gz"))


def test_what_is_there_is_not_uploaded_again(user: User, cloud: Cloud) -> None:
    first = user.make("sagemaker", "EXP=demo")
    assert first.returncode == 0, first.stderr
    assert "demo_100hz.h5: uploaded to" in first.stdout
    cloud.stored.clear()
    second = user.make("sagemaker", "EXP=demo", "ARGS=--seed_everything 1")
    assert second.returncode == 0, second.stderr
    assert "demo_100hz.h5: is already in" in second.stdout
    assert [path for path in cloud.stored if "/data/" in path or "/code/" in path] == []
    one, other = cloud.asked("CreateTrainingJob")
    assert one["TrainingJobName"] != other["TrainingJobName"]
    assert sources(one)["data"] == sources(other)["data"]


def test_large_files_go_up_in_parts(
    user: User, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REGION", REGION)
    file = tmp_path / "large.h5"
    file.write_bytes(os.urandom(40_000_000))
    uri = f"s3://{BUCKET}/data/{aws.sha256(file)}/large.h5"
    assert aws.upload(file, uri, from_environment())
    assert sum("partNumber=" in path for path in cloud.stored) == 3
    assert hashlib.sha256(stored(uri)).hexdigest() == aws.sha256(file)
    assert not aws.upload(file, uri, from_environment())


def test_a_stopped_job_goes_on_as_another(user: User, cloud: Cloud) -> None:
    assert user.make(*DEMO, "SPOT=1", "TAGS=project=ecg", "ARGS=--trainer.max_epochs 3").returncode == 0
    assert "demo-1 is Completed; only jobs that failed" in complaint(user.make("sagemaker-resume", "JOB=demo-1"))
    cloud.states["demo-1"] = {"TrainingJobStatus": "Stopped"}
    assert "demo-1 has saved no state in s3://" in complaint(user.make("sagemaker-resume", "JOB=demo-1"))
    key = "projection/jobs/demo-1/checkpoints/checkpoints/last.ckpt"
    boto3.client("s3", region_name=REGION).put_object(Bucket=BUCKET, Key=key, Body=b"state")
    done = user.make("sagemaker-resume", "JOB=demo-1")
    assert done.returncode == 0, done.stderr
    first, second = cloud.asked("CreateTrainingJob")
    assert second["TrainingJobName"] != first["TrainingJobName"]
    changed = FORGOTTEN | {"TrainingJobName"}
    assert {name: second.get(name) for name in set(first) - changed} == {
        name: first[name] for name in set(first) - changed
    }
    assert second["Tags"] == first["Tags"]


def test_a_changed_configuration_of_equal_length_is_uploaded(user: User, cloud: Cloud) -> None:
    assert user.make(*DEMO, "ARGS=--trainer.max_epochs 5").returncode == 0
    user.make(*DEMO, "ARGS=--trainer.max_epochs 6")
    config = stored(f"{sources(cloud.asked('CreateTrainingJob')[1])['config']}demo.yaml")
    assert yaml.safe_load(config)["trainer"]["max_epochs"] == 6


def test_equal_data_of_two_names_stay_apart(user: User, cloud: Cloud) -> None:
    for experiment in ("demo", "tiny"):
        assert user.make("sagemaker", f"EXP={experiment}").returncode == 0
    folders = [sources(request)["data"] for request in cloud.asked("CreateTrainingJob")]
    found = [boto3.client("s3", region_name=REGION).list_objects_v2(Bucket=BUCKET, Prefix=aws.split(each)[1])
             for each in folders]  # fmt: skip
    assert [len(listing["Contents"]) for listing in found] == [1, 1]


def test_long_arguments_and_lists_that_grow_are_in_the_configuration(user: User, cloud: Cloud) -> None:
    net = json.dumps({"class_path": "projection.models.CNN1d", "init_args": {"widths": [8] * 80}})
    summary = "lightning.pytorch.callbacks.ModelSummary"
    words = f"--model.init_args.net '{net}' --trainer.callbacks+ {summary} --trainer.callbacks.max_depth 2"
    done = user.make(*DEMO, f"ARGS={words}")
    assert done.returncode == 0, done.stderr
    (request,) = cloud.asked("CreateTrainingJob")
    assert request["HyperParameters"] == {"config": "demo", "model.init_args.net": net}
    config = yaml.safe_load(stored(f"{sources(request)['config']}demo.yaml"))
    assert config["trainer"]["callbacks"][0]["class_path"] == summary


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["EXP=nope"], "there is no configs/nope.yaml; experiments: benchmark/all benchmark/diagnostic"),
        (["EXP=../tiny"], "EXP is the name of an experiment"),
        (["EXP=exp"], "which configs/exp.yaml names; `make data EXP=exp` makes it"),
        (["EXP=tiny", "ARGS=--model.wdiths 3"], "configs/tiny.yaml with these ARGS is not accepted: "),
        (["EXP=tiny", "ARGS=--trainer.max_epochs"], "--trainer.max_epochs has no value in ARGS"),
        (["EXP=tiny", "ARGS=; touch pwned"], "ARGS are pairs such as --trainer.max_epochs 5; found: ;"),
        (["EXP=tiny", "ARGS=--trainer.max_epochs '$(touch pwned)'"], "configs/tiny.yaml with these ARGS is not"),
        (["EXP=tiny", "ROLE=arn:aws:iam::123456789012:role/nobody"], "there is no role arn:aws:iam::"),
        (["EXP=tiny", "BUCKET=no-such-bucket"], "there is no bucket no-such-bucket"),
        (["EXP=tiny", f"IMAGE={IMAGE}-none"], "latest-none; `make sagemaker-image` makes it"),
        (["EXP=tiny", f"IMAGE={IMAGE.replace('projection', 'other')}"], "there is no image "),
        (["EXP=tiny", "TIME=soon"], "TIME is a time such as"),
        (["EXP=tiny", "ARGS=--ckpt_path data/corpus.h5"], "ckpt_path names data/corpus.h5, which"),
        (["EXP=tiny", "INSTANCE=ml.g5.huge"], "ResourceConfig.InstanceType: 'ml.g5.huge' is none of ml.g5."),
        (["EXP=tiny", 'REQUEST={"InputDataConfig": []}'], "InputDataConfig: must be at least 1 long"),
        (["EXP=tiny", "SPOT=1", "WAIT=1:00:00"], "MaxWaitTimeInSeconds: 3600 is less than the run time"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_cannot_run_is_refused_before_anything_is_uploaded(
    user: User, cloud: Cloud, words: list[str], told: str
) -> None:
    done = user.make("sagemaker", *words)
    assert done.returncode != 0, done.stdout
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("sagemaker: ")
    assert not cloud.asked("CreateTrainingJob")
    assert not [path for path in cloud.stored if path.startswith(f"/{BUCKET}/")]
    assert not list(user.home.rglob("pwned"))


def test_what_is_not_set_is_named(user: User) -> None:
    (user.home / "launchers" / "sagemaker" / "site.env").write_text("")
    told = complaint(user.make("sagemaker", "EXP=tiny", f"REGION={REGION}"))
    assert told.startswith("sagemaker: not set: ROLE (the ARN of a role), BUCKET (")
    assert told.endswith("IMAGE (what `make sagemaker-image` said); put it into launchers/sagemaker/site.env")


def test_data_larger_than_the_disk_are_refused(user: User, cloud: Cloud) -> None:
    big = user.home / "data" / "big.h5"
    with big.open("wb") as file:
        file.truncate(2 * 10**9)
    try:
        told = user.make(
            "sagemaker", "EXP=tiny", "INSTANCE=ml.m5.large", "VOLUME=2", "ARGS=--data.path data/big.h5"
        ).stderr
    finally:
        big.unlink()
    assert "VolumeSizeInGB: the data have 2.0 GB; set VOLUME to more" in told


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"REGION": "", "AWS_CONFIG_FILE": "/none"}, "REGION is not set; put it into launchers/sagemaker/site.env"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 'Could not connect to the endpoint URL: "http://127.0.0.1:9/'),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SHARED_CREDENTIALS_FILE": "/none"}, "Unable to locate credentials; see `"),
    ],
)  # fmt: skip
def test_an_account_that_cannot_be_reached_is_told_in_one_line(
    user: User, variables: dict[str, str], told: str
) -> None:
    if "REGION" in variables:
        (user.home / "launchers" / "sagemaker" / "site.env").write_text("")
    assert told in complaint(user.make("sagemaker-status", **variables))


@pytest.mark.parametrize("target", ["status", "logs", "stop", "fetch"])
def test_jobs_that_are_none_are_named(user: User, target: str) -> None:
    for job in ("nobody", "$(touch pwned)"):
        told = complaint(user.make(f"sagemaker-{target}", f"JOB={job}"))
        assert told == f"sagemaker: there is no job {job} in {REGION}; `make sagemaker-status` lists them"
    if target != "status":
        assert "JOB is the name of a job" in complaint(user.make(f"sagemaker-{target}"))
    assert not list(user.home.rglob("pwned"))


def test_jobs_are_listed_described_followed_and_ended(user: User, cloud: Cloud) -> None:
    assert user.make(*DEMO).returncode == 0
    assert "Completed   demo-1" in user.make("sagemaker-status").stdout
    cloud.states["demo-1"] = {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: projection fit: no"}
    described = user.make("sagemaker-status", "JOB=demo-1").stdout
    assert "demo-1: Failed" in described
    assert "reason: AlgorithmError: projection fit: no" in described
    assert "demo-1 has ended already: Failed" in complaint(user.make("sagemaker-stop", "JOB=demo-1"))

    assert "demo-1 has said nothing" in user.make("sagemaker-logs", "JOB=demo-1").stdout
    said(["algo-1"], "+ python -m projection fit", "epoch=0 step=3")
    assert user.make("sagemaker-logs", "JOB=demo-1").stdout == "+ python -m projection fit\nepoch=0 step=3\n"

    cloud.states["demo-1"] = {"TrainingJobStatus": "InProgress"}
    command = ["make", "sagemaker-logs", "JOB=demo-1"]
    with subprocess.Popen(command, cwd=user.home, env=user.surroundings(), stdout=subprocess.PIPE, text=True) as follow:
        assert follow.stdout
        next(line for line in follow.stdout if line == "epoch=0 step=3\n")
        assert user.make("sagemaker-stop", "JOB=demo-1").returncode == 0
        said(["algo-1"], "the last words", new=False)
        cloud.states["demo-1"] = {"TrainingJobStatus": "Stopped"}
        assert follow.stdout.read() == "the last words\n"
    assert cloud.asked("StopTrainingJob") == [{"TrainingJobName": "demo-1"}]


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


def test_results_come_home_as_a_run_folder(
    user: User, cloud: Cloud, tmp_path: Path, tiny_experiment: Experiment
) -> None:
    assert user.make(*DEMO).returncode == 0
    assert "demo-1 (Completed) ended without saving anything in s3://" in complaint(
        user.make("sagemaker-fetch", "JOB=demo-1")
    )
    prefix = tmp_path / "ml"
    lay(prefix, replace(tiny_experiment, hyperparameters={"config": "tiny", "data.task": "rhythm"}))
    assert train(prefix)[0] == 0
    # what the platform does when a job has ended
    for folder, name in (("model", "model"), ("output/data", "output")):
        with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as archive:
            archive.add(prefix / folder, arcname=".")
        key = f"projection/jobs/demo-1/output/{name}.tar.gz"
        boto3.client("s3", region_name=REGION).upload_file(str(tmp_path / f"{name}.tar.gz"), BUCKET, key)
    done = user.make("sagemaker-fetch", "JOB=demo-1")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "demo" / "demo-1"
    assert [path.name for path in run.parent.iterdir()] == ["demo-1"]
    assert "is there already" in complaint(user.make("sagemaker-fetch", "JOB=demo-1"))

    # the run is one like any other
    command = ["launchers/local.sh", "test", "--config", str(run / "config.yaml"), "--ckpt_path", "best"]
    again = [*command, "--data.path", str(tiny_experiment.data[0])]
    subprocess.run(again, cwd=user.home, env=user.surroundings(), check=True, capture_output=True)
    (evaluated,) = run.glob("test-*/results.json")
    fetched = json.loads((run / "results.json").read_text())
    assert json.loads(evaluated.read_text())["test/auroc"] == fetched["test/auroc"]


def test_what_a_stopped_job_had_saved_comes_home(user: User, cloud: Cloud, tmp_path: Path) -> None:
    assert user.make(*DEMO).returncode == 0
    cloud.states["demo-1"] = {"TrainingJobStatus": "Stopped"}
    storage = boto3.client("s3", region_name=REGION)
    names = ["config.yaml", "checkpoints/last.ckpt", "checkpoints/last.ckpt.sagemaker-uploaded", "../../escaped"]
    for name in names:
        storage.put_object(Bucket=BUCKET, Key=f"projection/jobs/demo-1/checkpoints/{name}", Body=name.encode())
    # the platform packs what there is of stopped jobs as well
    (tmp_path / "best.ckpt").write_text("best")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "best.ckpt", arcname="checkpoints/best.ckpt")
    storage.upload_file(str(tmp_path / "model.tar.gz"), BUCKET, "projection/jobs/demo-1/output/model.tar.gz")
    done = user.make("sagemaker-fetch", "JOB=demo-1")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "demo" / "demo-1"
    assert (run / "checkpoints" / "last.ckpt").read_text() == "checkpoints/last.ckpt"
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    assert not list(tmp_path.rglob("escaped"))


def test_no_key_leaves_the_machine(user: User, cloud: Cloud) -> None:
    with watched(SECRET) as shown:
        done = user.make(*DEMO, "ARGS=--config configs/presets/wandb.yaml")
    assert done.returncode == 0, done.stderr
    assert not shown
    assert SECRET not in done.stdout + done.stderr + json.dumps(cloud.requests)
    storage = boto3.client("s3", region_name=REGION)
    keys = [item["Key"] for item in storage.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert len(keys) == 3
    for key in keys:
        content = stored(f"s3://{BUCKET}/{key}")
        assert SECRET.encode() not in (gzip.decompress(content) if key.endswith(".gz") else content)
    (request,) = cloud.asked("CreateTrainingJob")
    assert set(request["Environment"]) == {"PROJECTION_GIT_COMMIT", "PROJECTION_RUN_ID"}


def test_no_account_or_region_is_in_the_repository() -> None:
    pattern = (
        r"[^0-9a-f.][0-9]{12}[^0-9a-f]|(us|eu|ap|sa|ca)-(north|south|east|west|central)[a-z]*-[0-9]|AKIA[0-9A-Z]{16}"
    )
    command = ["git", "grep", "-InE", pattern, "--", ".", ":!tests", ":!constraints.txt"]
    found = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert found.returncode in (0, 1), found.stderr
    assert found.stdout == ""
