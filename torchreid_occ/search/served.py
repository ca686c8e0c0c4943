"""What the page of a gallery shows besides answers: tracklets to pick, and frames of videos."""

import io
import threading
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from torchreid_occ.data.images import read_image
from torchreid_occ.footage.manifest import RecordedTracklet, recorded_tracklet
from torchreid_occ.footage.video import Video, read_frames, scan_video
from torchreid_occ.search.answer import time_span
from torchreid_occ.search.gallery import Gallery
from torchreid_occ.search.query import SearchQuery, Seen, crop, shown_box
from torchreid_occ.search.tracklets import GalleryTracklet

ON_A_PAGE = 120  # tracklets
_HEIGHT = 144  # pixels of a tracklet's picture
_FRAMES_KEPT = 16  # decoded frames of videos in memory


class Listed(NamedTuple):
    """A page of tracklets.

    Attributes:
        tracklets: Ids, tracklets and times to show.
        page: Number of the page, from 1.
        pages: Number of pages.
    """

    tracklets: list[tuple[int, GalleryTracklet, str]]
    page: int
    pages: int


class ServedVideo(NamedTuple):
    """A video of which the gallery has tracklets.

    Attributes:
        number: Its number on the page.
        path: The file.
        camera: Its camera, if known.
        frames: Number of its frames, as counted when it was cut.
    """

    number: int
    path: Path
    camera: int | None
    frames: int


def list_page(gallery: Gallery, page: int) -> Listed:
    """Returns a page of the tracklets of a gallery; the last one if it has fewer.

    Args:
        gallery: The gallery.
        page: Number of the page, from 1.
    """
    ids = gallery.ids()
    pages = max(1, -(-len(ids) // ON_A_PAGE))
    page = min(page, pages)
    shown = ids[(page - 1) * ON_A_PAGE : page * ON_A_PAGE].tolist()
    found = sorted(gallery.get(shown).items())
    return Listed([(number, one, time_span(one)) for number, one in found], page, pages)


def picture_of(gallery: Gallery, number: int) -> bytes:
    """Returns the middle frame of a tracklet as a small JPEG.

    Args:
        gallery: The gallery.
        number: Id of the tracklet.

    Raises:
        KeyError: If the gallery has no such tracklet.
        FileNotFoundError: If its frames have moved.
    """
    found = gallery.get([number])
    if number not in found:
        raise KeyError(f"The gallery has no tracklet {number}.")
    frames = found[number].frames
    image = read_image(frames[len(frames) // 2])
    image.thumbnail((_HEIGHT, _HEIGHT), Image.Resampling.BICUBIC)
    return _jpeg(image)


class ServedVideos:
    """The videos that tracklets of a gallery were cut out of, as far as their files are there.

    Frames are counted by decoding a video from its beginning, as everywhere in this package, so
    that late frames of long videos take a while.

    Args:
        gallery: The gallery.
    """

    def __init__(self, gallery: Gallery) -> None:
        found: dict[Path, ServedVideo] = {}
        for _, tracklet in gallery.tracklets():
            where = recorded_tracklet(Path(tracklet.frames[0]).parent)
            path = Path(where.video) if where else None
            if where is None or path is None or path in found or not _is_there(path):
                continue
            found[path] = ServedVideo(len(found), path, tracklet.camera, where.video_frames)
        self.all = [*found.values()]
        self._lock = threading.Lock()  # one decoder at a time
        self._frame = lru_cache(_FRAMES_KEPT)(self._read)

    def picture(self, video: int, frame: int) -> bytes:
        """Returns a frame of a video as a JPEG.

        Args:
            video: Number of the video.
            frame: Number of the frame, from 1.

        Raises:
            LookupError: If there is no such video or frame.
        """
        return _jpeg(Image.fromarray(self._pixels(video, frame)))

    def query(self, video: int, frame: int, box: list[float]) -> SearchQuery:
        """Returns the query for a box in a frame of a video.

        Args:
            video: Number of the video.
            frame: Number of the frame, from 1.
            box: Left, top, width and height in pixels.

        Raises:
            LookupError: If there is no such video or frame.
            ValueError: If the box has no area in the frame.
        """
        pixels = self._pixels(video, frame)
        path = self.all[video].path
        title = f"{path.name}, frame {frame}, box {shown_box(box)}"
        return SearchQuery(title, [crop(pixels, box, path)], seen=Seen(path, [frame], [box]))

    def link(self, where: RecordedTracklet) -> str | None:
        """Returns the address at which the page shows a tracklet's frame.

        Args:
            where: The tracklet in its video.
        """
        for video in self.all:
            if str(video.path) == where.video:
                return f"/?video={video.number}&frame={where.pictured}#frame"
        return None

    def _pixels(self, video: int, frame: int) -> npt.NDArray[np.uint8]:
        if not 0 <= video < len(self.all):
            raise LookupError(f"There is no video {video}.")
        with self._lock:
            return self._frame(video, frame)

    def _read(self, video: int, frame: int) -> npt.NDArray[np.uint8]:
        scanned = _scanned(self.all[video].path)
        if not 1 <= frame <= len(scanned.times):
            raise LookupError(f"The video has frames 1 to {len(scanned.times)}, not {frame}.")
        _, pixels = next(read_frames(scanned, frame))
        return np.ascontiguousarray(pixels[..., ::-1])


@lru_cache(maxsize=32)
def _scanned(path: Path) -> Video:
    return scan_video(path)


def _is_there(path: Path) -> bool:
    return path.is_absolute() and path.exists()


def _jpeg(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=88)
    return content.getvalue()
