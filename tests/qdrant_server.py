"""A server with the part of Qdrant's REST interface that galleries use, over its own engine.

Requests go through the client's HTTP and are checked by its models.
"""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from qdrant_shards import VERSION, shards_in


class Server(ThreadingHTTPServer):
    """A server whose attributes tests change.

    Attributes: the engine; the key that is asked for; answers, of status and text, in place of the
    next ones; the version; and all requests.
    """

    daemon_threads = True

    def __init__(self, client):
        super().__init__(("127.0.0.1", 0), Handler)
        self.client, self.key, self.faults = client, None, []
        self.version, self.lock, self.requests = VERSION, threading.Lock(), []

    def handle_error(self, *_):
        pass  # clients are killed while they wait for answers

    def carry_out(self, method, path, body):
        for (wanted, pattern), action in ROUTES.items():
            found = re.fullmatch(pattern, path)
            if found and wanted == method:
                with self.lock:
                    return action(self, *map(unquote, found.groups()), body)
        raise KeyError(f"{method} {path}")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "null")
        path = urlsplit(self.path).path
        self.server.requests.append(f"{self.command} {path}")
        if self.server.key not in (None, self.headers.get("api-key")):
            self.answer(401, "Must provide an API key or an Authorization bearer token")
        elif self.server.faults:
            self.answer(*self.server.faults.pop(0))
        else:
            try:
                self.answer(200, self.server.carry_out(self.command, path, body))
            except ValueError as error:
                exists = "already exists" in str(error)
                self.answer(409 if exists else 404 if "not found" in str(error) else 400, error)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def answer(self, status, result):
        if status != 200:
            content = {"status": {"error": str(result)}, "time": 0}
        else:
            content = {"result": result, "status": "ok", "time": 0}
            content = result if urlsplit(self.path).path == "/" else content
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def models():
    from qdrant_client import models

    return models


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def done(_):
    return {"operation_id": 0, "status": "completed"}


def parsed(name, body):
    return getattr(models(), name).model_validate(body)


def create(server, name, body):
    wanted = parsed("CreateCollection", body)
    return server.client.create_collection(name, vectors_config=wanted.vectors)


def upsert(server, name, body):
    wanted = parsed("PointsList", body)
    return done(server.client.upsert(name, wanted.points, update_filter=wanted.update_filter))


def batch(server, name, body):
    wanted = parsed("UpdateOperations", body).operations
    return [done(one) for one in server.client.batch_update_points(name, wanted)]


def delete(server, name, body):
    return done(server.client.delete(name, parsed("PointIdsList", body)))


def retrieve(server, name, body):
    wanted = parsed("PointRequest", body)
    return plain(server.client.retrieve(name, wanted.ids, wanted.with_payload, wanted.with_vector))


def scroll(server, name, body):
    wanted = parsed("ScrollRequest", body)
    points, following = server.client.scroll(
        name, wanted.filter, wanted.limit, wanted.offset, wanted.with_payload, wanted.with_vector
    )
    return {"points": plain(points), "next_page_offset": following}


def count(server, name, body):
    assert parsed("CountRequest", body).exact
    return plain(server.client.count(name))


def query(server, name, body):
    wanted = parsed("QueryRequest", body)
    found = server.client.query_points(
        name, wanted.query, wanted.filter, wanted.limit, wanted.with_payload, wanted.with_vector,
        wanted.params,
    )  # fmt: skip
    return plain(found)


def index(server, name, body):
    wanted = parsed("CreateFieldIndex", body)
    return done(server.client.create_payload_index(name, wanted.field_name, wanted.field_schema))


def change_aliases(server, body):
    return server.client.update_collection_aliases(parsed("ChangeAliasesOperation", body).actions)


ONE = "/collections/([^/]+)"
ROUTES = {
    ("GET", "/"): lambda server, _: {"title": "qdrant", "version": server.version},
    ("GET", "/collections"): lambda server, _: plain(server.client.get_collections()),
    ("GET", "/aliases"): lambda server, _: plain(server.client.get_aliases()),
    ("POST", "/collections/aliases"): change_aliases,
    ("GET", f"{ONE}/exists"): lambda server, name, _: {
        "exists": server.client.collection_exists(name)
    },
    ("PUT", ONE): create,
    ("DELETE", ONE): lambda server, name, _: server.client.delete_collection(name),
    ("PUT", f"{ONE}/index"): index,
    ("PUT", f"{ONE}/points"): upsert,
    ("POST", f"{ONE}/points"): retrieve,
    ("POST", f"{ONE}/points/batch"): batch,
    ("POST", f"{ONE}/points/delete"): delete,
    ("POST", f"{ONE}/points/scroll"): scroll,
    ("POST", f"{ONE}/points/count"): count,
    ("POST", f"{ONE}/points/query"): query,
}


@contextmanager
def running_qdrant(folder=None):
    """Starts a server whose collections are in a folder, or in one that is removed; gives it."""
    with shards_in(folder) as shards:
        server = Server(shards)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
