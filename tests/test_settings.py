"""The settings: what a file and variables may say, and what is said of those that are wrong."""

from pathlib import Path

import pytest

from gateway.domain.problems import Misconfigured
from gateway.settings import Settings, load


def test_nothing_given_is_all_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(None, {}) == load(None, {"METERGATE_CONFIG": ""}) == Settings()


def test_variables_lie_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text("zone = 'Europe/Kyiv'\n[http]\nport = 1\nhost = '::1'\n[targets.a.billing]\ntoken = '$TOKEN'\n", "utf-8")
    told = {"METERGATE_CONFIG": str(path), "METERGATE_HTTP_PORT": "9000", "METERGATE_DATA": "x", "TOKEN": "t", "METERGATE_KEY": "k"}
    settings = load(None, told | {"METERGATE_WORKER_SCHEDULE": "[0, 2.5]", "METERGATE_DATABASE_APP_URL": "postgresql://a"})
    assert (settings.zone, settings.http.host, settings.http.port, settings.data) == ("Europe/Kyiv", "::1", 9000, Path("x"))
    assert (settings.worker.schedule, settings.database.app_url) == ((0.0, 2.5), "postgresql://a")
    assert settings.targets == {"a": {"billing": {"token": "t"}}}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("zone = 'Europe/Nowhere'", "Europe/Nowhere"),
        ("zone = '../zone'", "../zone"),
        ("language = 'fr'", "$.language"),
        ("http = 1", "$.http"),
        ("[http]\nport = 65536", "$.http.port"),
        ("[http]\nport = -1", "$.http.port"),
        ("[http]\nprot = 1", "prot"),
        ("[database]\npool = 0", "$.database.pool"),
        ("[limits]\nfile_bytes = 0", "$.limits.file_bytes"),
        ("[limits]\nchild_seconds = 0", "$.limits.child_seconds"),
        ("[worker]\nlease = 0", "$.worker.lease"),
        ("[worker]\nlease = nan", "$.worker.lease"),
        ("[worker]\npatience = inf", "$.worker.patience"),
        ("[worker]\npatience = -1", "$.worker.patience"),
        ("[worker]\nschedule = []", "$.worker.schedule"),
        ("[worker]\nschedule = [0, -5]", "$.worker.schedule[1]"),
        ("[worker]\njitter = 2", "$.worker.jitter"),
        ("[worker]\nbreaker = 0", "$.worker.breaker"),
        ("[targets.a.billing]\ntoken = '$NONE'", "targets.a.billing.token"),
        ("no toml", "m.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "m.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(Misconfigured) as said:
        load(path, {"METERGATE_HTTP_HOST": "localhost"})
    assert place in str(said.value)


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("METERGATE_HTTP_PROT", "1", "METERGATE_HTTP_PROT: [http] has no key 'prot', it has host, port"),
        ("METERGATE_HTTP_PORT", "70000", "$.http.port"),
        ("METERGATE_HTTP_PORT", "eighty", "$.http.port"),
        ("METERGATE_WORKER_SCHEDULE", "1, 2", "$.worker.schedule"),
        ("METERGATE_WORKER_SCHEDULE", "[]", "$.worker.schedule"),
        ("METERGATE_HTTP", "{}", "METERGATE_HTTP"),
        ("METERGATE_TARGETS_CITY", "{}", "METERGATE_TARGETS_CITY"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, text: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Misconfigured) as error:
        load(None, {variable: text})
    assert said in str(error.value)


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    for path, environ in ((tmp_path / "none.toml", {}), (None, {"METERGATE_CONFIG": str(tmp_path)})):
        with pytest.raises(Misconfigured, match="no such settings file"):
            load(path, environ)
