"""What is submitted, uploaded and refused, against a server that speaks AWS's interface."""

import gzip
import hashlib
import io
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from launchers.sagemaker import aws
from launchers.sagemaker.container import Place
from launchers.sagemaker.settings import Settings
from tests.conftest import ROOT
from tests.engines.aws import REGION, Cloud
from tests.launchers.conftest import SECRET, User, watched
from tests.launchers.sagemaker.conftest import BUCKET, IMAGE, Command, RefusedError

pytestmark = pytest.mark.slow  # AWS's interface

DEMO = {"EXP": "demo", "JOB_NAME": "demo-1"}
BORING = "lightning.pytorch.demos.boring_classes.BoringModel"


def stored(uri: str) -> bytes:
    bucket, key = aws.split(uri)
    return boto3.client("s3", region_name=REGION).get_object(Bucket=bucket, Key=key)["Body"].read()


def sources(request: dict[str, Any]) -> dict[str, str]:
    return {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in request["InputDataConfig"]}


def test_a_job_is_submitted_as_it_was_shown(user: User, cloud: Cloud, few_records: Path) -> None:
    # through make and the shell, with keys that nobody may see
    words = ["sagemaker", "EXP=demo", "JOB_NAME=demo-1", "SPOT=1", "TAGS=project=ecg", "TIME=2:00:00"]
    preset = "--config configs/presets/wandb.yaml"
    words += [f"ARGS={preset} --trainer.max_epochs 3 --data.labels 'superdiagnostic'"]
    shown = user.make(*words, "DRY_RUN=1")
    assert shown.returncode == 0, shown.stderr
    assert not cloud.requests
    assert not [path for path in cloud.stored if path.startswith(f"/{BUCKET}/")]
    request = json.loads(shown.stdout)

    with watched(SECRET) as seen:
        done = user.make(*words)
    assert done.returncode == 0, done.stderr
    assert cloud.asked("CreateTrainingJob") == [request]
    assert request["HyperParameters"] == {"config": "demo", "data.labels": "superdiagnostic", "trainer.max_epochs": "3"}
    assert set(request["Environment"]) == {"PROJECTION_GIT_COMMIT", "PROJECTION_RUN_ID"}
    places = sources(request)
    assert stored(f"{places['data']}demo_100hz.h5") == few_records.read_bytes()
    config = yaml.safe_load(stored(f"{places['config']}demo.yaml"))
    assert config["trainer"]["max_epochs"] == 3
    assert b"projection/__main__.py" in gzip.decompress(stored(f"{places['code']}code.tar.gz"))

    assert not seen
    assert SECRET not in done.stdout + done.stderr + json.dumps(cloud.requests)
    storage = boto3.client("s3", region_name=REGION)
    contents = [stored(f"s3://{BUCKET}/{item['Key']}") for item in storage.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert len(contents) == 3
    for content in contents:
        assert SECRET.encode() not in (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content)


def test_what_is_submitted_is_announced_and_found_again(command: Command, cloud: Cloud) -> None:
    told = command("submit", **DEMO, SPOT="1", TAGS="project=ecg", TIME="2:00:00", COUNT="3").splitlines()
    assert "Submitted demo-1: at most 6 instance hours (3 x 2:00:00) of ml.g5.xlarge (spot)." in told
    assert "  waiting for spot instances included, it is over after 4:00:00 at the latest" in told
    (request,) = cloud.asked("CreateTrainingJob")
    service = boto3.client("sagemaker", region_name=REGION)
    described = service.describe_training_job(TrainingJobName="demo-1")
    # what the server forgets of a request, or answers in words of its own
    for name in set(request) - {"Environment", "AlgorithmSpecification", "Tags"}:
        assert described[name] == request[name]
    assert service.list_tags(ResourceArn=described["TrainingJobArn"])["Tags"] == request["Tags"]


def test_experiments_and_seeds_are_a_job_each(command: Command, cloud: Cloud) -> None:
    lists = {"EXP": "tiny,tiny+nets/s4", "SEEDS": "0,1", "TIME": "2:00:00"}
    shown = json.loads(command("submit", "--trainer.max_epochs", "3", **lists, DRY_RUN="1"))
    told = command("submit", "--trainer.max_epochs", "3", **lists)
    assert "4 jobs of at most 8 instance hours.\n" in told
    requests = cloud.asked("CreateTrainingJob")
    names = [request["TrainingJobName"] for request in requests]
    assert len(set(names)) == 4
    assert told.count("Submitted ") == 4
    given = [request["HyperParameters"] for request in requests]
    assert given == [request["HyperParameters"] for request in shown]
    assert [(each["config"], each["seed_everything"]) for each in given] == [
        *(("tiny", "0"), ("tiny", "1"), ("tiny+nets/s4", "0"), ("tiny+nets/s4", "1"))
    ]
    configs = [
        yaml.safe_load(stored(f"{sources(one)['config']}{one['HyperParameters']['config']}.yaml")) for one in requests
    ]
    assert [(config["seed_everything"], config["trainer"]["max_epochs"]) for config in configs] == [
        *((0, 3), (1, 3), (0, 3), (1, 3))
    ]
    assert len({sources(request)["data"] for request in requests}) == 1
    with pytest.raises(RefusedError, match="JOB_NAME=one names one job; EXP and SEEDS ask for several"):
        command("submit", **lists, JOB_NAME="one")


def test_what_could_cost_much_is_asked_for(command: Command, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    much = {"EXP": "tiny", "SEEDS": "0,1", "COUNT": "2", "TIME": "2-00:00:00"}
    told = r"2 jobs of at most 192 instance hours, more than HOURS=100"
    with pytest.raises(RefusedError, match=f"{told}; nothing was submitted"):
        command("submit", **much)
    terminal = io.StringIO("no\nyes\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    with pytest.raises(RefusedError, match=rf"{told}\. Submit\? \[y/N\] sagemaker: nothing was submitted"):
        command("submit", **much)
    assert not cloud.requests
    command("submit", **much)
    command("submit", **much, HOURS="192")
    assert len(cloud.asked("CreateTrainingJob")) == 4


def test_data_that_are_there_are_neither_needed_here_nor_uploaded(command: Command, cloud: Cloud, home: Path) -> None:
    words = ["--data.path", "data/elsewhere.h5"]
    there = {"EXP": "tiny", "DATA": "s3://hospital/ecg", "MODE": "FastFile"}
    with pytest.raises(RefusedError, match=r"there is no file s3://hospital/ecg/elsewhere\.h5"):
        command("submit", *words, **there)
    storage = boto3.client("s3", region_name=REGION)
    storage.create_bucket(Bucket="hospital", CreateBucketConfiguration={"LocationConstraint": REGION})
    storage.put_object(Bucket="hospital", Key="ecg/elsewhere.h5", Body=b"data")
    cloud.stored.clear()
    command("submit", *words, **there)
    (request,) = cloud.asked("CreateTrainingJob")
    assert sources(request)["data"] == "s3://hospital/ecg/elsewhere.h5"
    assert request["Environment"]["PROJECTION_DATA"] == "elsewhere.h5"
    assert request["InputDataConfig"][-1]["InputMode"] == "FastFile"
    assert not [path for path in cloud.stored if ".h5" in path]
    with pytest.raises(RefusedError, match=r"DATA is places such as s3://bucket/ptbxl_100hz\.h5; found: /data"):
        command("submit", EXP="tiny", DATA="/data")


def test_an_entry_point_of_ones_own_is_part_of_the_code(command: Command, cloud: Cloud) -> None:
    for named in ("containers/entrypoint.sh", "/opt/ml/code/containers/entrypoint.sh"):
        command("submit", EXP="tiny", ENTRYPOINT=named)
        assert (
            cloud.asked("CreateTrainingJob")[-1]["Environment"]["PROJECTION_ENTRYPOINT"] == "containers/entrypoint.sh"
        )
    with pytest.raises(RefusedError, match=r"ENTRYPOINT=README\.md is no executable file of the code"):
        command("submit", EXP="tiny", ENTRYPOINT="README.md")


def test_what_is_there_is_not_uploaded_again(command: Command, cloud: Cloud) -> None:
    assert "demo_100hz.h5: uploaded to" in command("submit", EXP="demo")
    cloud.stored.clear()
    assert "demo_100hz.h5: is already in" in command("submit", "--seed_everything", "1", EXP="demo")
    assert [path for path in cloud.stored if "/data/" in path or "/code/" in path] == []
    one, other = cloud.asked("CreateTrainingJob")
    assert one["TrainingJobName"] != other["TrainingJobName"]
    assert sources(one)["data"] == sources(other)["data"]


def test_data_are_known_by_all_of_their_content(command: Command, cloud: Cloud, home: Path) -> None:
    file, places = home / "data" / "other.h5", []
    # equal but for the last byte
    for end in (b"a", b"b"):
        file.write_bytes(bytes(2**20) + end)
        command("submit", "--data.path", "data/other.h5", EXP="tiny")
        places.append(sources(cloud.asked("CreateTrainingJob")[-1])["data"])
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        assert places[-1] == f"s3://{BUCKET}/projection/data/{digest}/other.h5/"
        assert stored(f"{places[-1]}other.h5") == file.read_bytes()
    file.unlink()


def test_what_was_cut_off_is_uploaded_again_and_encrypted_by_the_key(
    command: Command, cloud: Cloud, few_records: Path
) -> None:
    place = f"projection/data/{aws.sha256(few_records)}/demo_100hz.h5/demo_100hz.h5"
    storage = boto3.client("s3", region_name=REGION)
    storage.put_object(Bucket=BUCKET, Key=place, Body=b"half")
    command("submit", **DEMO, KMS_KEY="alias/ecg")
    assert storage.get_object(Bucket=BUCKET, Key=place)["Body"].read() == few_records.read_bytes()
    kept = [item["Key"] for item in storage.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert len(kept) == 3
    for key in kept:
        head = storage.head_object(Bucket=BUCKET, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "alias/ecg")


def test_large_files_go_up_in_parts(command: Command, cloud: Cloud, tmp_path: Path) -> None:
    command("status")
    file = tmp_path / "large.h5"
    file.write_bytes(os.urandom(40_000_000))
    uri = f"s3://{BUCKET}/data/{aws.sha256(file)}/large.h5"
    assert aws.upload(file, uri, Settings())
    assert sum("partNumber=" in path for path in cloud.stored) == 3
    assert hashlib.sha256(stored(uri)).hexdigest() == aws.sha256(file)
    assert not aws.upload(file, uri, Settings())


def test_a_changed_configuration_of_equal_length_is_uploaded(command: Command, cloud: Cloud) -> None:
    for epochs in ("5", "6"):
        command("submit", "--trainer.max_epochs", epochs, **DEMO)
    config = stored(f"{sources(cloud.asked('CreateTrainingJob')[1])['config']}demo.yaml")
    assert yaml.safe_load(config)["trainer"]["max_epochs"] == 6


def container(request: dict[str, Any], prefix: Path) -> Place:
    """Lay the hyperparameters and the channel of the configuration as the platform does."""
    bucket, folder = aws.split(sources(request)["config"])
    storage = boto3.client("s3", region_name=REGION)
    for item in storage.list_objects_v2(Bucket=bucket, Prefix=folder)["Contents"]:
        file = prefix / "input" / "data" / "config" / item["Key"].removeprefix(folder)
        file.parent.mkdir(parents=True)
        storage.download_file(bucket, item["Key"], str(file))
    (prefix / "input" / "config").mkdir()
    (prefix / "input" / "config" / "hyperparameters.json").write_text(json.dumps(request["HyperParameters"]))
    return Place(prefix, ROOT)


@pytest.mark.parametrize(
    ("experiment", "words", "name"),
    [
        ("tiny+nets/s4", [], "tiny+nets/s4"),
        ("tiny+nets/lstm+presets/ema", [], "tiny+nets/lstm"),
        ("third/deep", ["--config", "nets/s4.yaml", "--config=presets/ema.yaml"], "third/deep+nets/s4"),
        ("presets/debug", ["--model", BORING, "--data.path", "data/corpus.h5"], "BoringModel"),
    ],
)
def test_the_container_finds_the_configuration_of_stacked_experiments(
    command: Command, cloud: Cloud, tmp_path: Path, experiment: str, words: list[str], name: str
) -> None:
    command("submit", *words, "--seed_everything", "7", EXP=experiment)
    (request,) = cloud.asked("CreateTrainingJob")
    assert request["HyperParameters"]["config"] == name
    assert request["TrainingJobName"].startswith(name.replace("+", "--").replace("/", "-") + "-20")
    (found,) = container(request, tmp_path).configs()
    assert found == tmp_path / "input" / "data" / "config" / f"{name}.yaml"
    config = yaml.safe_load(found.read_text())
    assert config["seed_everything"] == 7
    if "s4" in name:
        assert config["model"]["init_args"]["net"]["class_path"] == "projection.nets.S4"


def test_places_in_s3_may_hold_any_character() -> None:
    assert aws.split("s3://bucket/a+b/c#d?e f") == ("bucket", "a+b/c#d?e f")
    assert aws.split("s3://bucket") == aws.split("s3://bucket/") == ("bucket", "")


def test_equal_data_of_two_names_stay_apart(command: Command, cloud: Cloud) -> None:
    for experiment in ("demo", "tiny"):
        command("submit", EXP=experiment)
    folders = [sources(request)["data"] for request in cloud.asked("CreateTrainingJob")]
    storage = boto3.client("s3", region_name=REGION)
    found = [storage.list_objects_v2(Bucket=BUCKET, Prefix=aws.split(each)[1]) for each in folders]
    assert [len(listing["Contents"]) for listing in found] == [1, 1]


def test_long_arguments_and_lists_that_grow_are_in_the_configuration(command: Command, cloud: Cloud) -> None:
    net = json.dumps({"class_path": "projection.nets.CNN1d", "init_args": {"widths": [8] * 80}})
    summary = "lightning.pytorch.callbacks.ModelSummary"
    words = ["--trainer.callbacks+", summary, "--trainer.callbacks.max_depth", "2"]
    command("submit", "--model.init_args.net", net, *words, **DEMO)
    (request,) = cloud.asked("CreateTrainingJob")
    assert request["HyperParameters"] == {"config": "demo", "model.init_args.net": net}
    config = yaml.safe_load(stored(f"{sources(request)['config']}demo.yaml"))
    assert config["trainer"]["callbacks"][0]["class_path"] == summary


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        ("", {"EXP": "nope"}, "there is no configs/nope.yaml; experiments: benchmark/all benchmark/diagnostic"),
        ("", {"EXP": "../tiny"}, "EXP is the name of an experiment"),
        ("", {"EXP": "exp"}, "which configs/exp.yaml names; `make data EXP=exp` makes it"),
        ("--model.wdiths 3", {}, "configs/tiny.yaml with these ARGS is not accepted: .*wdiths"),
        ("--trainer.max_epochs", {}, "--trainer.max_epochs has no value in ARGS"),
        ("; touch pwned", {}, "ARGS are pairs such as --trainer.max_epochs 5; found: ;"),
        ("--trainer.max_epochs $(touch${IFS}pwned)", {}, "configs/tiny.yaml with these ARGS is not"),
        ("--ckpt_path data/corpus.h5", {}, "ckpt_path names data/corpus.h5, which"),
        ("", {"ROLE": "arn:aws:iam::123456789012:role/nobody"}, "there is no role arn:aws:iam::"),
        ("", {"BUCKET": "no-such-bucket"}, "there is no bucket no-such-bucket"),
        ("", {"IMAGE": f"{IMAGE}-none"}, "latest-none; `make sagemaker-image` makes it"),
        ("", {"IMAGE": IMAGE.replace("projection", "other")}, "there is no image "),
        ("", {"IMAGE": IMAGE.replace(":latest", f"@sha256:{'0' * 64}")}, "there is no image .*@sha256:000"),
        ("--model.wdiths 3", {"EXP": "tiny+nets/s4"}, r"configs/tiny.yaml \+ configs/nets/s4.yaml with these"),
        ("", {"EXP": "exp+nets/s4"}, r"exp.yaml \+ .*s4.yaml names; `make data EXP=exp\+nets/s4` makes it"),
        ("--config nets/none.yaml", {}, "File does not exist: nets/none.yaml; there are nets/convnext1d "),
        ("", {"TIME": "soon"}, "TIME is a time such as"),
        ("", {"INSTANCE": "ml.g5.huge"}, "ResourceConfig.InstanceType: 'ml.g5.huge' is none of ml.g5."),
        ("", {"REQUEST": '{"InputDataConfig": []}'}, "InputDataConfig: must be at least 1 long"),
        ("", {"SPOT": "1", "WAIT": "1:00:00"}, "MaxWaitTimeInSeconds: 3600 is less than the run time"),
        (
            "",
            {"ROLE": "", "IMAGE": ""},
            r"not set: ROLE \(the ARN of a role\), IMAGE \(what `make sagemaker-image` said\);",
        ),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_uploaded(
    command: Command, cloud: Cloud, home: Path, arguments: str, variables: dict[str, str], told: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        command("submit", *arguments.split(), **{"EXP": "tiny", **variables})
    said = str(refused.value)
    assert re.search(told, " ".join(said.split())), said
    assert said.startswith("sagemaker: ")
    assert not cloud.asked("CreateTrainingJob")
    assert not [path for path in cloud.stored if path.startswith(f"/{BUCKET}/")]
    assert not list(home.rglob("pwned"))


def test_data_larger_than_the_disk_are_refused(command: Command, home: Path) -> None:
    big = home / "data" / "big.h5"
    with big.open("wb") as file:
        file.truncate(950_000_000)

    def shown(volume: str, instance: str) -> int:
        variables = {"EXP": "tiny", "INSTANCE": instance, "VOLUME": volume, "DRY_RUN": "1"}
        request = json.loads(command("submit", "--data.path", "data/big.h5", **variables))
        return int(request["ResourceConfig"]["VolumeSizeInGB"])

    try:
        with pytest.raises(RefusedError, match=r"VolumeSizeInGB: the data have 0\.9 GB; set VOLUME to more"):
            shown("1", "ml.m5.large")
        assert shown("2", "ml.m5.large") == 2
        # these have disks of their own
        assert shown("1", "ml.g5.xlarge") == 1
    finally:
        big.unlink()


def test_no_account_or_region_is_in_the_repository() -> None:
    pattern = (
        r"[^0-9a-f.][0-9]{12}[^0-9a-f]|(us|eu|ap|sa|ca)-(north|south|east|west|central)[a-z]*-[0-9]|AKIA[0-9A-Z]{16}"
    )
    search = ["git", "grep", "-InE", pattern, "--", ".", ":!tests", ":!constraints.txt"]
    found = subprocess.run(search, cwd=Path(__file__).parents[3], capture_output=True, text=True)
    assert found.returncode in (0, 1), found.stderr
    assert found.stdout == ""
