"""The tables of a gallery in SQLite."""

FORMAT = 1
TABLES = (
    "CREATE TABLE about (key TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE tracklets (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, "
    "camera INTEGER, start REAL, end REAL, frames TEXT NOT NULL)",
    "CREATE INDEX by_camera ON tracklets (camera)",
    # A table of their own, so that listing tracklets does not read features.
    "CREATE TABLE features (id INTEGER PRIMARY KEY REFERENCES tracklets ON DELETE CASCADE, "
    "feature BLOB NOT NULL)",
    f"PRAGMA user_version = {FORMAT}",
)
# Galleries of earlier versions lack these tables; they are temporary where such can't be changed.
LATER_TABLES = (
    "TABLE IF NOT EXISTS contents (id INTEGER PRIMARY KEY REFERENCES tracklets ON DELETE CASCADE, "
    "stamp TEXT NOT NULL, content TEXT NOT NULL)",
    # When a tracklet was added, in seconds since 1970.
    "TABLE IF NOT EXISTS added (id INTEGER PRIMARY KEY REFERENCES tracklets ON DELETE CASCADE, "
    "time REAL NOT NULL)",
    # Which ids were removed, in order, so that an index learns of it without reading all ids.
    "TABLE IF NOT EXISTS removals (number INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL)",
)
NOT_TEMPORARY = (
    "INDEX IF NOT EXISTS by_content ON contents (content)",
    # A trigger, so that removals by earlier versions are noted, too.
    "TRIGGER IF NOT EXISTS note_removal AFTER DELETE ON tracklets BEGIN "
    "INSERT INTO removals (id) VALUES (old.id); END",
)
