import os
import re
import socket
import stat
from pathlib import Path

import pytest

from alsriaz.errors import SpecError
from alsriaz.serving.nginx import check_port, nginx_configuration, nginx_program, private_folder, socket_path
from alsriaz.serving.settings import read_settings


def test_program_is_found_on_the_path_first(tmp_path: Path) -> None:
    program = tmp_path / "nginx"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert nginx_program({"PATH": str(tmp_path)}) == str(program)
    assert nginx_program({"PATH": "/nowhere"}, str(tmp_path)) == str(program)


def test_program_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=f"nginx is not installed: it is in none of /nowhere:{tmp_path}. On "):
        nginx_program({"PATH": "/nowhere"}, str(tmp_path))


def test_free_port_passes_and_stays_free() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
    check_port(port)
    check_port(port)


def test_taken_port_is_refused() -> None:
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))  # noqa: S104
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(
            SpecError, match=rf"Port {port} can't be listened on \(Address already in use\): free it, or"
        ):
            check_port(port)


def test_folder_is_private_and_goes_away() -> None:
    with private_folder() as folder:
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        Path(folder, "left").touch()
        assert socket_path(folder).startswith(folder)
    assert not Path(folder).exists()


def test_configuration_has_every_setting_and_no_hole() -> None:
    settings = read_settings(
        {"SAGEMAKER_BIND_TO_PORT": "9001", "ALSRIAZ_MAX_BODY_MB": "77", "ALSRIAZ_TIMEOUT_SECONDS": "88"}
    )
    text = nginx_configuration(settings, "/tmp/private")  # noqa: S108
    assert "listen 9001 " in text
    assert "client_max_body_size 77m;" in text
    assert text.count("_timeout 88s;") == 3
    assert "client_max_body_size 0m;" in nginx_configuration(read_settings({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}), "/t")
    assert f'"unix:{socket_path("/tmp/private")}"' in text  # noqa: S108
    assert "%" not in text
    assert ("user root;" in text) == (os.geteuid() == 0)
    files, connections = (int(re.findall(rf"{name} (\d+);", text)[0]) for name in ("_nofile", "worker_connections"))
    assert 0 < 2 * connections <= files <= 8192


def test_every_error_that_nginx_answers_has_our_shape() -> None:
    text = nginx_configuration(read_settings({}), "/tmp/private")  # noqa: S108
    answers = re.findall(r"return (\d+) '(.*)\\n';", text)
    assert {int(status) for status, _ in answers} == {400, 404, 413, 502, 503, 504}
    for _, body in answers:
        assert re.fullmatch(r'\{"error": \{"code": "[a-z_]+", "message": "[^"$]+", "field": null\}\}', body)
