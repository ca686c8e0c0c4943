"""A gallery behind a page of its own: pick a person or draw a box, see where else they were seen.

The model and the index stay in memory, so that an answer takes a fraction of a second. Requests
name tracklets and videos by number, never by path; only the upload of a picture carries content.
"""

import ipaddress
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from torchreid_occ._types import StrPath
from torchreid_occ.data.images import read_image
from torchreid_occ.extractor import TrackletExtractor
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.judging import judge_of
from torchreid_occ.search.page import answer_page, rendered
from torchreid_occ.search.pipeline import search_elsewhere
from torchreid_occ.search.query import SearchQuery, crop
from torchreid_occ.search.served import ServedVideos, list_page, picture_of
from torchreid_occ.utils.dependencies import import_optional

LARGEST_UPLOAD = 32 * 2**20  # bytes
HOST, PORT = "127.0.0.1", 8008
_THIS_MACHINE = ("127.0.0.1", "localhost")
_MOST = 100  # tracklets of an answer
_SCRIPT = Path(__file__).with_name("server.js")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; "
        "img-src 'self' data: blob:; frame-src 'self'; form-action 'self'; "
        "frame-ancestors 'self'; base-uri 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def serve(place: StrPath, checkpoint: StrPath, host: str = HOST, port: int = PORT) -> None:
    """Serves the page of a gallery until it is interrupted.

    Args:
        place: Folder of the gallery, or its address on a server.
        checkpoint: The gallery's checkpoint.
        host: Address to listen on. Others than those of this machine can be reached by anybody who
            reaches them, since there is no password.
        port: Port to listen on; 0 takes a free one.

    Raises:
        ImportError: If Flask or Waitress is not installed.
        ValueError: If the host names no single address, there is no such port, or the checkpoint is
            not the gallery's.
        OSError: If the port is taken.
    """
    if host in ("", "0.0.0.0", "*") or ":" in host:
        raise ValueError(
            f"The host is {host!r}, but must be one IPv4 address or name, by which others reach "
            "this machine: requests for other names are refused."
        )
    if not 0 <= port < 2**16:
        raise ValueError(f"The port is {port}, but must be within 0 and {2**16 - 1}.")
    (waitress,) = import_optional("waitress", extra="serve")
    app = gallery_app(place, checkpoint, host)
    server = waitress.create_server(app, host=host, port=port, threads=4, ident=None)
    print(f"http://{host}:{server.effective_port}/ shows {Gallery(place).place}.")
    if not is_loopback(host):
        print("Anybody who reaches this address sees it: there is no password.")
    print("Ctrl-C ends it.", flush=True)
    try:
        server.run()
    finally:
        server.close()


def is_loopback(host: str) -> bool:
    """Returns whether an address is one that only this machine reaches.

    Args:
        host: The address.
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def gallery_app(place: StrPath, checkpoint: StrPath, host: str = HOST) -> Any:
    """Returns the web application of a gallery, a `flask.Flask`.

    Args:
        place: Folder of the gallery, or its address on a server.
        checkpoint: The gallery's checkpoint.
        host: The address that it is served on; requests for other names than it and those of this
            machine are refused.

    Raises:
        ImportError: If Flask is not installed.
        ValueError: If the checkpoint is not the gallery's.
    """
    flask = _flask()
    pages = _Pages(place, checkpoint)
    app = flask.Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_UPLOAD
    app.config["TRUSTED_HOSTS"] = [host, *_THIS_MACHINE]
    app.before_request(_refuse_other_sites)
    app.after_request(_with_headers)
    app.get("/")(pages.choose)
    app.get("/server.js")(pages.script)
    app.get("/tracklet/<int:number>.jpg")(pages.tracklet)
    app.get("/video/<int:video>/<int:frame>.jpg")(pages.frame)
    app.post("/search")(pages.search)
    for kind in (ValueError, LookupError, OSError):
        app.register_error_handler(kind, _said)
    return app


class _Pages:
    """Answers requests.

    Args:
        place: Folder of the gallery, or its address on a server.
        checkpoint: The gallery's checkpoint.
    """

    def __init__(self, place: StrPath, checkpoint: StrPath) -> None:
        self._searcher = _Searcher(place, checkpoint)
        self._videos = ServedVideos(self._searcher.gallery())

    def choose(self) -> str:
        page = max(1, _flask().request.args.get("page", 1, int))
        gallery = self._searcher.gallery()
        listed = list_page(gallery, page)
        address = gallery.address
        return rendered("server.html", address=address, listed=listed, videos=self._videos.all)

    def script(self) -> Any:
        return _flask().send_file(_SCRIPT, mimetype="text/javascript")

    def tracklet(self, number: int) -> Any:
        return _picture(picture_of(self._searcher.gallery(), number))

    def frame(self, video: int, frame: int) -> Any:
        return _picture(self._videos.picture(video, frame))

    def search(self) -> str:
        form, upload = _flask().request.form, _flask().request.files.get("image")
        query = _query(form, upload, self._searcher.gallery(), self._videos)
        top = min(max(1, form.get("top", 10, int)), _MOST)
        return self._searcher.answer(query, top, _cameras(form), self._videos.link)


def _refuse_other_sites() -> None:
    """Refuses what pages of other sites send or embed; links to the page may be followed."""
    request = _flask().request
    site, mode = (request.headers.get(f"Sec-Fetch-{name}", "none") for name in ("Site", "Mode"))
    follows_link = request.method == "GET" and mode == "navigate"
    origin = request.headers.get("Origin")
    other = site not in ("same-origin", "none") and not follows_link
    if other or (origin is not None and origin != request.host_url.rstrip("/")):
        _flask().abort(403, "Requests of other sites are refused.")


def _with_headers(response: Any) -> Any:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _said(error: Exception) -> Any:
    """Answers with the message of a user's error."""
    message = str(error.args[0] if isinstance(error, KeyError) else error)
    return _flask().Response(message, 400, mimetype="text/plain")


class _Searcher:
    """Answers queries in one thread, with one model and one index in memory.

    Args:
        place: Folder of the gallery, or its address on a server.
        checkpoint: The gallery's checkpoint.
    """

    def __init__(self, place: StrPath, checkpoint: StrPath) -> None:
        self._place = place
        self._own = threading.local()  # SQLite's connections belong to threads
        self._extractor = TrackletExtractor(checkpoint, workers=0)
        gallery = self.gallery()
        gallery.check_model(self._extractor.checkpoint_hash, self._extractor.feature_dim)
        self._thread = ThreadPoolExecutor(1)

    def gallery(self) -> Gallery:
        """Returns the gallery, for this thread."""
        if not hasattr(self._own, "gallery"):
            self._own.gallery = Gallery(self._place)
        gallery: Gallery = self._own.gallery
        return gallery

    def answer(
        self, query: SearchQuery, top: int, cameras: list[int], link: Callable[[Any], str | None]
    ) -> str:
        """Returns the page with the answer to a query."""
        return self._thread.submit(self._answer, query, top, cameras, link).result()

    def _answer(
        self, query: SearchQuery, top: int, cameras: list[int], link: Callable[[Any], str | None]
    ) -> str:
        gallery = self.gallery()
        judge = judge_of(gallery, self._extractor.checkpoint)
        found = search_elsewhere(gallery, self._extractor, query, top, cameras, judge)
        about = self._extractor.provenance
        return answer_page(gallery, query, found.matches, about, found.same, link)


def _query(form: Any, upload: Any, gallery: Gallery, videos: ServedVideos) -> SearchQuery:
    """Builds the query that a form describes.

    Raises:
        ValueError: If it describes none.
    """
    box = [form.get(side, type=float) for side in ("left", "top_edge", "width", "height")]
    given = None if None in box else [float(side or 0) for side in box]
    if number := form.get("tracklet", type=int):
        stored = gallery.get([number])
        if number not in stored:
            raise ValueError(f"The gallery has no tracklet {number}.")
        return SearchQuery(stored[number].name, [*stored[number].frames])
    if upload is not None and upload.filename:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "picture")
            upload.save(path)
            image = np.asarray(read_image(path))
        whole = [0, 0, image.shape[1], image.shape[0]]
        return SearchQuery(
            f"picture {upload.filename}", [crop(image, given or whole, upload.filename)]
        )
    if (video := form.get("video", type=int)) is not None and given:
        return videos.query(video, form.get("frame", 1, int), given)
    raise ValueError("Pick a tracklet, or draw a box around a person in a frame or a picture.")


def _cameras(form: Any) -> list[int]:
    given = form.get("cameras", "")
    try:
        return [int(word) for word in given.replace(",", " ").split()]
    except ValueError:
        raise ValueError(f"Cameras are numbers, but received {given!r}.") from None


def _picture(content: bytes) -> Any:
    return _flask().Response(content, mimetype="image/jpeg")


def _flask() -> Any:
    (module,) = import_optional("flask", extra="serve")
    return module
