"""A list of small videos with detections, and a dataset of tracklets, to extract."""

from small_videos import FRAMES, mot_lines, write_video


def write_videos(folder, count):
    """Writes videos whose people are seen for different times, and a list of them."""
    rows = ["video,camera,detections"]
    for number in range(count):
        write_video(folder / f"v{number}.avi")
        lines = mot_lines(frames=range(1, FRAMES - number % 7))
        (folder / f"v{number}.txt").write_text("\n".join(lines) + "\n")
        rows.append(f"v{number}.avi,{number % 3},v{number}.txt")
    (folder / "videos.csv").write_text("\n".join(rows) + "\n")
    return folder / "videos.csv"


def parts(folder):
    """The content of each file of a folder, by name."""
    return {file.name: file.read_bytes() for file in folder.iterdir()}
