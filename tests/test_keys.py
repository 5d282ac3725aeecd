"""Every key has its sentence, from one source; the help shows those that matter, and `autogrow keys` all."""

from command_line import call

from autogrow.config import CONF_DIR
from autogrow.explanation import known_keys
from autogrow.help import MATTER
from autogrow.keys import CHOICES, OF_HYDRA, entries_of, first_comment, groups, keys


def test_every_key_says_what_it_is():
    assert [key.name for key in keys() if len(key.says) < 4] == []


def test_every_key_of_a_run_is_listed():
    listed = {key.name for key in keys()}
    nodes = {name[:i] for name in listed for i, sign in enumerate(name) if sign == "."}
    missing = {name for name in known_keys("fit") if name.rpartition(".")[2] not in OF_HYDRA} - listed - nodes
    assert missing == set()
    assert set(MATTER) <= listed
    assert set(CHOICES) <= listed


def test_every_group_and_option_says_what_it_is():
    folders = {str(path.parent.relative_to(CONF_DIR)) for path in CONF_DIR.glob("*/**/*.yaml")}
    assert {group.name for group in groups()} == folders
    assert [group.name for group in groups() if not group.says] == []
    assert [(g.name, option) for g in groups() for option, says in g.options.items() if len(says) < 8] == []
    for group in groups():
        assert group.default in ("", "null", *group.options)


def test_a_sentence_that_goes_on_is_read_to_its_end_and_what_a_file_is_does_not_describe_its_first_key(tmp_path):
    class Schema:
        """What it is: not a field.

        one, two: a sentence that
            goes on.
        three: short.
        """

    assert entries_of(Schema) == {
        "one": "a sentence that goes on.",
        "two": "a sentence that goes on.",
        "three": "short.",
    }
    path = tmp_path / "option.yaml"
    path.write_text("# @package _global_\n# Two lines\n# of prose. Launch: autogrow fit a=b\nkey: 1\n")
    assert first_comment(path) == "Two lines of prose."


def test_the_help_shows_what_can_be_chosen_and_the_keys_that_matter(capsys):
    assert call("fit", "--help") == 0
    text = capsys.readouterr().out
    assert all(f"\n{name}=" in text for name in MATTER)
    assert "\nlabel_smoothing" not in text
    assert "loss_paced" in text
    assert call("front", "--help") == 0
    assert "narrowed=6" in capsys.readouterr().out
    assert call("fit", "--help", "all", "net.widths=[7]") == 0
    text = capsys.readouterr().out
    assert "label_smoothing: 0.05" in text
    assert "- 7" in text


def test_keys_are_found_by_name_and_by_sentence(capsys):
    assert call("keys") == 0
    assert capsys.readouterr().out.count("\n    ") >= len(keys())
    assert call("keys", "OVERFIT") == 0
    assert "net.dropout=null" in capsys.readouterr().out
    assert call("keys", "data.split=") == 0
    assert "random | group | time | column | file" in capsys.readouterr().out
    assert call("keys", "stopp") == 2
    assert "did you mean 'stop.passes'" in capsys.readouterr().err
    assert call("keys", "a", "b") == 2
    assert call("all") == 2
    assert call("fit", "all") == 2
