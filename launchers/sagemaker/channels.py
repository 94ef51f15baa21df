"""Where a job's data are: uploaded, or where DATA says that they are already."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from launchers.sagemaker.container import DATA_NAMES
from projection.errors import ProjectionError

_FILE = re.compile(r".*\.(h5|hdf5)")
_FILE_SYSTEMS = {"fsx": "FSxLustre", "efs": "EFS"}


@dataclass(frozen=True)
class Data:
    """The places of a job's data, one for each channel.

    Args:
        environment: What the container has to know of them.
    """

    places: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def data_there(places: Sequence[str], files: Sequence[str]) -> Data:
    """Say where data are already.

    Args:
        places: What DATA says: a folder that holds all files, or a place for each. `s3://BUCKET/KEY` is a file where
            it ends in .h5 and else a folder; `fsx://ID/MOUNT/FOLDER` and `efs://ID/FOLDER` are folders.
        files: The names of the experiment's files, which are taken from folders.

    Raises:
        ProjectionError: If there are neither one nor as many places as files.
    """
    if len(places) not in (1, len(files)) or (len(files) > 1 and len(places) == 1 and _FILE.fullmatch(places[0])):
        raise ProjectionError(
            f"DATA is a folder, or a place for each of {len(files)} data files ({', '.join(files)}); found: "
            f"{', '.join(places)}"
        )
    if len(places) == 1 and places[0].startswith("s3://") and not _FILE.fullmatch(places[0]):
        # a channel for each, so that nothing else of the folder is copied
        places = [f"{places[0].rstrip('/')}/{name}" for name in files]
    named = [place.rpartition("/")[2] for place in places if _FILE.fullmatch(place)]
    return Data(tuple(places), {DATA_NAMES: ",".join(named or files)})


def channel(name: str, place: str, mode: str = "File") -> dict[str, Any]:
    """Write a channel of a request, from a place in S3 or on a file system."""
    kind, _, rest = place.partition("://")
    if kind not in _FILE_SYSTEMS:
        source = {"S3DataType": "S3Prefix", "S3Uri": place, "S3DataDistributionType": "FullyReplicated"}
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": mode}
    system, _, folder = rest.partition("/")
    source = {
        "FileSystemId": system,
        "FileSystemAccessMode": "ro",
        "FileSystemType": _FILE_SYSTEMS[kind],
        "DirectoryPath": f"/{folder}",
    }
    return {"ChannelName": name, "DataSource": {"FileSystemDataSource": source}, "InputMode": "File"}
