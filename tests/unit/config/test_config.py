import pytest

from torchreid_occ.config import check_options, config_of, load_config, plain


@pytest.fixture
def write(tmp_path):
    def _write(name, text):
        path = tmp_path / name
        path.write_text(text)
        return path

    return _write


def test_file_overrides_base_and_command_line_overrides_both(write):
    write("base.yaml", "train: {lr: 0.1, max_epoch: 7}\nmodel: {options: {backbone: resnet18}}\n")
    path = write(
        "run.yaml", "_BASE_: base.yaml\ntrain: {lr: 0.2}\nmodel: {options: {last_stride: 2}}\n"
    )
    config = load_config(path, ["train.lr", "3e-4", "data.sources", "['a', 'b']"])
    assert config.train.lr == 3e-4
    assert config.train.max_epoch == 7
    assert plain(config.model.options) == {"backbone": "resnet18", "last_stride": 2}
    assert config.data.sources == ["a", "b"]


def test_values_take_the_type_of_their_default(write):
    path = write("run.yaml", "train: {lr: 1, stepsize: 30}\ndata: {sources: sduvid}\n")
    config = load_config(path)
    assert config.train.lr == 1.0 and isinstance(config.train.lr, float)
    assert config.train.stepsize == [30]
    assert config.data.sources == ["sduvid"]


def test_text_values_on_the_command_line_are_not_parsed():
    config = load_config(None, ["data.root", "2024", "data.save_dir", "1e3"])
    assert (config.data.root, config.data.save_dir) == ("2024", "1e3")


def test_options_join_at_every_level():
    overrides = ["data.options.mars.gallery", "all", "data.options.mars.x", "1"]
    assert plain(load_config(None, overrides).data.options) == {"mars": {"gallery": "all", "x": 1}}


def test_result_is_frozen():
    with pytest.raises(AttributeError):
        load_config().train.lr = 1.0


@pytest.mark.parametrize("value", ["auto", True, False, "log/run/model/model.pth.tar-3"])
def test_pretrained_choices(value):
    assert load_config(None, ["model.pretrained", str(value)]).model.pretrained == value
    with pytest.raises(ValueError, match=r"model.pretrained is 3, but must be of type str"):
        load_config(None, ["model.pretrained", "3"])


@pytest.mark.parametrize(
    ("overrides", "error", "message"),
    [
        (["train.max_epochs", "3"], KeyError, r"train.max_epochs does not exist.*max_epoch"),
        (["trian.lr", "3"], KeyError, r"trian does not exist.*train"),
        (["train.max_epoch", "many"], ValueError, r"train.max_epoch is 'many'.*type int"),
        (["train.max_epoch", "1.5"], ValueError, r"train.max_epoch is 1.5.*type int"),
        (["data.verify", "1"], ValueError, r"data.verify is 1.*type bool"),
        (["test.select", "best"], ValueError, r"test.select is 'best'.*\['val', 'last'\]"),
        (["train.lr"], ValueError, "pairs KEY VALUE"),
        (["train", "3"], ValueError, r"train holds keys .*'lr'.*got 3"),
        (["model.options", "3"], ValueError, "model.options must hold"),
        (["data.supervision", "['masks']"], ValueError, r"data.supervision holds \['masks'\]"),
        (["video.pooling_method", "max"], ValueError, "engine 'torchreid' only"),
        (["test.eval_freq", "0"], ValueError, "test.eval_freq is 0"),
        (["train.print_freq", "0"], ValueError, "train.print_freq is 0, but must be at least 1"),
        (["train.seed", "-1"], ValueError, "train.seed is -1, but must be at least 0"),
        (["test.ranks", "[0, 1]"], ValueError, r"test.ranks is \[0, 1\], but must be at least 1"),
        (["test.ranks", "['a']"], ValueError, r"test.ranks is \['a'\], but must be a list like"),
        (["data.norm_mean", "[0.5]"], ValueError, r"data.norm_mean is \[0.5\].*must have 3 items"),
        (["engine", "torchreid", "video.stride", "3"], ValueError, "engine 'clip' only"),
    ],
)
def test_bad_overrides(overrides, error, message):
    with pytest.raises(error, match=message):
        load_config(None, overrides)


def test_missing_files_are_named(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.yaml"):
        load_config(tmp_path / "absent.yaml")
    path = write("run.yaml", "_BASE_: gone.yaml\n")
    with pytest.raises(FileNotFoundError, match=r"gone\.yaml, which .*run\.yaml names in _BASE_"):
        load_config(path)


def test_circular_bases_are_refused(write):
    write("a.yaml", "_BASE_: b.yaml\n")
    path = write("b.yaml", "_BASE_: a.yaml\n")
    with pytest.raises(ValueError, match=r"circle: .*b.yaml -> .*a.yaml -> .*b.yaml"):
        load_config(path)


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "\x00"])
def test_unreadable_yaml_names_the_file(write, text):
    with pytest.raises(ValueError, match=r"run\.yaml"):
        load_config(write("run.yaml", text))


def test_dump_loads_to_the_same_configuration(write):
    config = load_config(None, ["model.options.backbone", "resnet18", "train.lr", "0.5"])
    assert load_config(write("dump.yaml", config.dump())) == config


def test_check_options_lists_what_the_function_takes():
    def builder(num_classes, backbone="resnet50", stages=(2, 3)):
        return num_classes, backbone, stages

    check_options("model.options", {"backbone": "resnet18"}, builder, ("num_classes",))
    expected = r"model.options has no \['stage'\]: builder takes \['backbone', 'stages'\]"
    with pytest.raises(KeyError, match=expected):
        check_options("model.options", {"stage": 2}, builder, ("num_classes",))


def test_a_training_refuses_keys_of_completion():
    with pytest.raises(ValueError, match=r"completion\.tau is read by tasks 'score'"):
        load_config(None, ["completion.tau", "0.5"])
    assert load_config(None, ["task", "score", "completion.tau", "0.5"]).completion.tau == 0.5


def test_the_torchreid_engine_has_no_learned_metric():
    with pytest.raises(ValueError, match=r"test\.dist_metric is 'xqda', but engine 'torchreid'"):
        load_config(None, ["engine", "torchreid", "test.select", "val", "test.dist_metric", "xqda"])
    assert load_config(None, ["test.dist_metric", "kissme"]).test.dist_metric == "kissme"


@pytest.mark.parametrize("base", ["5", "[{}]", "''", '"\\0"', "null"])
def test_a_base_must_be_a_name(write, base):
    path = write("run.yaml", f"_BASE_: {base}\n")
    with pytest.raises(ValueError, match=r"run\.yaml: _BASE_ is .* must name configuration files"):
        load_config(path)


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e999"])
def test_numbers_are_finite(write, number):
    path = write("run.yaml", f"train: {{lr: {number}}}\n")
    with pytest.raises(ValueError, match=r"run\.yaml: train\.lr is .*, but must be of type float"):
        load_config(path)


def test_errors_about_a_whole_configuration_name_the_file(write):
    path = write("run.yaml", "data: {norm_mean: [0.5]}\n")
    with pytest.raises(ValueError, match=r"run\.yaml: data\.norm_mean is \[0\.5\]"):
        load_config(path)
    with pytest.raises(ValueError, match=r"overrides: data\.norm_mean is \[0\.5\]"):
        load_config(None, ["data.norm_mean", "[0.5]"])
    with pytest.raises(ValueError, match=r"model\.pth: expected `key: value` lines, but got None"):
        config_of(None, origin="model.pth")
