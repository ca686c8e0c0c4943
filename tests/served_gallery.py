"""A gallery of a small video, as `torchreid-occ search serve` shows it."""

from small_checkpoint import write_small_checkpoint
from small_videos import mot_lines, write_video

from torchreid_occ.footage import BoxSource, TrackletOptions, add_recording
from torchreid_occ.search import tracklets_in
from torchreid_occ.search.pipeline import add_to_gallery


def make_served_gallery(folder):
    """Returns the folder of the gallery and its checkpoint."""
    video = write_video(folder / "a gate.avi")
    (folder / "det.txt").write_text("\n".join(mot_lines()) + "\n")
    source = BoxSource(detections=str(folder / "det.txt"))
    add_recording(video, folder / "data", source, TrackletOptions(camera=3), "gate")
    checkpoint = write_small_checkpoint(folder)
    add_to_gallery(folder / "g", tracklets_in(folder / "data" / "gallery"), checkpoint)
    return folder / "g", checkpoint
