import pytest

from gcpt.dev import tables
from gcpt.restorer import options


def test_each_option_is_listed_in_help_and_table():
    for option in options.TABLE:
        assert f"  {option.name}={option.values}\n      {option.help}" in options.help_text()
        values = option.values.replace("|", "\\|")
        assert f"| `{option.name}=` | {values} |" in tables.options_table()


def test_choices_show_their_aliases():
    assert options.BY_NAME["mode"].values == "normal, dual_core, single_core (or bare_metal), auto"


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({}, "normal"),
        ({"mode": "normal", "log": "quiet", "stop_cpu": ""}, "normal"),
        ({"mode": "dual_core", "stop_cpu": "1"}, "dual_core-stop1"),
        ({"display_cpu": "0"}, "normal-display0"),
        ({"display_cpu": "all", "stop_cpu": "0,3"}, "normal-stop0.3-displayall"),
        ({"uart": "16550@0x310b0000,2"}, "normal-16550.0x310b0000.2"),
        ({"platform": "qemu-virt", "harts": "2", "log": "info"}, "normal-harts2-qemu-virt-info"),
        ({"mode": "auto", "debug": "1", "ide": "vscode", "ckpt": "x.gz", "gdb_port": "1"}, "auto-debug"),
        ({"build_dir": "elsewhere", "pytest_args": "-x", "save_options": "a"}, "normal"),
    ],
)
def test_variant_name(values, name):
    assert options.variant_name(values) == name


def test_dashed_options_are_distinguished_from_those_of_scons():
    assert options.undashed(["-j2", "--verbose", "mode=auto", "-c", "--debug=explain"]) == ""
    assert options.undashed(["--debug=1"]).endswith(" debug=1")
    assert options.undashed(["-j2", "--gcpt-payload=a=b"]).endswith(" gcpt_payload=a=b")


def test_variant_names_of_paths_differ_though_they_look_alike():
    names = {options.variant_name({"gcpt_payload": path}) for path in ("a/fw.bin", "b/fw.bin", "fw bin", "fw,bin")}
    assert len(names) == 4
    assert all(name.startswith("normal-payload.fw.bin.") for name in names)


def test_a_variant_name_is_a_short_folder_name():
    harts = ",".join(map(str, range(0, 128, 2)))
    long, other = (options.variant_name({"stop_cpu": harts, "display_cpu": which}) for which in ("0", "1"))
    assert len(long) == 120
    assert long != other
    assert "/" not in options.variant_name({"gcpt_payload": "../../etc/x y/"})


def test_saved_text_is_read_back_by_python():
    values = {"mode": "dual_core", "stop_cpu": "0", "gcpt_payload": "it's.bin", "log": "", "save_options": "here"}
    read: dict[str, str] = {}
    exec(options.saved_text(values), {}, read)
    assert read == {"mode": "dual_core", "stop_cpu": "0", "gcpt_payload": "it's.bin"}


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), ("a", "a"), ((0, 1), "0,1"), ([2], "2"), (None, ""), (0x80100000, "2148532224")]
)
def test_values_of_an_options_file_become_text(value, text):
    assert options.as_text(value) == text
