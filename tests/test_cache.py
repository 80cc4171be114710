"""The cache folder."""

from backend.cache import cache_dir


def test_own_variable_wins_and_the_folder_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("VIVANT_CACHE", str(tmp_path / "deep" / "cache"))
    assert cache_dir() == tmp_path / "deep" / "cache"
    assert cache_dir().is_dir()


def test_linux_follows_xdg(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("VIVANT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "vivant"
