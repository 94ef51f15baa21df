"""Wrong requests are refused before anything is submitted, with the field and the reason."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest

from launchers.sagemaker.channels import Data, data_there
from launchers.sagemaker.checks import violations
from launchers.sagemaker.request import Request, instance_hours, resumed, training_request
from launchers.sagemaker.settings import METRICS, Settings, job_name, region
from projection.errors import ProjectionError
from tests.conftest import ROOT
from tests.engines.aws import REGION
from tests.launchers.sagemaker.conftest import BUCKET, IMAGE, ROLE, VARIABLES


@pytest.fixture
def request_(monkeypatch: pytest.MonkeyPatch) -> Request:
    """A request with everything in it."""
    variables = {"EXP": "benchmark/all", "REGION": REGION, "ROLE": ROLE, "BUCKET": BUCKET, "IMAGE": IMAGE, "SPOT": "1"}
    variables |= {"SUBNETS": "subnet-1,subnet-2", "SECURITY_GROUPS": "sg-1", "TAGS": "project=ecg,who=Zoë"}
    variables |= {
        "KMS_KEY": "alias/ecg",
        "INSTANCE": "ml.p3.8xlarge",
        "REQUEST": '{"RetryStrategy": {"MaximumRetryAttempts": 2}}',
        "COUNT": "2",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    hyperparameters = {"config": "benchmark/all", "trainer.max_epochs": "5"}
    return training_request(Settings(), hyperparameters, "s3://ecg-bucket/c/", Data(("s3://ecg-bucket/d/",) * 2), "abc")


def test_a_right_request_is_not_refused(request_: Request) -> None:
    assert violations(request_, REGION) == []
    assert request_["VpcConfig"] == {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert request_["OutputDataConfig"]["KmsKeyId"] == request_["ResourceConfig"]["VolumeKmsKeyId"] == "alias/ecg"
    assert request_["StoppingCondition"] == {"MaxRuntimeInSeconds": 29 * 3600, "MaxWaitTimeInSeconds": 58 * 3600}
    assert request_["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert [channel["ChannelName"] for channel in request_["InputDataConfig"]] == ["config", "code", "data", "data-2"]


def test_a_request_without_wishes_is_cheap_plain_and_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {"EXP": "exp", "JOB_NAME": "exp-1", "REGION": REGION, "ROLE": ROLE, "BUCKET": BUCKET, "IMAGE": IMAGE}
    for name in VARIABLES:
        monkeypatch.setenv(name, needed.get(name, ""))
    found = training_request(Settings(), {"config": "exp"}, "s3://ecg-bucket/c/", Data(("s3://ecg-bucket/d/",)), "abc")
    places = {"config": f"s3://{BUCKET}/projection/jobs/exp-1/config/"}
    places |= {"code": "s3://ecg-bucket/c/", "data": "s3://ecg-bucket/d/"}
    metrics = found["AlgorithmSpecification"].pop("MetricDefinitions")
    assert [metric["Name"] for metric in metrics] == list(METRICS)
    line = "epoch=3 step=64 my_test/loss=3 train/loss=1.5e-05 val/auroc=0.91 val/loss=-2.5"
    shown = {metric["Name"]: re.findall(metric["Regex"], line) for metric in metrics}
    assert {name: values for name, values in shown.items() if values} == {
        "train/loss": ["1.5e-05"],
        "val/auroc": ["0.91"],
        "val/loss": ["-2.5"],
    }
    assert found == {
        "TrainingJobName": "exp-1",
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "HyperParameters": {"config": "exp"},
        "Environment": {"PROJECTION_GIT_COMMIT": "abc", "PROJECTION_RUN_ID": "exp-1"},
        "InputDataConfig": [
            {
                "ChannelName": name,
                "DataSource": {
                    "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": uri,
                        "S3DataDistributionType": "FullyReplicated",
                    }
                },
                "InputMode": "File",
            }
            for name, uri in places.items()
        ],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/projection/jobs"},
        "CheckpointConfig": {
            "S3Uri": f"s3://{BUCKET}/projection/jobs/exp-1/checkpoints/",
            "LocalPath": "/opt/ml/checkpoints",
        },
        "ResourceConfig": {"InstanceType": "ml.g5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 50},
        "StoppingCondition": {"MaxRuntimeInSeconds": 29 * 3600},
        "EnableManagedSpotTraining": False,
        "Tags": [],
    }


def test_every_wish_stands_in_its_own_field(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    wishes = {"VOLUME": "70", "COUNT": "3", "TIME": "1:02:03", "WAIT": "2-00:00:00", "PREFIX": "/mine/"}
    # what is asked of a group leaves the rest of it
    wishes |= {"REQUEST": '{"StoppingCondition": {"MaxPendingTimeInSeconds": 7200}}'}
    for name, value in {**wishes, "METRICS": "val/auroc my/own", "TAGS": "a=1,b=x=y"}.items():
        monkeypatch.setenv(name, value)
    found = training_request(Settings(), {}, "s3://ecg-bucket/c/", Data(()), "abc")
    assert found["ResourceConfig"]["VolumeSizeInGB"] == 70
    assert found["ResourceConfig"]["InstanceCount"] == 3
    times = {"MaxRuntimeInSeconds": 3723, "MaxWaitTimeInSeconds": 172800, "MaxPendingTimeInSeconds": 7200}
    assert found["StoppingCondition"] == times
    assert found["EnableManagedSpotTraining"] is True
    assert found["OutputDataConfig"]["S3OutputPath"] == f"s3://{BUCKET}/mine/jobs"
    assert found["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "x=y"}]
    names = [each["Name"] for each in found["AlgorithmSpecification"]["MetricDefinitions"]]
    assert names == ["val/auroc", "my/own"]


def test_a_region_is_that_of_the_site_then_that_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    for position, name in enumerate(names):
        for other in names:
            monkeypatch.setenv(other, other if other in names[position:] else "")
        assert region() == name


def put(*path: Any, value: Any) -> Callable[[Request], None]:
    """Change one field."""

    def change(request: Request) -> None:
        inner: Any = request
        for part in path[:-1]:
            inner = inner[part]
        inner[path[-1]] = value

    return change


def drop(*path: Any) -> Callable[[Request], None]:
    """Leave one field out."""

    def change(request: Request) -> None:
        inner: Any = request
        for part in path[:-1]:
            inner = inner[part]
        del inner[path[-1]]

    return change


ALGORITHM, RESOURCES, LIMITS = "AlgorithmSpecification", "ResourceConfig", "StoppingCondition"
SOURCE = ("InputDataConfig", 2, "DataSource", "S3DataSource")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (put(RESOURCES, "InstanceType", value="ml.g5.huge"), "InstanceType: 'ml.g5.huge' is none of ml.g5."),
        (put(RESOURCES, "InstanceCount", value=0), "ResourceConfig.InstanceCount: must be 1 or more"),
        (put(RESOURCES, "InstanceCount", value="2"), "ResourceConfig.InstanceCount: must be a integer; found '2'"),
        (put(RESOURCES, "VolumeSizeInGB", value=20000), "VolumeSizeInGB: must be 1 or more, and at most"),
        (put(RESOURCES, "KeepAlivePeriodInSeconds", value=600), "warm pools take no spot instances"),
        (put("RoleArn", value="arn:aws:iam::12345:role/x"), "RoleArn: must match arn:aws"),
        (put("RoleArn", value="ecg-training"), "RoleArn: must be at least 20 long"),
        (drop("RoleArn"), "RoleArn: missing"),
        (drop(LIMITS, "MaxWaitTimeInSeconds"), "MaxWaitTimeInSeconds: missing; spot training needs it"),
        (put(LIMITS, "MaxWaitTimeInSeconds", value=60), "MaxWaitTimeInSeconds: 60 is less than the run time 104400"),
        (put("EnableManagedSpotTraining", value=False), "MaxWaitTimeInSeconds: is for spot training only"),
        (put(LIMITS, "MaxRuntimeInSeconds", value=10**8), "MaxRuntimeInSeconds: SageMaker runs jobs for 2419200 s"),
        (drop(LIMITS, "MaxRuntimeInSeconds"), "StoppingCondition.MaxRuntimeInSeconds: missing"),
        (drop("CheckpointConfig"), "CheckpointConfig: missing; an interrupted spot job would begin anew"),
        (put("InputDataConfig", 2, "ChannelName", value="code"), "InputDataConfig: the channel 'code' is there twice"),
        (put("InputDataConfig", 2, "ChannelName", value="my data"), "InputDataConfig[2].ChannelName: must match"),
        (put("InputDataConfig", 2, "InputMode", value="Pipe"), "[2].InputMode: HDF5 files cannot be read"),
        (put(*SOURCE, "S3Uri", value="data/file.h5"), "InputDataConfig[2].DataSource.S3DataSource.S3Uri: must match"),
        (put(*SOURCE, "S3Uri", value="s3://My_Bucket/"), "S3DataSource.S3Uri: needs s3:// and a legal bucket name"),
        (put(*SOURCE, "S3DataType", value="Folder"), "S3DataSource.S3DataType: 'Folder' is none of"),
        (put("TrainingJobName", value="my_job"), "TrainingJobName: must match"),
        (put("TrainingJobName", value="j" * 64), "TrainingJobName: must be at most 63 long, is 64 long"),
        (put("HyperParameters", "run", value="x" * 2501), "HyperParameters[run]: must be at most 2500 long"),
        (put("HyperParameters", "run", value="a\nb"), "HyperParameters[run]: must match .*"),
        (put("HyperParameters", "run", value=5), "HyperParameters[run]: must be a string; found 5"),
        (put("HyperParameters", value={f"a{i}": "1" for i in range(101)}), "HyperParameters: must be at most 100 long"),
        (put("HyperParameters", "x; touch pwned", value="1"), "the hyperparameter 'x; touch pwned' is no setting"),
        (put("HyperParameters", "wandb_api_key", value="1"), "HyperParameters[wandb_api_key]: looks like a secret"),
        (put("Environment", "WANDB_API_KEY", value="1"), "Environment[WANDB_API_KEY]: looks like a secret"),
        (put(ALGORITHM, "MetricDefinitions", 0, "Regex", value="loss=("), "[0].Regex: is no regular"),
        (put(ALGORITHM, "MetricDefinitions", 0, "Regex", value="loss"), "MetricDefinitions[0].Regex: needs one group"),
        (put(ALGORITHM, "MetricDefinitions", 0, "Name", value="val/loss"), "'val/loss' is defined twice"),
        (put(ALGORITHM, "TrainingImage", value="projection:latest"), "TrainingImage: must be an image in ECR"),
        (put(ALGORITHM, "TrainingImage", value=IMAGE.replace(REGION, "us-east-1")), "is in us-east-1, and the job"),
        (put(ALGORITHM, "TrainingInputMode", value="file"), "TrainingInputMode: 'file' is none of"),
        (put(RESOURCES, "InstanceType", value="ml.g5.xlarge"), "VolumeKmsKeyId: ml.g5.xlarge encrypts its local disks"),
        (put("CheckpointConfig", "LocalPath", value="/tmp"), "CheckpointConfig.LocalPath: the run folder is /opt/ml/c"),
        (put("InputDataConfig", 0, "ChannelName", value="x"), "InputDataConfig: the channel 'config' is missing"),
        (put("VpcConfig", "Subnets", value=[]), "VpcConfig.Subnets: must be at least 1 long"),
        (put("VpcConfig", value={"Subnets": ["subnet-1"]}), "VpcConfig.SecurityGroupIds: missing"),
        (put("Tags", 0, "Key", value="aws:x"), "Tags: keys beginning with aws: belong to AWS"),
        (put("Tags", 0, "Value", value="<b>"), "Tags[0].Value: must match"),
        (put("Tags", 1, "Key", value="project"), "Tags: 'project' is there twice"),
        (put("OutputDataConfig", "S3OutputPath", value="s3://a/"), "S3OutputPath: needs s3:// and a legal"),
        (put("EnableSpot", value=True), "EnableSpot: unknown; known are TrainingJobName"),
    ],
)  # fmt: skip
def test_wrong_requests_are_refused(request_: Request, change: Callable[[Request], None], told: str) -> None:
    wrong = copy.deepcopy(request_)
    change(wrong)
    found = violations(wrong, REGION)
    assert len(found) == 1, found
    assert told in found[0]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("TIME", "30:00", "TIME is a time such as 8:00:00 or 1-05:00:00; found: 30:00"),
        ("TIME", "soon", "TIME is a time such as 8:00:00 or 1-05:00:00; found: soon"),
        ("COUNT", "two", "COUNT is a whole number; found: two"),
        ("SPOT", "yes", "SPOT is 0 or 1; found: yes"),
        ("TAGS", "a=1,a=2", "TAGS are pairs such as project=ecg,owner=me, each key once; found: a=2"),
        ("REQUEST", "{", "REQUEST is no JSON"),
        ("REQUEST", "[]", "REQUEST is a JSON object"),
    ],
)
def test_wrong_settings_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str) -> None:
    monkeypatch.setenv("REGION", REGION)
    monkeypatch.setenv(name, value)
    with pytest.raises(ProjectionError, match="^" + told.replace("[", r"\[")):
        training_request(Settings(), {}, "", Data(()), "")


def test_settings_whose_names_sound_like_secrets_are_none(request_: Request) -> None:
    for name in ("model.net.init_args.num_tokens", "model.init_args.cls_token", "tokenizer", "password_free"):
        request_["HyperParameters"][name] = "1"
    assert violations(request_, REGION) == []


@pytest.mark.parametrize(
    ("instance", "local"),
    [
        *(("ml.g5.xlarge", True), ("ml.g4dn.2xlarge", True), ("ml.p4d.24xlarge", True), ("ml.p5.48xlarge", True)),
        *(("ml.r5d.large", True), ("ml.m5.large", False), ("ml.p3.2xlarge", False), ("ml.c6i.xlarge", False)),
    ],
)
def test_local_disks_get_no_key_of_the_users(
    monkeypatch: pytest.MonkeyPatch, request_: Request, instance: str, local: bool
) -> None:
    monkeypatch.setenv("INSTANCE", instance)
    request = training_request(Settings(), {}, "s3://ecg-bucket/c/", Data(()), "abc")
    assert ("VolumeKmsKeyId" in request["ResourceConfig"]) is not local
    assert violations(request, REGION) == []


@pytest.mark.parametrize(
    "experiment",
    [*("exp", "benchmark/super_diagnostic", "-x-", "___", "a" * 300), "_+_", f"{'a' * 300}/_", "+".join(["a/b"] * 99)],
)
def test_names_of_jobs_are_legal_readable_and_unique(request_: Request, experiment: str) -> None:
    names = {job_name(experiment) for _ in range(20)}
    assert len(names) > 15
    for name in names:
        assert violations({**request_, "TrainingJobName": name}, REGION) == []
    assert job_name("benchmark/all").startswith("benchmark-all-20")


def test_jobs_of_different_experiments_can_be_told_apart() -> None:
    tasks, nets = ([path.stem for path in (ROOT / "configs" / each).glob("*.yaml")] for each in ("benchmark", "nets"))
    stacked = {f"{folder}/{task}+nets/{net}" for folder in ("benchmark", "mine") for task in tasks for net in nets}
    assert len(stacked) > 100
    names = {experiment: re.sub(r"-\d{8}-\d{6}-[0-9a-f]{4}$", "", job_name(experiment)) for experiment in stacked}
    assert len(set(names.values())) == len(stacked)
    assert names["benchmark/all+nets/s4"] == "benchmark-all--nets-s4"
    # where there is no room for the folders, their part is a hash
    long = names["benchmark/superdiagnostic+nets/inception1d"]
    assert re.fullmatch(r"superdiagnostic--inception1d-[0-9a-f]{4}", long)
    assert job_name("a-b")[:3] != job_name("a+b")[:3]


FILES = ["ptbxl_100hz.h5", "other.h5"]


@pytest.mark.parametrize(
    ("places", "files", "channels", "named"),
    [
        (["s3://b/ecg/mine.h5"], FILES[:1], ["s3://b/ecg/mine.h5"], "mine.h5"),
        (["s3://b/ecg/"], FILES[:1], ["s3://b/ecg/ptbxl_100hz.h5"], "ptbxl_100hz.h5"),
        (["s3://b/ecg"], FILES, ["s3://b/ecg/ptbxl_100hz.h5", "s3://b/ecg/other.h5"], "ptbxl_100hz.h5,other.h5"),
        (["s3://b/1.h5", "s3://c/2.hdf5"], FILES, ["s3://b/1.h5", "s3://c/2.hdf5"], "1.h5,2.hdf5"),
        (["fsx://fs-1/mount/ecg"], FILES, ["fsx://fs-1/mount/ecg"], "ptbxl_100hz.h5,other.h5"),
    ],
)
def test_data_that_are_there_are_found_by_the_names_of_their_files(
    places: list[str], files: list[str], channels: list[str], named: str
) -> None:
    assert data_there(places, files) == Data(tuple(channels), {"PROJECTION_DATA": named})


@pytest.mark.parametrize("places", [["s3://b/1.h5"], ["s3://b/1.h5"] * 3])
def test_data_that_are_not_as_many_as_the_experiment_names_are_refused(places: list[str]) -> None:
    with pytest.raises(ProjectionError, match=r"a place for each of 2 data files \(ptbxl_100hz\.h5, other\.h5\)"):
        data_there(places, FILES)


@pytest.mark.parametrize(("kind", "system"), [("fsx", "FSxLustre"), ("efs", "EFS")])
def test_a_file_system_is_mounted_read_only_and_needs_a_network(request_: Request, kind: str, system: str) -> None:
    place = f"{kind}://fs-0123456789abcdef0/mount/ecg"
    request = training_request(Settings(), {}, "s3://ecg-bucket/c/", Data((place,)), "abc")
    assert request["InputDataConfig"][-1]["DataSource"] == {
        "FileSystemDataSource": {
            "FileSystemId": "fs-0123456789abcdef0",
            "FileSystemAccessMode": "ro",
            "FileSystemType": system,
            "DirectoryPath": "/mount/ecg",
        }
    }
    assert violations(request, REGION) == []
    del request["VpcConfig"]
    (told,) = violations(request, REGION)
    assert told == "VpcConfig: missing; the file system of the channel data needs SUBNETS and SECURITY_GROUPS"


def test_files_in_s3_can_be_read_as_they_are_needed(monkeypatch: pytest.MonkeyPatch, request_: Request) -> None:
    monkeypatch.setenv("MODE", "FastFile")
    request = training_request(Settings(), {}, "s3://ecg-bucket/c/", Data(("s3://bucket/x.h5",)), "abc")
    assert [each["InputMode"] for each in request["InputDataConfig"]] == ["File", "File", "FastFile"]
    assert violations(request, REGION) == []


@pytest.mark.parametrize(
    ("typed", "changed"),
    [
        ({"INSTANCE": "ml.g5.xlarge"}, {"ResourceConfig": {"InstanceType": "ml.g5.xlarge"}}),
        ({"COUNT": "1", "VOLUME": "9"}, {"ResourceConfig": {"InstanceCount": 1, "VolumeSizeInGB": 9}}),
        (
            {"TIME": "1:00:00"},
            {"StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}},
        ),
        (
            {"WAIT": "3-00:00:00"},
            {"StoppingCondition": {"MaxRuntimeInSeconds": 29 * 3600, "MaxWaitTimeInSeconds": 72 * 3600}},
        ),
        ({"SPOT": ""}, {"EnableManagedSpotTraining": False, "StoppingCondition": {"MaxRuntimeInSeconds": 29 * 3600}}),
        ({}, {}),
    ],
)
def test_what_is_typed_anew_is_all_that_changes(
    monkeypatch: pytest.MonkeyPatch, request_: Request, typed: dict[str, str], changed: dict[str, Any]
) -> None:
    for name in ("INSTANCE", "COUNT", "SPOT"):
        monkeypatch.delenv(name)  # as a site may say otherwise by now
    for name, value in typed.items():
        monkeypatch.setenv(name, value)
    expected = copy.deepcopy(request_)
    resources = changed.get("ResourceConfig", {})
    expected |= {**changed, "ResourceConfig": expected["ResourceConfig"] | resources}
    assert resumed(request_, Settings(), typed) == expected


def test_instance_hours_are_those_of_all_jobs(request_: Request) -> None:
    assert instance_hours([request_]) == 58
    assert instance_hours([request_] * 3) == 174
