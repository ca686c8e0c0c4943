import pytest

from torchreid_occ.cli import main


def test_the_command_prints_the_page_of_the_copy(occwalk_root, tmp_path, capsys):
    words = ["occlude", "-s", "occwalk_tiny.clean", "--root", str(occwalk_root), "--workers", "0"]
    small = ["--part", "query", "--query-share", "0.06", "--occluders", "things"]
    main([*words, *small, "--out", str(tmp_path / "copy")])
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "copy/report.md")
    assert len([*(tmp_path / "copy/query").iterdir()]) == 2
    with pytest.raises(SystemExit, match=r"error: .* begun with another seed: remove the folder"):
        main([*words, *small, "--seed", "1", "--out", str(tmp_path / "copy")])


def test_shares_are_checked(tmp_path):
    words = ["occlude", "-s", "mars", "--out", str(tmp_path / "copy"), "--frames", "0.8", "0.5"]
    with pytest.raises(SystemExit, match=r"least_frames=0\.8, which is more than most_frames=0\.5"):
        main(words)
