"""AWS's interface, served by moto on this machine alone; what it is asked is kept."""

import io
import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import Request, urlopen

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

ACCOUNT, REGION = DEFAULT_ACCOUNT_ID, "eu-central-1"


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


class Cloud:
    """The server.

    Every job is completed at once. `states` says otherwise of one, `running` of those that are listed as in progress,
    and jobs can be stopped, which moto cannot do.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.stored: list[str] = []
        self.states: dict[str, dict[str, Any]] = {}
        self.running: set[str] = set()
        self.address = ""
        self._application = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Keep a request, and hand it on."""
        operation = environ.get("HTTP_X_AMZ_TARGET", "").removeprefix("SageMaker.")
        if not environ.get("HTTP_X_AMZ_TARGET"):
            if environ["REQUEST_METHOD"] in ("PUT", "POST"):
                self.stored.append(f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}")
            return self._application(environ, start_response)
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(body)
        content = json.loads(body)
        self.requests.append((operation, content))
        state = self.states.get(content.get("TrainingJobName", ""))
        if operation == "StopTrainingJob":
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            return [b"{}"]
        if operation == "ListTrainingJobs" and "StatusEquals" in content:
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            names = self.running if content["StatusEquals"] == "InProgress" else set()
            found = [name for name in names if content.get("NameContains", "") in name]
            return [json.dumps({"TrainingJobSummaries": [{"TrainingJobName": name} for name in found]}).encode()]
        if operation == "DescribeTrainingJob" and state:
            described = json.loads(b"".join(self._application(environ, lambda *_: None)))
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            return [json.dumps(described | state).encode()]
        if operation == "ListTrainingJobs":
            listed = json.loads(b"".join(self._application(environ, lambda *_: None)))
            for job in listed["TrainingJobSummaries"]:
                job |= self.states.get(job["TrainingJobName"], {})
            start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
            return [json.dumps(listed).encode()]
        return self._application(environ, start_response)

    def reset(self) -> None:
        """Forget everything: moto keeps what it has for as long as the process lives."""
        urlopen(Request(f"{self.address}/moto-api/reset", method="POST")).close()
        for kept in (self.requests, self.stored, self.states, self.running):
            kept.clear()

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """Give the contents of the requests for an operation."""
        return [content for name, content in self.requests if name == operation]


@contextmanager
def running_cloud() -> Iterator[Cloud]:
    """Start the server, and end it.

    Yields:
        The server.
    """
    cloud = Cloud()
    server = make_server("127.0.0.1", 0, cloud, threaded=True, request_handler=_Quiet)
    cloud.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        cloud.reset()
        yield cloud
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
